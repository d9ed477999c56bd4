/** One scope in the process's memory. */
import type {
	Entry,
	EventFact,
	Json,
	LogPage,
	LogQuery,
	LogRecord,
	LogRetention,
	Retention,
	Signal,
} from "./backend.js";
import { Heap } from "./heap.js";
import { spanUnder } from "./key.js";
import { BareRecord, MemoryLog, type Row } from "./memory-log.js";
import {
	added,
	addToTally,
	type Deed,
	isLive,
	type Journal,
	type Judged,
	recordOf,
	type ScopeState,
	type Tally,
	type Written,
} from "./reducer.js";
import { SortedKeys } from "./sorted-keys.js";

/** What a store in memory may hold, and holds. */
export interface MemoryUse {
	readonly maxEntries: number;
	readonly maxBytes: number;
	entries: number;
	bytes: number;
}

interface Deadline {
	readonly at: number;
	readonly slot: Slot;
}

interface Slot {
	entry: Entry | undefined;
	/** The node of the heap that counts for it. */
	deadline: Deadline | undefined;
}

// What an entry or a record costs beside its key and value: measured on Node 24, rounded.
const overhead = 200;

const entryBytes = (entry: Entry): number => overhead + entry.key.length + entry.value.size;

const writtenBytes = (written: Written): number =>
	typeof written === "string" ? written.length : entryBytes(written);

/** A scope's entries, their order and deadlines, and its two logs. */
export class MemoryScope implements ScopeState, Journal {
	head = 0;
	eventsHead = 0;
	deadline: number | null = null;
	seal: Json | undefined = undefined;
	keep: Retention | undefined = undefined;
	/** Who watches it. */
	watchers: ReadonlySet<(signal: Signal) => void> | undefined = undefined;

	/**
	 * A removed entry leaves its slot for the next of that key: a Map that has the same key deleted and added again and again looks
	 * through all its deletions to find it.
	 */
	readonly #slots = new Map<string, Slot>();
	readonly #order = new SortedKeys();
	readonly #use: MemoryUse;
	#live = 0;
	readonly #changes = new MemoryLog();
	readonly #events = new MemoryLog();
	// What those who watch it are told once the commit is done.
	#signals: Signal[] | undefined;
	// One node of a slot counts, the earliest: the one it knows. A later deadline is found when that comes up.
	readonly #deadlines = new Heap<Deadline>(({ at }) => at);
	#timed = 0;

	constructor(use: MemoryUse) {
		this.#use = use;
	}

	get(key: string): Entry | undefined {
		return this.#slots.get(key)?.entry;
	}

	put(entry: Entry): void {
		const { key } = entry;
		let slot = this.#slots.get(key);
		if (slot === undefined) {
			slot = { entry: undefined, deadline: undefined };
			this.#slots.set(key, slot);
			this.#order.add(key);
		}
		if (slot.entry === undefined) {
			this.#live++;
			this.#use.entries++;
		} else this.#forget(slot.entry);
		slot.entry = entry;
		this.#use.bytes += entryBytes(entry);
		if (entry.expiresAt !== null) {
			this.#timed++;
			this.#queue(slot, entry.expiresAt);
		}
	}

	remove(key: string): void {
		const slot = this.#slots.get(key);
		if (slot?.entry === undefined) return;
		this.#forget(slot.entry);
		slot.entry = undefined;
		this.#use.entries--;
		this.#live--;
		if (this.#slots.size > 2 * this.#live + 64) this.#purge();
	}

	due(now: number, limit: number): readonly Entry[] {
		const due: Entry[] = [];
		const taken: Deadline[] = [];
		while (due.length < limit && (this.next() ?? Number.POSITIVE_INFINITY) <= now) {
			const node = this.#deadlines.pop() as Deadline;
			taken.push(node);
			due.push(node.slot.entry as Entry);
		}
		for (const node of taken) this.#deadlines.push(node);
		return due;
	}

	/** Whether a deadline may have come: what is left of entries that are gone waits for its own. */
	isDue(now: number): boolean {
		return (this.#deadlines.peek()?.at ?? Number.POSITIVE_INFINITY) <= now;
	}

	next(): number | null {
		for (;;) {
			const node = this.#deadlines.peek();
			if (node === undefined) return null;
			const { slot, at } = node;
			const expiresAt = slot.entry?.expiresAt ?? null;
			const counts = slot.deadline === node;
			if (counts && expiresAt === at) return at;
			this.#deadlines.pop();
			if (!counts) continue;
			slot.deadline = undefined;
			if (expiresAt !== null) this.#queue(slot, expiresAt);
		}
	}

	latest(under: string): number {
		let latest = 0;
		for (const { expiresAt } of this.under(spanUnder(under))) latest = Math.max(latest, expiresAt ?? 0);
		return latest;
	}

	tally(under: string, now: number): Tally {
		let tally: Tally = { count: 0, sum: 0 };
		for (const entry of this.under(spanUnder(under)))
			if (isLive(entry, now)) tally = addToTally(tally, entry.revision);
		return tally;
	}

	clear(): void {
		for (const key of [...this.#slots.keys()]) this.remove(key);
		this.#purge();
		this.head = 0;
		this.eventsHead = 0;
		this.deadline = null;
		this.seal = undefined;
		while (this.#changes.size > 0) this.#dropOldest(this.#changes);
		while (this.#events.size > 0) this.#dropOldest(this.#events);
	}

	hasRoom(commit: Judged): boolean {
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
		if (entries > 0 && use.entries + entries > use.maxEntries) return false;
		if (bytes <= 0) return true;
		// The log of changes gives way before a write is refused: who loses its place there gets a reset.
		while (use.bytes + bytes > use.maxBytes && this.#changes.size > 0) this.#dropOldest(this.#changes);
		return use.bytes + bytes <= use.maxBytes;
	}

	/** Whether nothing of it is left to keep. */
	get isEmpty(): boolean {
		return this.#live + this.#changes.size + this.#events.size === 0 && this.seal === undefined;
	}

	/** The entries of a span in order, expired ones too. */
	*under(span: { readonly from: string; readonly to: string | null }): Generator<Entry> {
		for (const key of this.#order.within(span)) {
			const entry = this.get(key);
			if (entry !== undefined) yield entry;
		}
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
		if (this.watchers !== undefined)
			this.#signals = added(this.#signals, {
				type: "records",
				records: [record ?? new BareRecord(this.head, origin, revision, time, written)],
			});
	}

	ended(): void {
		this.#signals = this.watchers && [{ type: "wake" }];
	}

	/** Tells those who watch it what was done. */
	tell(): void {
		const signals = this.#signals;
		if (signals === undefined) return;
		this.#signals = undefined;
		for (const signal of signals) for (const watcher of this.watchers ?? []) watcher(signal);
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

	#forget(entry: Entry): void {
		this.#use.bytes -= entryBytes(entry);
		if (entry.expiresAt !== null) this.#timed--;
	}

	#queue(slot: Slot, at: number): void {
		if (slot.deadline !== undefined && slot.deadline.at <= at) return;
		slot.deadline = { at, slot };
		this.#deadlines.push(slot.deadline);
		// Deleted and rewritten entries leave nodes behind; more of them than of real ones is too much.
		if (this.#deadlines.size > 2 * this.#timed + 64)
			this.#deadlines.filter((node) => {
				if (node.slot.deadline !== node) return false;
				if ((node.slot.entry?.expiresAt ?? null) !== null) return true;
				node.slot.deadline = undefined;
				return false;
			});
	}

	#purge(): void {
		for (const [key, { entry }] of this.#slots)
			if (entry === undefined) {
				this.#slots.delete(key);
				this.#order.delete(key);
			}
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
