/**
 * What a near cache knows of one scope, and whether it may be believed: no input or output, time comes as an argument.
 *
 * All that is held is of one instant, the revision `cursor`, and is believed only while that is the highest head that anybody here has
 * seen. What was not heard in full is asked for: no gap is ever guessed over.
 */
import type { Batch, Entry, LogPage, LogRecord, ReadAnswer, Signal } from "./backend.js";
import type { Sieve, Sieved } from "./sieve.js";

/** A key that a near cache knows of. */
export interface NearEntry extends Sieved {
	readonly near: NearScope;
	readonly key: string;
	/** `null`: it is absent. */
	entry: Entry | null;
}

/** What was known when the store was asked: an answer is judged by it. */
export interface Asked {
	readonly era: number;
	readonly seen: number;
}

/** How long the push of a head that an answer told of may take before it counts as lost, in ms. */
const patience = 250;

// What an entry costs beside its key and value: measured on Node 24, rounded.
const overhead = 250;

const bytesOf = (key: string, entry: Entry | null): number =>
	overhead + key.length + (entry === null ? 0 : entry.value.size);

/** One heard scope. */
export class NearScope {
	readonly #kept: Sieve<NearEntry>;
	readonly #entries = new Map<string, NearEntry>();
	/** The revision that all entries are of; -1: unknown, nothing is believed. */
	#cursor = -1;
	/** The highest head seen, in answers, pushes and logs. */
	#seen = 0;
	/** When the store last confirmed the cursor as its head, by its own clock. */
	#confirmed = Number.NEGATIVE_INFINITY;
	/** The next instant at which something may expire, the scope itself included: a scope past its end reads as absent, and nobody says so. */
	#next: number | null = null;
	/** Something may have happened that was not heard: a read that was asked since has to confirm the cursor. */
	#doubted = false;
	/** No signal comes through. */
	#blind = false;
	/** Grows with each doubt, so that what was asked before it settles nothing. */
	#era = 0;
	/** Pages of the log under way that may bring what was missed. */
	#paging = 0;
	/** Since when an answer was ahead of what was pushed, by the monotonic clock. */
	#aheadSince: number | undefined;

	constructor(kept: Sieve<NearEntry>) {
		this.#kept = kept;
	}

	/**
	 * The entries of these keys, if all are known and may be believed: confirmed at most `maxAge` ms ago, and none expired. `now` is the latest
	 * that the store's clock may show.
	 */
	look(keys: readonly string[], maxAge: number, now: number): ReadAnswer | undefined {
		const head = this.#cursor;
		if (this.#doubted || this.#blind || head !== this.#seen) return undefined;
		if (now - this.#confirmed > maxAge) return undefined;
		if (this.#next !== null && this.#next <= now) return undefined;
		const entries: (Entry | null)[] = [];
		for (const key of keys) {
			const known = this.#entries.get(key);
			if (known === undefined) return undefined;
			const { entry } = known;
			// A touch is not pushed: past the deadline that is known, it may live on.
			if (entry !== null && entry.expiresAt !== null && entry.expiresAt <= now) return undefined;
			known.used = true;
			entries.push(entry);
		}
		return { head, now, next: this.#next, entries };
	}

	/** What an answer will be judged by. */
	ask(): Asked {
		return { era: this.#era, seen: this.#seen };
	}

	/** Takes the answer to a read. */
	answered(asked: Asked, keys: readonly string[], answer: ReadAnswer, monotonic: number): void {
		const { head, now, next } = answer;
		const counts = asked.era === this.#era;
		// A head that was seen before the question can't be missing from its answer, unless the store went back: dropped, lost or restored. What
		// was seen since is of its next life.
		if (counts && head < asked.seen && asked.seen === this.#seen) {
			this.#restart(head);
			this.#era++;
		}
		if (head < this.#seen) {
			// Older, as a rule. But absence comes again: it may be that of a drop, and what was seen meanwhile of before it.
			if (head === 0 || head < asked.seen) this.doubt();
			return;
		}
		this.#saw(head);
		if (!counts) return;
		if (head > this.#cursor && this.#isLost(monotonic)) this.#restart(head);
		this.#next = next;
		if (head === this.#cursor) this.#confirm(now);
		for (const [i, key] of keys.entries()) this.#fill(key, answer.entries[i] ?? null);
	}

	/** Takes the head that another question was answered with: a commit, a listing, a log. */
	saw(asked: Asked, head: number): void {
		if (head < asked.seen) this.doubt();
		this.#saw(head);
	}

	/** Takes what a commit of this process did. */
	committed(asked: Asked, { commits }: Batch, head: number): void {
		this.saw(asked, head);
		for (const { do: mutations } of commits)
			for (const mutation of mutations) {
				if (mutation.op !== "touch" || mutation.key === null) continue;
				// It moves no revision: what was asked before it may come with the old deadline.
				this.#era++;
				const known = this.#entries.get(mutation.key);
				if (known !== undefined) this.forget(known);
			}
	}

	/** Takes a signal. */
	hear(signal: Signal): void {
		const wasBlind = this.#blind;
		this.#blind = signal.type === "lost";
		if (signal.type !== "records" || wasBlind) this.doubt();
		if (signal.type === "records") for (const record of signal.records) this.#take(record);
	}

	/** Begins to read a page of the log of changes that may bring what was missed; the answer takes it, or nothing where it failed. */
	page(after: number): (page: LogPage | undefined) => void {
		const asked = this.ask();
		this.#paging++;
		return (page) => {
			this.#paging--;
			if (page === undefined) return;
			// What lies between, too, or that the log does not reach back so far.
			if (after <= this.#cursor) for (const record of page.records) this.#take(record);
			this.saw(asked, page.head);
			if (asked.era === this.#era && !page.more && page.head === this.#cursor) this.#confirm(page.now);
		};
	}

	/** Believes nothing before a read that is asked from here on has confirmed it. */
	doubt(): void {
		this.#doubted = true;
		this.#era++;
	}

	/** Forgets all that it held, and begins anew. */
	clear(): void {
		this.#restart(-1);
		this.#seen = 0;
		this.#era++;
	}

	/** Forgets an entry. */
	forget(known: NearEntry): void {
		this.#kept.remove(known);
		this.#entries.delete(known.key);
	}

	#saw(head: number): void {
		if (head > this.#seen) this.#seen = head;
	}

	#take(record: LogRecord): void {
		const { revision, previous, changes, time } = record;
		if (revision <= this.#cursor) return;
		this.#saw(revision);
		// A gap, and the birth of a scope: it may have got a deadline of its own, which no record tells.
		if (previous !== this.#cursor || previous === 0) {
			this.#restart(-1);
			return;
		}
		this.#cursor = revision;
		this.#aheadSince = undefined;
		for (const { key, entry } of changes) {
			const expiresAt = entry?.expiresAt ?? null;
			if (expiresAt !== null && (this.#next === null || expiresAt < this.#next)) this.#next = expiresAt;
			const known = this.#entries.get(key);
			if (known !== undefined) this.#put(known, entry);
		}
		// Up to then it was the head.
		if (!this.#doubted) this.#confirmed = Math.max(this.#confirmed, time);
	}

	/** Takes an entry as of a head that is the cursor, or will be once the records up to it were pushed. */
	#fill(key: string, entry: Entry | null): void {
		const known = this.#entries.get(key);
		if (known === undefined) {
			const made: NearEntry = { near: this, key, entry, used: false, bytes: bytesOf(key, entry) };
			this.#entries.set(key, made);
			this.#kept.add(made);
			return;
		}
		// Touched, or the same again: the value stays the object that it was.
		const same = entry !== null && known.entry?.revision === entry.revision;
		this.#put(known, same ? { ...entry, value: known.entry?.value ?? entry.value } : entry);
	}

	#put(known: NearEntry, entry: Entry | null): void {
		known.entry = entry;
		this.#kept.resize(known, bytesOf(known.key, entry));
	}

	#confirm(now: number): void {
		this.#doubted = false;
		this.#aheadSince = undefined;
		this.#confirmed = Math.max(this.#confirmed, now);
	}

	/** Whether the records up to a head that an answer told of won't come any more; asked at such an answer. */
	#isLost(monotonic: number): boolean {
		if (this.#cursor < 0 || (this.#doubted && this.#paging === 0)) return true;
		this.#aheadSince ??= monotonic;
		return monotonic - this.#aheadSince > patience;
	}

	#restart(head: number): void {
		for (const known of [...this.#entries.values()]) this.forget(known);
		this.#cursor = head;
		this.#confirmed = Number.NEGATIVE_INFINITY;
		this.#next = null;
		this.#aheadSince = undefined;
		if (head >= 0) this.#seen = head;
	}
}
