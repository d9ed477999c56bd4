/** A scope as the reducer sees it: as much of it as a batch can touch, loaded from rows. */
import {
	type Batch,
	type Commit,
	type Entry,
	isLive,
	isUnder,
	type Json,
	type Retention,
	type ScopeState,
	type Tally,
} from "@holdfast/core";
import type { ScopeRow } from "./scope-row.js";

// Sums of revisions are taken modulo this.
const modulus = 2 ** 52;

interface Loaded {
	/** As its row has it. */
	readonly before: Entry | undefined;
	/** As it is now. */
	entry: Entry | undefined;
}

/** Entries in the order of their deadlines, as far as they were loaded. */
export interface Timed {
	readonly entries: readonly Entry[];
	/** Whether there may be others behind the last. */
	readonly more: boolean;
}

/** What was loaded beside a scope's row. */
export interface LoadedParts {
	/** The entries that the batch names, as far as there are any. */
	readonly named: readonly Entry[];
	/** The entries that end first; absent: it was certain without. */
	readonly timed?: Timed;
	/** The locks that end last; absent: the scope has no deadline. */
	readonly locks?: readonly Entry[];
	/** The live entries under the prefixes of the batch's conditions. */
	readonly tallies: ReadonlyMap<string, Tally>;
}

/** What has to be written of one entry. */
export interface Difference {
	readonly deleted: readonly string[];
	readonly put: readonly Entry[];
	/** Only the deadline is another. */
	readonly extended: readonly Entry[];
}

/** The keys that a batch names; `true`: their values may be looked at. */
export function namedKeys(batch: Batch): ReadonlyMap<string, boolean> {
	const keys = new Map<string, boolean>();
	for (const commit of batch.commits) {
		for (const condition of commit.if ?? []) if ("key" in condition) keys.set(condition.key, true);
		for (const mutation of commit.do)
			if ("key" in mutation && mutation.key !== null)
				keys.set(mutation.key, mutation.op === "add" || keys.get(mutation.key) === true);
	}
	return keys;
}

/** A scope that was loaded; see {@link ScopeState}. */
export class LoadedScope implements ScopeState {
	head: number;
	eventsHead: number;
	deadline: number | null;
	seal: Json | undefined;
	keep: Retention | undefined;
	/** Whether everything that was stored of it has to go. */
	cleared = false;
	readonly #entries = new Map<string, Loaded>();
	readonly #tallies: ReadonlyMap<string, Tally>;
	// No entry that was not loaded ends before it.
	#boundary: number | null;

	constructor(row: ScopeRow, { named, timed, locks = [], tallies }: LoadedParts) {
		({
			head: this.head,
			eventsHead: this.eventsHead,
			deadline: this.deadline,
			seal: this.seal,
			keep: this.keep,
		} = row);
		for (const entries of [named, timed?.entries ?? [], locks])
			for (const entry of entries)
				if (!this.#entries.has(entry.key)) this.#entries.set(entry.key, { before: entry, entry });
		this.#tallies = tallies;
		if (timed === undefined) this.#boundary = row.nextExpiry;
		else this.#boundary = timed.more ? (timed.entries.at(-1)?.expiresAt ?? null) : null;
	}

	get(key: string): Entry | undefined {
		return this.#entries.get(key)?.entry;
	}

	put(entry: Entry): void {
		const loaded = this.#entries.get(entry.key);
		if (loaded === undefined) this.#entries.set(entry.key, { before: undefined, entry });
		else loaded.entry = entry;
	}

	remove(key: string): void {
		const loaded = this.#entries.get(key);
		if (loaded !== undefined) loaded.entry = undefined;
	}

	due(now: number, limit: number): readonly Entry[] {
		const due: Entry[] = [];
		for (const { entry } of this.#entries.values())
			if (entry !== undefined && !isLive(entry, now)) due.push(entry);
		return due.sort((a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0)).slice(0, limit);
	}

	next(): number | null {
		let next = this.#boundary ?? Number.POSITIVE_INFINITY;
		for (const { entry } of this.#entries.values())
			if (entry !== undefined && entry.expiresAt !== null && entry.expiresAt < next) next = entry.expiresAt;
		return Number.isFinite(next) ? next : null;
	}

	latest(under: string): number {
		let latest = 0;
		for (const [key, { entry }] of this.#entries)
			if (entry !== undefined && key.startsWith(under)) latest = Math.max(latest, entry.expiresAt ?? 0);
		return latest;
	}

	tally(under: string, now: number): Tally {
		// What the rows say, with what was loaded taken out as it was and put in as it is.
		let { count, sum } = this.#tallies.get(under) ?? { count: 0, sum: 0 };
		for (const [key, { before, entry }] of this.#entries) {
			if (before === entry || !isUnder(key, under)) continue;
			if (!this.cleared && before !== undefined && isLive(before, now)) {
				count--;
				sum = (sum - (before.revision % modulus) + modulus) % modulus;
			}
			if (entry !== undefined && isLive(entry, now)) {
				count++;
				sum = (sum + (entry.revision % modulus)) % modulus;
			}
		}
		return { count, sum };
	}

	clear(): void {
		this.cleared = true;
		for (const loaded of this.#entries.values()) loaded.entry = undefined;
		(this.#tallies as Map<string, Tally>).clear();
		this.#boundary = null;
		this.head = 0;
		this.eventsHead = 0;
		this.deadline = null;
		this.seal = undefined;
	}

	// A disk that is full says so itself.
	hasRoom(_commit: Commit): boolean {
		return true;
	}

	/** What has to be written. */
	difference(): Difference {
		const deleted: string[] = [];
		const put: Entry[] = [];
		const extended: Entry[] = [];
		for (const [key, { before, entry }] of this.#entries) {
			const stored = this.cleared ? undefined : before;
			if (entry === stored) continue;
			if (entry === undefined) deleted.push(key);
			else if (entry.revision === stored?.revision) extended.push(entry);
			else put.push(entry);
		}
		return { deleted, put, extended };
	}
}
