/** A transaction at work: notes what is read, merges what is written. */
import type { Add, Condition, Emit, Entry, Mutation, Put, Refused, Touch } from "./backend.js";
import type { AddOptions, Drafting } from "./drafting.js";
import type { Duration } from "./duration.js";
import type { HoldfastError } from "./error.js";
import { decodeKey } from "./key.js";
import type { Reading } from "./reading.js";
import { addToTally, type Tally } from "./reducer.js";
import type { StateEntry } from "./scope.js";
import { refusalError } from "./store.js";
import type { Transaction } from "./transaction.js";

/** What a transaction works with. */
export interface TransactionParts {
	readonly reading: Reading;
	readonly drafting: Drafting;
	read(key: string): Promise<Entry | null>;
	/** The entries under a prefix. */
	list(under: string): Promise<readonly Entry[]>;
	/** The store's clock. */
	now(): number;
}

/**
 * What is known, or what the store says now. Asked twice at once, the store may have changed in between: the first answer is told to both, since
 * only one can be the condition.
 */
async function told<T>(known: Map<string, T>, name: string, ask: () => Promise<T>): Promise<T> {
	if (!known.has(name)) {
		const answer = await ask();
		if (!known.has(name)) known.set(name, answer);
	}
	return known.get(name) as T;
}

/** What one run of a transaction's function asked for. */
// biome-ignore lint/suspicious/noExplicitAny: the types of a scope's keys exist in its interface only
export class OpenTransaction implements Transaction<any, any> {
	readonly #parts: TransactionParts;
	readonly #read = new Map<string, Entry | null>();
	readonly #listed = new Map<string, readonly Entry[]>();
	readonly #written = new Map<string, Exclude<Mutation, Emit>>();
	readonly #emitted: Emit[] = [];
	/** What was asked of a key before it was set or deleted: whether that can be done depends on what the store has. */
	readonly #asked = new Map<string, (Add | Touch)[]>();

	constructor(parts: TransactionParts) {
		this.#parts = parts;
	}

	get conditions(): Condition[] {
		if (this.#read.size + this.#listed.size === 0) return [];
		const keys = Array.from(this.#read, ([key, entry]) => ({ key, revision: entry?.revision ?? 0 }));
		const none: Tally = { count: 0, sum: 0 };
		const lists = Array.from(this.#listed, ([under, entries]) => ({
			under,
			...entries.reduce((tally, { revision }) => addToTally(tally, revision), none),
		}));
		return [...keys, ...lists];
	}

	get mutations(): Mutation[] {
		return [...this.#written.values(), ...this.#emitted];
	}

	/**
	 * Decides what one mutation of a key can't say: an absent key counts as its default, which the store takes for 0; several bounds; an
	 * extension beside an addition; what was asked of a key that was then set or deleted.
	 */
	async settle(): Promise<void> {
		for (const [key, asked] of this.#asked) {
			const written = this.#written.get(key) as Mutation;
			const start = this.#parts.reading.rule(key).default ?? 0;
			const isOpen = written.op === "add" || written.op === "touch";
			const isOne =
				asked.length === 1 ||
				asked.every(({ op }) => op === "touch") ||
				asked.every((step) => step.op === "add" && step.min === undefined && step.max === undefined);
			if (isOpen && isOne && (written.op === "touch" || start === 0)) continue;
			const entry = await this.#entry(key);
			if (isOpen && isOne && entry !== null) continue;
			const settled = this.#settled(key, asked, entry, start);
			if (isOpen) this.#written.set(key, settled);
		}
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async get(key: string): Promise<any> {
		const encoded = this.#parts.reading.key(key);
		const rule = this.#parts.reading.rule(encoded);
		const written = this.#written.get(encoded);
		if (written?.op === "put") return this.#parts.reading.written(written);
		if (written?.op === "delete") return rule.default;
		const entry = await this.#entry(encoded);
		const data = entry === null ? rule.default : this.#parts.reading.data(entry);
		return written?.op === "add" ? ((data as number | undefined) ?? 0) + written.by : data;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async entry(key: string): Promise<any> {
		const entry = await this.#entry(this.#parts.reading.key(key));
		return entry === null ? undefined : this.#parts.reading.entry(entry);
	}

	async has(key: string): Promise<boolean> {
		const encoded = this.#parts.reading.key(key);
		const written = this.#written.get(encoded);
		if (written !== undefined && written.op !== "touch") return written.op !== "delete";
		return (await this.#entry(encoded)) !== null;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async list(pattern = "**"): Promise<readonly any[]> {
		const { exact, under, matches } = this.#parts.reading.pattern(pattern);
		if (exact !== undefined) {
			const entry = (await this.entry(pattern)) as StateEntry | undefined;
			return entry === undefined ? [] : [entry];
		}
		const entries = await told(this.#listed, under, () => this.#parts.list(under));
		return entries.filter((entry) => matches(entry.key)).map((entry) => this.#parts.reading.entry(entry));
	}

	set(key: string, value: unknown, options: { readonly ttl?: Duration | null } = {}): void {
		const encoded = this.#parts.reading.key(key);
		this.#written.set(encoded, this.#parts.drafting.put(encoded, value, options.ttl));
	}

	delete(key: string): void {
		const encoded = this.#parts.reading.key(key);
		this.#parts.reading.rule(encoded);
		this.#written.set(encoded, { op: "delete", key: encoded });
	}

	increment(key: string, by = 1, options: AddOptions = {}): void {
		const encoded = this.#parts.reading.key(key);
		const add = this.#parts.drafting.add(encoded, by, options);
		const before = this.#written.get(encoded);
		if (before?.op === "put") {
			const put = this.#parts.drafting.put(encoded, this.#added(add, before.value.number), options.ttl);
			this.#written.set(encoded, add.ttl === undefined ? { ...put, ttl: before.ttl } : put);
		} else if (before?.op === "delete") {
			const start = this.#parts.reading.rule(encoded).default ?? 0;
			const put = this.#parts.drafting.put(encoded, this.#added(add, start), options.ttl);
			this.#written.set(encoded, put);
		} else {
			this.#ask(add);
			const by = before?.op === "add" ? before.by + add.by : add.by;
			this.#written.set(encoded, { ...before, ...add, by });
		}
	}

	touch(key: string, ttl: Duration): void {
		const encoded = this.#parts.reading.key(key);
		this.#parts.reading.rule(encoded);
		const touch = this.#parts.drafting.touch(encoded, ttl);
		const before = this.#written.get(encoded);
		if (before?.op === "delete") throw this.#refuse("absent", encoded);
		if (before?.op === "put") {
			const longest = before.ttl === null ? null : Math.max(before.ttl, touch.ttl);
			this.#written.set(encoded, { ...before, ttl: longest });
			return;
		}
		this.#ask(touch);
		if (before?.op === "touch")
			this.#written.set(encoded, { ...before, ttl: Math.max(before.ttl, touch.ttl) });
		else if (before === undefined) this.#written.set(encoded, touch);
	}

	emit(type: string, payload: unknown): void {
		this.#emitted.push(this.#parts.drafting.emit(type, payload));
	}

	/** What an addition makes of a number that this transaction knows. */
	#added({ key, by, min, max }: Add, current: unknown): number {
		if (typeof current !== "number") throw this.#refuse("type", key);
		const next = current + by;
		// Bounds of a transaction's own increment are plain numbers.
		if (next < ((min as number | undefined) ?? next) || next > ((max as number | undefined) ?? next))
			throw this.#refuse("bound", key);
		return next;
	}

	#ask(step: Add | Touch): void {
		const key = step.key as string;
		const asked = this.#asked.get(key) ?? [];
		asked.push(step);
		this.#asked.set(key, asked);
	}

	/** What was asked of a key, one after another, from what the store has: its bounds are judged here. */
	#settled(key: string, asked: readonly (Add | Touch)[], entry: Entry | null, start: unknown): Add | Put {
		let current = entry === null ? start : entry.value.number;
		let isThere = entry !== null;
		let by = 0;
		let ttl: number | undefined;
		for (const step of asked) {
			if (step.op === "add") {
				current = this.#added(step, current);
				isThere = true;
				by += step.by;
				ttl = step.ttl ?? ttl;
			} else if (isThere) {
				const expiresAt = entry?.expiresAt ?? null;
				const left = ttl ?? (expiresAt === null ? undefined : expiresAt - this.#parts.now());
				if (left !== undefined && left < step.ttl) ttl = step.ttl;
			} else throw this.#refuse("absent", key);
		}
		if (entry === null) return this.#parts.drafting.put(key, current, ttl);
		return { op: "add", key, by, ...(ttl !== undefined && { ttl }) };
	}

	#entry(key: string): Promise<Entry | null> {
		this.#parts.reading.rule(key);
		return told(this.#read, key, () => this.#parts.read(key));
	}

	#refuse(why: Refused["why"], key: string): HoldfastError {
		return refusalError(this.#parts.reading.scope, { why, entry: this.#read.get(key) }, decodeKey(key));
	}
}
