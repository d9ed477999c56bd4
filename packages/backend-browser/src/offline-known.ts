/**
 * What a page knows of one scope: entries, and the ranges in which what is not among them is absent. No input or output.
 *
 * Each range is as of its cursor: what happened up to there is in it, what happened since follows from the log. A key that was only read may be
 * older than what the others say.
 */
import {
	type Cursor,
	compareKeys,
	type Entry,
	isLive,
	isUnder,
	type KeyRange,
	type KeySpan,
	type ListPage,
	type LogRecord,
	type ReadAnswer,
} from "@holdfast/core";
import { decodeEntry, encodeEntry, type WireEntry } from "@holdfast/core/wire";

/** How many records are kept for listings that began before them. */
const recentLimit = 500;

interface Range extends KeySpan {
	readonly cursor: Cursor;
}

/** The same as it is kept on the device. */
export interface KnownData {
	/** When the server last confirmed any of it, by the device's clock. */
	readonly at: number;
	readonly ranges: readonly Range[];
	readonly entries: readonly WireEntry[];
	/** Keys outside of the ranges that were read and not there. */
	readonly absent: readonly string[];
}

const isWithin = (key: string, { from, to }: KeySpan): boolean =>
	compareKeys(key, from) >= 0 && (to === null || compareKeys(key, to) < 0);

const isBefore = (a: string | null, b: string | null): boolean =>
	a !== null && (b === null || compareKeys(a, b) < 0);

/** A scope as far as it is known. */
export class KnownScope {
	/** When the server last confirmed any of it, by the device's clock. */
	at: number;
	/** `null`: it is not there. */
	readonly #entries = new Map<string, Entry | null>();
	/** In order, and none over another. */
	#ranges: Range[] = [];
	/** The last revision that a record told. */
	#head: Cursor = 0;
	#recent: LogRecord[] = [];

	constructor(data?: KnownData) {
		this.at = data?.at ?? Number.NEGATIVE_INFINITY;
		this.#ranges = [...(data?.ranges ?? [])];
		for (const entry of data?.entries ?? []) this.#entries.set(entry.k, decodeEntry(entry));
		for (const key of data?.absent ?? []) this.#entries.set(key, null);
	}

	/** Whether nothing is known of it. */
	get isEmpty(): boolean {
		return this.#entries.size + this.#ranges.length === 0;
	}

	/** From where on its log tells the rest; `undefined` where nothing of it was listed. */
	get cursor(): Cursor | undefined {
		return this.#ranges.length === 0 ? undefined : Math.min(...this.#ranges.map(({ cursor }) => cursor));
	}

	/** What is under a key, `null` if nothing is; `undefined` if that is not known. */
	get(key: string, now: number): Entry | null | undefined {
		const entry = this.#entries.get(key);
		if (entry === undefined) return this.#over(key) && null;
		return entry === null || isLive(entry, now) ? entry : null;
	}

	/** A page of a listing; `undefined` where not all of it is known. */
	list({ from, to, limit }: KeyRange, now: number): Omit<ListPage, "head" | "now"> | undefined {
		let known: string | null = from;
		for (const range of this.#ranges)
			if (known !== null && !isBefore(known, range.from) && isBefore(known, range.to)) known = range.to;
		if (isBefore(known, to)) return undefined;
		const entries = [...this.#entries.values()]
			.filter((entry) => entry !== null && isWithin(entry.key, { from, to }) && isLive(entry, now))
			.sort((a, b) => compareKeys((a as Entry).key, (b as Entry).key)) as Entry[];
		return { entries: entries.slice(0, limit), next: entries[limit]?.key ?? null };
	}

	/** Takes the answer to a read. */
	answered(keys: readonly string[], { head, entries }: ReadAnswer): void {
		// What is reserved is nobody's to read without the server.
		for (const [i, key] of keys.entries()) if (isUnder(key, "")) this.#take(key, entries[i] ?? null, head);
	}

	/** Takes a page of a listing. */
	listed({ from, to }: KeyRange, { entries, next, head }: ListPage): void {
		const span = { from, to: next ?? to };
		const there = new Set(entries.map(({ key }) => key));
		for (const key of this.#entries.keys())
			if (!there.has(key) && isWithin(key, span)) this.#take(key, null, head);
		for (const entry of entries) this.#take(entry.key, entry, head);
		this.#cut(span);
		this.#ranges.push({ ...span, cursor: head });
		this.#ranges.sort((a, b) => compareKeys(a.from, b.from));
		// What came while it was on its way.
		for (const record of this.#recent) if (record.revision > head) this.#apply(record);
	}

	/** Takes a record of the log; it may have had it before. */
	record(record: LogRecord): void {
		if (record.revision > this.#head) {
			this.#head = record.revision;
			if (this.#recent.push(record) > recentLimit) this.#recent.shift();
		}
		this.#apply(record);
	}

	/** Takes what a commit of this page has made of a key. */
	wrote(key: string, entry: Entry | null, revision: Cursor): void {
		const known = this.#entries.get(key);
		if ((known?.revision ?? 0) < revision && (known !== undefined || this.#over(key) !== undefined || entry))
			this.#entries.set(key, entry);
	}

	/** What was written under a key is of an earlier revision than was thought. */
	redate(key: string, guess: Cursor, revision: Cursor): void {
		const known = this.#entries.get(key);
		if (known?.revision !== guess) return;
		const createdRevision = known.createdRevision === guess ? revision : known.createdRevision;
		this.#entries.set(key, { ...known, revision, createdRevision });
	}

	/** Its log does not go on from there: what is known of it says nothing any more. */
	lost(cursor: Cursor): void {
		if (cursor !== this.#head && !this.#ranges.some((range) => range.cursor === cursor)) return;
		this.#entries.clear();
		this.#ranges = [];
		this.#recent = [];
		this.#head = 0;
	}

	/** Takes what another tab, or an earlier page, knows beside it. */
	merge(other: KnownScope): void {
		this.at = Math.max(this.at, other.at);
		for (const range of this.#ranges) other.#cut(range);
		for (const [key, entry] of other.#entries) {
			if (this.#over(key) !== undefined) continue;
			const known = this.#entries.get(key);
			if (known === undefined || (known?.revision ?? 0) < (entry?.revision ?? 0))
				this.#entries.set(key, entry);
		}
		this.#ranges = [...this.#ranges, ...other.#ranges].sort((a, b) => compareKeys(a.from, b.from));
	}

	/** What is kept of it. */
	get data(): KnownData {
		const entries: WireEntry[] = [];
		const absent: string[] = [];
		for (const [key, entry] of this.#entries)
			if (entry !== null) entries.push(encodeEntry(entry));
			else if (this.#over(key) === undefined) absent.push(key);
			// Said by its range. It was kept for listings that had begun before it was deleted.
			else this.#entries.delete(key);
		return { at: this.at, ranges: this.#ranges, entries, absent };
	}

	/** The range that a key is in. */
	#over(key: string): Range | undefined {
		return this.#ranges.find((range) => isWithin(key, range));
	}

	/** Notes a key as it was at a head. */
	#take(key: string, entry: Entry | null, head: Cursor): void {
		const known = this.#entries.get(key);
		// Deleted since, or written since.
		const isOlder = known === null ? head < this.#head : (known?.revision ?? 0) > (entry?.revision ?? head);
		if (!isOlder) this.#entries.set(key, entry);
	}

	#apply({ previous, revision, changes }: LogRecord): void {
		for (const { key, entry } of changes) {
			const known = this.#entries.get(key);
			const range = this.#over(key);
			if (range === undefined ? known === undefined : revision <= range.cursor) continue;
			if ((known?.revision ?? 0) <= revision) this.#entries.set(key, entry);
		}
		this.#ranges = this.#ranges.map((range) =>
			range.cursor >= previous && range.cursor < revision ? { ...range, cursor: revision } : range,
		);
	}

	/** Takes a span out of what is listed. */
	#cut({ from, to }: KeySpan): void {
		this.#ranges = this.#ranges.flatMap((range) => {
			if (!isBefore(from, range.to) || !isBefore(range.from, to)) return [range];
			const left = isBefore(range.from, from) ? [{ ...range, to: from }] : [];
			return isBefore(to, range.to) ? [...left, { ...range, from: to as string }] : left;
		});
	}
}
