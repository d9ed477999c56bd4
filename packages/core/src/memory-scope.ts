/** One scope in the process's memory. */
import type { EventFact, LogPage, LogQuery, LogRecord, LogRetention, Signal } from "./backend.js";
import { BareRecord, MemoryLog, type Row } from "./memory-log.js";
import { type Deed, type Journal, type Judged, recordOf, type Written } from "./reducer.js";
import { type EntriesUse, entryBytes, overhead, ScopeEntries } from "./scope-entries.js";

/** What a store in memory may hold, and holds. */
export interface MemoryUse extends EntriesUse {
	readonly maxEntries: number;
	readonly maxBytes: number;
}

const writtenBytes = (written: Written): number =>
	typeof written === "string" ? written.length : entryBytes(written);

/** A scope's entries and its two logs, within what the store may hold. */
export class MemoryScope extends ScopeEntries implements Journal {
	/** Who watches it. */
	watchers: ReadonlySet<(signal: Signal) => void> | undefined = undefined;

	readonly #use: MemoryUse;
	readonly #changes = new MemoryLog();
	readonly #events = new MemoryLog();
	#hasEnded = false;
	#hasNews = false;
	/**
	 * What those who watch it are told once the commit is done, or were told last. Kept, since V8 drops the code that it compiled for
	 * a class when a full collection finds no object of it, and every step from here to a listener is compiled for records.
	 */
	#records: LogRecord[] = [];

	constructor(use: MemoryUse) {
		super(use);
		this.#use = use;
	}

	override clear(): void {
		super.clear();
		while (this.#changes.size > 0) this.#dropOldest(this.#changes);
		while (this.#events.size > 0) this.#dropOldest(this.#events);
	}

	override hasRoom(commit: Judged): boolean {
		const use = this.#use;
		let entries = 0;
		let bytes = 0;
		for (const mutation of commit.do) {
			if (mutation.op === "emit") bytes += mutation.payload.size;
			if (mutation.op !== "put" && mutation.op !== "add") continue;
			entries++;
			bytes += overhead + mutation.key.length + (mutation.op === "put" ? mutation.value.size : 8);
		}
		if (use.entries + entries <= use.maxEntries && use.bytes + bytes <= use.maxBytes) return true;
		for (const mutation of commit.do) {
			if (mutation.op !== "put" && mutation.op !== "add") continue;
			const before = this.get(mutation.key);
			if (before === undefined) continue;
			entries--;
			bytes -= entryBytes(before);
		}
		if (use.entries + entries > use.maxEntries) return false;
		if (bytes <= 0) return true;
		// The log of changes gives way before a write is refused: who loses its place there gets a reset.
		while (use.bytes + bytes > use.maxBytes && this.#changes.size > 0) this.#dropOldest(this.#changes);
		return use.bytes + bytes <= use.maxBytes;
	}

	/** Whether nothing of it is left to keep. */
	get isEmpty(): boolean {
		return this.size + this.#changes.size + this.#events.size === 0 && this.seal === undefined;
	}

	note(
		commit: Deed[0],
		revision: number,
		time: number,
		written: Written | readonly Written[],
		events: readonly EventFact[],
		gone?: "delete" | "expire",
	): void {
		const { keep } = this;
		const { id, origin, metadata, quiet } = commit;
		const isBare = id === undefined && metadata === undefined && quiet !== true && events.length === 0;
		const record = isBare ? undefined : recordOf(this, commit, revision, time, written, events, gone);
		const row = record ?? written;
		let bytes = overhead;
		if (Array.isArray(written)) for (const each of written) bytes += writtenBytes(each);
		else bytes += writtenBytes(written as Written);
		for (const { payload } of events) bytes += payload.size;
		if (keep?.changes.count !== 0) this.#push(this.#changes, row, origin, revision, time, bytes);
		if (events.length > 0 && keep?.events.count !== 0)
			this.#push(this.#events, row, origin, revision, time, bytes);
		this.trim(time);
		if (this.watchers === undefined) return;
		const pushed = record ?? new BareRecord(this.head, origin, revision, time, written);
		if (this.#hasNews) this.#records.push(pushed);
		else this.#records = [pushed];
		this.#hasNews = true;
	}

	ended(): void {
		this.#hasEnded = true;
		this.#hasNews = false;
	}

	/** Tells those who watch it what was done. */
	tell(): void {
		const news = this.#hasNews ? this.#records : undefined;
		this.#hasNews = false;
		if (this.#hasEnded) {
			this.#hasEnded = false;
			this.#signal({ type: "wake" });
		}
		if (news !== undefined) this.#signal({ type: "records", records: news });
	}

	/** Lets go of records that are past retention. */
	trim(now: number): void {
		if (this.keep === undefined) return;
		this.#trim(this.#changes, this.keep.changes, now);
		this.#trim(this.#events, this.keep.events, now);
	}

	/** A page of a log. */
	log(after: number, { of, limit, bytes, newest }: LogQuery, now: number): LogPage {
		this.trim(now);
		const log = of === "changes" ? this.#changes : this.#events;
		const first = log.after(after);
		const records: LogRecord[] = [];
		let room = bytes;
		const from = newest === true ? log.size - 1 : first;
		const step = newest === true ? -1 : 1;
		for (
			let i = from;
			i >= first && i < log.size && records.length < limit && (room > 0 || records.length === 0);
			i += step
		) {
			records.push(log.record(i));
			room -= log.bytes(i);
		}
		if (newest === true) records.reverse();
		const head = of === "changes" ? this.head : this.eventsHead;
		return { records, more: newest !== true && first + records.length < log.size, head, now };
	}

	#signal(signal: Signal): void {
		for (const watcher of this.watchers ?? []) watcher(signal);
	}

	#push(
		log: MemoryLog,
		row: Row,
		origin: string | undefined,
		revision: number,
		time: number,
		bytes: number,
	): void {
		log.push(row, origin, revision, this.head, time, bytes);
		this.#use.bytes += bytes;
	}

	#dropOldest(log: MemoryLog): void {
		this.#use.bytes -= log.shift();
	}

	#trim(log: MemoryLog, { count, age }: LogRetention, now: number): void {
		while (log.size > count) this.#dropOldest(log);
		// Seldom, since the oldest record is seldom in the processor's cache.
		while (log.since < now - age) {
			log.since = log.size > 0 ? log.time(0) : now;
			if (log.since < now - age) this.#dropOldest(log);
		}
	}
}
