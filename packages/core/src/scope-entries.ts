/** A scope's entries in the process's memory: their order, their deadlines, and what they take. */
import type { Entry, Json, Retention } from "./backend.js";
import { Heap } from "./heap.js";
import { spanUnder } from "./key.js";
import { addToTally, isLive, type Judged, type ScopeState, type Tally } from "./reducer.js";
import { SortedKeys } from "./sorted-keys.js";

/** What is held in memory. */
export interface EntriesUse {
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

/** What an entry or a record costs beside its key and value, in bytes: measured on Node 24, rounded. */
export const overhead = 200;

/** About what an entry takes. */
export const entryBytes = (entry: Entry): number => overhead + entry.key.length + entry.value.size;

/** A scope's entries, for the reducer to work on. What it did is for others to keep. */
export class ScopeEntries implements ScopeState {
	head = 0;
	eventsHead = 0;
	deadline: number | null = null;
	seal: Json | undefined = undefined;
	keep: Retention | undefined = undefined;

	/**
	 * A removed entry leaves its slot for the next of that key: a Map that has the same key deleted and added again and again looks
	 * through all its deletions to find it.
	 */
	readonly #slots = new Map<string, Slot>();
	readonly #order = new SortedKeys();
	readonly #use: EntriesUse;
	#size = 0;
	// One node of a slot counts, the earliest: the one it knows. A later deadline is found when that comes up.
	readonly #deadlines = new Heap<Deadline>(({ at }) => at);
	#timed = 0;

	/** @param use - where what it takes is counted, perhaps with that of other scopes. */
	constructor(use: EntriesUse = { entries: 0, bytes: 0 }) {
		this.#use = use;
	}

	/** How many entries it has, those past their deadline too. */
	get size(): number {
		return this.#size;
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
			this.#size++;
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
		this.#size--;
		if (this.#slots.size > 2 * this.#size + 64) this.#purge();
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
	}

	/** It has no bound. */
	hasRoom(_commit: Judged): boolean {
		return true;
	}

	/** The entries of a span in order, expired ones too. */
	*under(span: { readonly from: string; readonly to: string | null }): Generator<Entry> {
		for (const key of this.#order.within(span)) {
			const entry = this.get(key);
			if (entry !== undefined) yield entry;
		}
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
}
