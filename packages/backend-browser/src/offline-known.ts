/**
 * What a page knows of one scope: entries, and the ranges in which what is not among them is absent. No input or output.
 *
 * Each range is as of its cursor: what happened up to there is in it, what happened since follows from the log. A key that was only read may be
 * older than what the others say. Of two words on a key the one of the later revision holds, an absence being of the head that it was told with.
 *
 * That is so within one **life** of the scope. The store may lose it, or go back to an older state, and then counts on from there: so an answer that
 * is behind what was known before it was asked for begins another life, in which nothing holds that was known, and nothing that was asked before.
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

/** That a key was not there, as of a head. */
interface Absence {
	readonly value?: undefined;
	readonly revision: Cursor;
}

/** A head, and when it was asked for or heard, by the device's clock. */
interface Told {
	readonly at: number;
	readonly head: Cursor;
}

/** What was known when the server was asked: its answer is judged by it. */
export interface Asked extends Told {
	readonly life: number;
}

/** The same as it is kept on the device. */
export interface KnownData {
	/** When the server last confirmed any of it, by the device's clock. */
	readonly at: number;
	readonly ranges: readonly Range[];
	readonly entries: readonly WireEntry[];
	/** Keys outside of the ranges that were read and not there, as of which head. */
	readonly absent: readonly (readonly [key: string, head: Cursor])[];
	/** Grows with each loss that a tab has noticed: what another one still keeps of before it is not taken. */
	readonly losses: number;
}

const isWithin = (key: string, { from, to }: KeySpan): boolean =>
	compareKeys(key, from) >= 0 && (to === null || compareKeys(key, to) < 0);

const isBefore = (a: string | null, b: string | null): boolean =>
	a !== null && (b === null || compareKeys(a, b) < 0);

/** A scope as far as it is known. */
export class KnownScope {
	/** When the server last confirmed any of it, by the device's clock. */
	at: number;
	/** Which life it is, in this page: what was noted in another one is gone. */
	life = 0;
	/** `undefined`: what the device keeps of it was not looked at yet. */
	#losses: number | undefined;
	readonly #entries = new Map<string, Entry | Absence>();
	/** In order, and none over another. */
	#ranges: Range[] = [];
	/** The last revision that was told of it. */
	#head: Cursor = 0;
	/** The last answer: when it was asked for, and the head that it told. */
	#asked: Told = { at: Number.NEGATIVE_INFINITY, head: 0 };
	/** What was taken from the device: when the last of it was heard at the latest, and its head. */
	#kept: Told = this.#asked;
	#recent: LogRecord[] = [];

	constructor(data?: KnownData) {
		this.at = data?.at ?? Number.NEGATIVE_INFINITY;
		if (data === undefined) return;
		this.#losses = data.losses;
		this.#ranges = [...data.ranges];
		for (const entry of data.entries) this.#set(entry.k, decodeEntry(entry));
		for (const [key, revision] of data.absent) this.#set(key, { revision });
		for (const { cursor } of data.ranges) this.#saw(cursor);
	}

	/** Whether nothing is known of it. */
	get isEmpty(): boolean {
		return this.#entries.size + this.#ranges.length === 0;
	}

	/** From where on its log tells the rest; `undefined` where nothing of it was listed. */
	get cursor(): Cursor | undefined {
		return this.#ranges.length === 0 ? undefined : Math.min(...this.#ranges.map(({ cursor }) => cursor));
	}

	/** What an answer will be judged by that is asked for at `at`, by the device's clock. */
	ask(at: number): Asked {
		return { life: this.life, head: this.#head, at };
	}

	/** Judges an answer by the head that it tells: whether what it says can be taken. */
	judge(asked: Asked, head: Cursor): boolean {
		if (asked.life !== this.life) return false;
		// What the device keeps may have been looked at since, but was known before.
		const before = Math.max(asked.head, this.#kept.at < asked.at ? this.#kept.head : 0);
		if (head < before) {
			// What was told since may be of the next life already, and newer.
			const isLast = before === this.#head;
			this.#begin();
			if (!isLast) return false;
		}
		this.#saw(head);
		this.#asked = { at: asked.at, head };
		return true;
	}

	/** What is under a key, `null` if nothing is; `undefined` if that is not known. */
	get(key: string, now: number): Entry | null | undefined {
		const known = this.#fact(key);
		return known && (known.value !== undefined && isLive(known, now) ? known : null);
	}

	/** A page of a listing; `undefined` where not all of it is known. */
	list({ from, to, limit }: KeyRange, now: number): Omit<ListPage, "head" | "now"> | undefined {
		let known: string | null = from;
		for (const range of this.#ranges)
			if (known !== null && !isBefore(known, range.from) && isBefore(known, range.to)) known = range.to;
		if (isBefore(known, to)) return undefined;
		const entries = [...this.#entries.values()]
			.filter((one) => one.value !== undefined && isWithin(one.key, { from, to }) && isLive(one, now))
			.sort((a, b) => compareKeys((a as Entry).key, (b as Entry).key)) as Entry[];
		return { entries: entries.slice(0, limit), next: entries[limit]?.key ?? null };
	}

	/** Takes the answer to a read. */
	answered(keys: readonly string[], { head, entries }: ReadAnswer): void {
		// What is reserved is nobody's to read without the server.
		for (const [i, key] of keys.entries())
			if (isUnder(key, "")) this.#take(key, entries[i] ?? { revision: head });
	}

	/** Takes a page of a listing. */
	listed({ from, to }: KeyRange, { entries, next, head }: ListPage): void {
		const span = { from, to: next ?? to };
		const there = new Set(entries.map(({ key }) => key));
		for (const key of this.#entries.keys())
			if (!there.has(key) && isWithin(key, span)) this.#take(key, { revision: head });
		for (const entry of entries) this.#take(entry.key, entry);
		this.#cover({ ...span, cursor: head });
		// What came while it was on its way.
		for (const record of this.#recent) if (record.revision > head) this.#apply(record);
	}

	/** Takes a record of the log; it may have had it before. */
	record(record: LogRecord): void {
		if (record.revision > (this.#recent.at(-1)?.revision ?? 0) && this.#recent.push(record) > recentLimit)
			this.#recent.shift();
		this.#saw(record.revision);
		this.#apply(record);
	}

	/** Takes what a commit of this page has made of a key. */
	wrote(key: string, entry: Entry | null, revision: Cursor): void {
		this.#saw(revision);
		const known = this.#fact(key);
		if ((known?.revision ?? 0) < revision && (known ?? entry)) this.#set(key, entry ?? { revision });
	}

	/** What was written under a key is of an earlier revision than was thought. */
	redate(key: string, guess: Cursor, revision: Cursor): void {
		const known = this.#entries.get(key);
		if (known?.revision !== guess || known.value === undefined) return;
		const createdRevision = known.createdRevision === guess ? revision : known.createdRevision;
		this.#set(key, { ...known, revision, createdRevision });
	}

	/** Its log, which was asked for, does not go on from there: what is known of it says nothing any more. */
	lost(cursor: Cursor): void {
		if (cursor === this.#head || this.#ranges.some((range) => range.cursor === cursor)) this.#begin();
	}

	/** Takes what another tab, or an earlier page, has kept on the device. */
	merge(other: KnownScope): void {
		const losses = other.#losses ?? 0;
		const mine = this.#losses ?? losses;
		// It was heard before the server said that it has less, or by a tab that has not noticed yet.
		if (losses < mine || (other.at < this.#asked.at && other.#head > this.#asked.head)) {
			this.#losses = Math.max(mine, losses + 1);
			return;
		}
		if (losses > mine) this.#begin();
		this.#losses = losses;
		this.at = Math.max(this.at, other.at);
		this.#kept = { at: Math.max(this.#kept.at, other.at), head: Math.max(this.#kept.head, other.#head) };
		for (const key of [...this.#entries.keys(), ...other.#entries.keys()]) {
			const told = other.#fact(key);
			if (told !== undefined) this.#take(key, told);
		}
		for (const range of [...this.#ranges, ...other.#ranges].sort((a, b) => a.cursor - b.cursor))
			this.#cover(range);
	}

	/** What is kept of it. */
	get data(): KnownData {
		const entries: WireEntry[] = [];
		const absent: [string, Cursor][] = [];
		for (const [key, known] of this.#entries)
			if (known.value !== undefined) entries.push(encodeEntry(known));
			else if (this.#over(key) === undefined) absent.push([key, known.revision]);
			// Said by its range. It was kept for listings that had begun before it was deleted.
			else this.#entries.delete(key);
		return { at: this.at, ranges: this.#ranges, entries, absent, losses: this.#losses ?? 0 };
	}

	/** Nothing of what is known holds any more. */
	#begin(): void {
		this.life++;
		if (this.#losses !== undefined) this.#losses++;
		this.#entries.clear();
		this.#ranges = [];
		this.#recent = [];
		this.#head = 0;
		this.#kept = { at: this.#kept.at, head: 0 };
	}

	#saw(revision: Cursor): void {
		this.#head = Math.max(this.#head, revision);
	}

	#set(key: string, known: Entry | Absence): void {
		this.#entries.set(key, known);
		this.#saw(known.revision);
	}

	/** The range that a key is in. */
	#over(key: string): Range | undefined {
		return this.#ranges.find((range) => isWithin(key, range));
	}

	/** What is known of a key: by itself, or because it is missing where all is known. */
	#fact(key: string): Entry | Absence | undefined {
		const range = this.#over(key);
		return this.#entries.get(key) ?? (range && { revision: range.cursor });
	}

	#take(key: string, told: Entry | Absence): void {
		if ((this.#fact(key)?.revision ?? 0) <= told.revision) this.#set(key, told);
	}

	#apply({ previous, revision, changes }: LogRecord): void {
		for (const { key, entry } of changes) {
			const range = this.#over(key);
			if (range === undefined ? this.#entries.has(key) : revision > range.cursor)
				this.#take(key, entry ?? { revision });
		}
		this.#ranges = this.#ranges.map((range) =>
			range.cursor >= previous && range.cursor < revision ? { ...range, cursor: revision } : range,
		);
	}

	/** Takes a range, over what there is. */
	#cover(range: Range): void {
		this.#cut(range);
		this.#ranges.push(range);
		this.#ranges.sort((a, b) => compareKeys(a.from, b.from));
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
