/** A scope held in memory: the reducer works on it, and what it did is then written. */
import { type Entry, follows, type LogRecord, ScopeEntries } from "@holdfast/core";
import type { ScopeRow, Touched } from "./scope-row.js";
import { Unwritten } from "./unwritten.js";

/** What became of a scope's entries that its records don't tell. */
export interface Difference {
	/** Whether everything that was stored of it has to go first. */
	readonly cleared: boolean;
	/** Those that only have another deadline. */
	readonly touched: readonly Touched[];
}

/** A scope in memory, see {@link ScopeEntries}; its logs stay in the store, and the browser says itself when there is no room. */
export class CachedScope extends ScopeEntries {
	/** How many extended deadlines it knows of. */
	touches = 0;
	/** How many records its log ever had. */
	place = 0;
	readonly unwritten = new Unwritten();
	/** The scope's row that it agrees with, if it is known. */
	row: ScopeRow | undefined;
	/** The time alone (see `Presence`) in which the store said so, or was made to agree. */
	era: object | undefined;
	#before = new Map<string, Entry | undefined>();
	#cleared = false;

	override put(entry: Entry): void {
		this.#note(entry.key);
		super.put(entry);
	}

	override remove(key: string): void {
		this.#note(key);
		super.remove(key);
	}

	override clear(): void {
		super.clear();
		this.#cleared = true;
	}

	/** Takes over what the row says. */
	follow(row: ScopeRow): void {
		const { head, eventsHead, deadline, seal, keep, touches, changes, written } = row;
		Object.assign(this, { head, eventsHead, deadline, seal, keep, touches, place: changes.total });
		this.unwritten.settle(written);
		this.row = row;
	}

	/** Notes that its row may be another by now. */
	doubt(): void {
		this.row = undefined;
		this.era = undefined;
	}

	/** Applies a record if it is the next one; answers whether it knows it now. */
	hear(record: LogRecord): boolean {
		if (record.revision <= this.head) return true;
		if (!follows(record, this.head, "changes")) return false;
		this.redo(record);
		return true;
	}

	/** Applies a record to what was read of the rows, of which some are newer. */
	redo(record: LogRecord): void {
		const { revision, changes } = record;
		for (const { key, entry } of changes) {
			if ((this.get(key)?.revision ?? 0) >= revision) continue;
			if (entry === null) super.remove(key);
			else super.put(entry);
		}
		this.unwritten.note(record, this.place++);
		this.head = revision;
	}

	/** Takes over extended deadlines; of entries that are another by now they say nothing. */
	extend(touched: readonly Touched[]): void {
		for (const { key, revision, expiresAt } of touched) {
			const entry = this.get(key);
			if (entry?.revision === revision && (entry.expiresAt ?? expiresAt) < expiresAt)
				super.put({ ...entry, expiresAt });
		}
	}

	/** From here on it notes what changes. */
	begin(): void {
		this.#before.clear();
		this.#cleared = false;
	}

	/** What changed since, but for what its records tell. */
	difference(records: readonly LogRecord[]): Difference {
		const told = new Map(this.#cleared ? [] : this.#before);
		for (const { changes } of records)
			for (const { key, entry } of changes) told.set(key, entry ?? undefined);
		const touched: Touched[] = [];
		for (const [key, before] of told) {
			const { revision = 0, expiresAt = null } = this.get(key) ?? {};
			if (revision === before?.revision && expiresAt !== null && expiresAt !== before.expiresAt)
				touched.push({ key, revision, expiresAt });
		}
		return { cleared: this.#cleared, touched };
	}

	#note(key: string): void {
		if (!this.#before.has(key)) this.#before.set(key, this.get(key));
	}
}
