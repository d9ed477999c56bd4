/** A scope at work: turns what the application asks into reads and commits, and everything else into the parts that do it. */
import type {
	CommitOutcome,
	Committed,
	Condition,
	Entry,
	Mutation,
	Put,
	ReadAnswer,
	Retention,
	ScopeId,
	Soon,
} from "./backend.js";
import { type Committer, Lane } from "./committer.js";
import { type Bounds, type Draft, Drafting } from "./drafting.js";
import { type Duration, parseDuration } from "./duration.js";
import { isHoldfastError } from "./error.js";
import { Feed } from "./feed.js";
import { Following } from "./following.js";
import { decodeKey, parseScopeId, spanUnder } from "./key.js";
import type { HeldLease } from "./lease.js";
import type { Leases } from "./leases.js";
import { Lines } from "./lines.js";
import { Listeners } from "./listeners.js";
import { type Listed, listEntries } from "./listing.js";
import { LiveEvents } from "./live-events.js";
import { LiveMirror } from "./live-mirror.js";
import type { Lease, LockAttempt, LockOptions, LockRequest } from "./lock.js";
import { Locks } from "./locks.js";
import type { MirrorOptions } from "./mirror.js";
import { OpenTransaction } from "./open-transaction.js";
import type { Reader, ReadPatience } from "./reader.js";
import { Reading } from "./reading.js";
import type {
	CallOptions,
	ChangesOptions,
	CommitResult,
	DeleteOptions,
	IncrementOptions,
	ListOptions,
	ReadOptions,
	Scope,
	SetOptions,
	StateEntry,
	UpdateOptions,
	WriteOptions,
} from "./scope.js";
import { andThen, isLater } from "./soon.js";
import type { StateRules } from "./state.js";
import { type Patience, type Store, scopeError } from "./store.js";
import type { SubscribeOptions, Subscription } from "./subscription.js";

/** What a scope works with: the parts of its manager, and what holds for its kind. */
export interface ScopeParts {
	readonly store: Store;
	readonly reader: Reader;
	readonly committer: Committer;
	readonly feeds: Set<Feed>;
	readonly leases: Leases;
	readonly state: StateRules;
	readonly bounds: Bounds;
	readonly keep: Retention;
	/** The ttl of entries that have none of their own. */
	readonly ttl: number | null;
}

/** Decides what to write by what is there. */
type Decide = (key: string, entry: Entry | null) => Soon<Mutation | undefined>;

interface Swapped {
	/** What was there. */
	readonly entry: Entry | null;
	/** What was written in its place. */
	readonly put?: Put;
}

/** How often a conflict is tried again before it is told. */
const maxAttempts = 100;

const none = {};

const unconditional: readonly never[] = [];

// biome-ignore lint/suspicious/noExplicitAny: the types of its keys exist in the interface only
export class LiveScope implements Scope<any, any> {
	readonly kind: string;
	readonly id: string | undefined;
	readonly events: LiveEvents;
	/** How long the whole scope outlives its last use, in ms; `undefined`: for ever. */
	slide: number | undefined;
	readonly #scope: ScopeId;
	readonly #parts: ScopeParts;
	readonly #lane: Lane;
	readonly #reading: Reading;
	readonly #drafting: Drafting;
	readonly #feed: Feed;
	readonly #listeners: Listeners;
	readonly #locks: Locks;
	readonly #updates = new Lines();
	readonly #additions = new Lines();
	#slid = Number.NEGATIVE_INFINITY;

	constructor(scope: ScopeId, parts: ScopeParts) {
		const { kind, id } = parseScopeId(scope);
		this.kind = kind;
		this.id = id;
		this.#scope = scope;
		this.#parts = parts;
		const { store, reader } = parts;
		this.#lane = new Lane(scope, parts.keep);
		this.#reading = new Reading(scope, store, parts.state, kind);
		this.#drafting = new Drafting(store, this.#reading, parts.bounds, parts.ttl);
		this.#feed = new Feed(this.#lane, parts);
		const shared = { store, reader, reading: this.#reading, feed: this.#feed };
		this.#listeners = new Listeners(shared);
		const submit = (draft: Draft, patience?: Patience, closing?: boolean): Soon<CommitOutcome> =>
			this.#submit(draft, patience, closing);
		this.#locks = new Locks({ ...shared, scope, leases: parts.leases, submit });
		this.events = new LiveEvents({
			...shared,
			event: (type, payload) => this.#drafting.emit(type, payload),
			write: (fact, options) => this.#write([fact], [], options),
		});
		// The lane outlives this object's last user while it has work: by this it keeps the scope from being made twice.
		this.#lane.answered = (answer) => this.#feed.answered(answer);
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	get(key: string, options?: ReadOptions): Promise<any> {
		// `get` and `set` are not async functions: an embedded store answers at once, and those cost as much as the rest of the call.
		try {
			const encoded = this.#reading.key(key);
			const read = this.#read([encoded], options);
			return isLater(read)
				? read.then(({ entries }) => this.#value(encoded, entries[0]))
				: Promise.resolve(this.#value(encoded, read.entries[0]));
		} catch (error) {
			return Promise.reject(error);
		}
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async getMany(keys: readonly string[], options?: ReadOptions): Promise<any> {
		const encoded = keys.map((key) => this.#reading.key(key));
		const { entries } = await this.#read(encoded, options);
		return encoded.map((key, i) => this.#value(key, entries[i]));
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async entry(key: string, options?: ReadOptions): Promise<any> {
		const entry = await this.#entry(this.#known(key), options);
		return entry === null ? undefined : this.#reading.entry(entry);
	}

	async has(key: string, options?: ReadOptions): Promise<boolean> {
		return (await this.#entry(this.#known(key), options)) !== null;
	}

	set(key: string, value: unknown, options: SetOptions = none): Promise<number> {
		try {
			const encoded = this.#reading.key(key);
			const put = this.#drafting.put(encoded, value, options.ttl);
			const written = this.#write([put], this.#expect(encoded, options), options, key);
			return isLater(written) ? written.then(({ revision }) => revision) : Promise.resolve(written.revision);
		} catch (error) {
			return Promise.reject(error);
		}
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	getOrSet(key: string, value: unknown, options: UpdateOptions = none): Promise<any> {
		const add = async (): Promise<unknown> => {
			const { entry, put } = await this.#swap(key, options, async (encoded, present) => {
				if (present !== null) return undefined;
				const given: unknown = await (typeof value === "function" ? (value as () => unknown)() : value);
				return this.#drafting.put(encoded, given, options.ttl);
			});
			return entry === null ? this.#reading.written(put as Put) : this.#reading.data(entry);
		};
		return this.#additions.run(key, add, this.#inLine(key, options));
	}

	update(
		key: string,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
		change: (value: any) => unknown,
		options: UpdateOptions = none,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
	): Promise<any> {
		const run = (): Soon<unknown> => {
			const decided: Decide = (encoded, entry) => {
				const decide = (next: unknown): Mutation | undefined => {
					if (next !== undefined) return this.#drafting.put(encoded, next, options.ttl);
					return entry === null ? undefined : { op: "delete", key: encoded };
				};
				return andThen(change(this.#value(encoded, entry)), decide);
			};
			return andThen(this.#swap(key, options, decided, true), ({ put }) =>
				put === undefined ? this.#value(this.#reading.key(key), null) : this.#reading.written(put),
			);
		};
		return this.#updates.run(key, run, this.#inLine(key, options));
	}

	async delete(key: string, options: DeleteOptions = none): Promise<boolean> {
		const encoded = this.#known(key);
		const conditions = this.#expect(encoded, options);
		return (await this.#write([{ op: "delete", key: encoded }], conditions, options, key)).changes > 0;
	}

	async clear(pattern = "**", options: WriteOptions = none): Promise<number> {
		let cleared = 0;
		let deletes: Mutation[] = [];
		const flush = async (): Promise<void> => {
			if (deletes.length > 0) cleared += (await this.#write(deletes, [], options, pattern)).changes;
			deletes = [];
		};
		for await (const { key } of this.#list(this.#reading.pattern(pattern), options)) {
			if (deletes.push({ op: "delete", key }) >= this.#parts.bounds.commitMutations) await flush();
		}
		await flush();
		return cleared;
	}

	async *list(
		pattern = "**",
		{ limit, after, ...options }: ListOptions = none,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
	): AsyncGenerator<any> {
		this.#reading.whole(pattern, { limit }, Number.POSITIVE_INFINITY);
		const behind = after === undefined ? undefined : this.#reading.key(after);
		for await (const entry of this.#list(
			{ ...this.#reading.pattern(pattern), limit, after: behind },
			options,
		))
			yield this.#reading.entry(entry);
	}

	async count(pattern = "**", options: CallOptions = none): Promise<number> {
		let count = 0;
		for await (const _ of this.#list(this.#reading.pattern(pattern), options)) count++;
		return count;
	}

	// biome-ignore lint/suspicious/noExplicitAny: a number, or a result where bounds are given
	async increment(key: string, by = 1, options: IncrementOptions = none): Promise<any> {
		const encoded = this.#reading.key(key);
		const start = this.#reading.rule(encoded).default ?? 0;
		const isBounded = (options.min ?? options.max) !== undefined;
		try {
			let value: unknown;
			if (start === 0) {
				const written = this.#write([this.#drafting.add(encoded, by, options)], [], options, key);
				[value] = (isLater(written) ? await written : written).numbers;
			} else {
				// The store counts an absent key as 0; a default says otherwise, and only core knows it.
				const add = (tx: OpenTransaction): Promise<unknown> => {
					tx.increment(key, by, options);
					return tx.get(key);
				};
				({ value } = await this.commit(add, options));
			}
			return isBounded ? { ok: true, value } : value;
		} catch (error) {
			if (!isBounded || !isHoldfastError(error, "out-of-bounds")) throw error;
			return { ok: false, value: error.entry?.value.number ?? start };
		}
	}

	async touch(key: string, ttl: Duration, options: CallOptions = none): Promise<boolean> {
		const encoded = this.#known(key);
		this.#timely(options, encoded);
		const outcome = await this.#submit({ do: [this.#drafting.touch(encoded, ttl)] }, options);
		if (!outcome.ok && outcome.why !== "absent") throw this.#drafting.refusal(outcome, none, 0, key);
		return outcome.ok;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	async commit<T>(work: (tx: any) => T | Promise<T>, options: WriteOptions = none): Promise<CommitResult<T>> {
		this.#timely(options);
		for (let attempt = 1; ; attempt++) {
			const tx = new OpenTransaction({
				reading: this.#reading,
				drafting: this.#drafting,
				read: (key) => this.#entry(key, options),
				list: (under) => this.#under(under, options),
				now: () => this.#parts.store.now(),
			});
			const worked = work(tx);
			const value = isLater(worked) ? await worked : worked;
			await tx.settle();
			const { conditions, mutations } = tx;
			const submitted = this.#submit(this.#drafting.draft(mutations, conditions, options), options);
			const outcome = isLater(submitted) ? await submitted : submitted;
			if (outcome.ok) return { revision: outcome.revision, value };
			// Of a fence, or where the whole commit was refused, there is none.
			const about = (outcome.why === "condition" ? conditions : mutations)[outcome.index];
			const key = (about as { readonly key?: string | null } | undefined)?.key;
			await this.#again(attempt, outcome, conditions.length, options, key ? decodeKey(key) : undefined);
		}
	}

	async notify(key: string, options: WriteOptions = none): Promise<boolean> {
		const { put } = await this.#swap(key, options, (encoded, entry) => {
			if (entry === null) return undefined;
			const { value, expiresAt } = entry;
			return {
				op: "put",
				key: encoded,
				value,
				ttl: expiresAt === null ? null : expiresAt - this.#parts.store.now(),
			};
		});
		return put !== undefined;
	}

	subscribe(
		pattern: string,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
		listener: (change: any) => unknown,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
		options: SubscribeOptions<any, any> = none,
	): Subscription {
		const { from, initial = false, throttle = 0, coalesce = "latest", queue = 1000, own = true } = options;
		const { onReset, signal } = options;
		if (coalesce === "reset" && onReset === undefined)
			throw scopeError(this.#scope, "invalid-argument", 'coalesce: "reset" needs onReset', {
				key: pattern,
			});
		this.#reading.whole(pattern, { from, queue });
		const gather = this.#reading.locate(pattern, () => parseDuration(throttle, "throttle"));
		const parsed = { from, initial, throttle: gather, coalesce, queue, own, onReset, signal };
		return this.#listeners.add(this.#reading.pattern(pattern), listener, parsed);
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	changes({ from, signal }: ChangesOptions = none): AsyncIterable<any> {
		this.#reading.whole(undefined, { from });
		const following = new Following(this.#feed, this.#parts.store, "changes", from, signal);
		const records = this.#records(following);
		const end = records.return.bind(records);
		// A generator's own `return` waits for the record that is waited for, and does nothing where none ever was.
		records.return = (value) => {
			following.stop();
			return end(value);
		};
		return records;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	mirror(pattern = "**", options: MirrorOptions<any, any> = none): LiveMirror {
		const { initial = [], signal } = options;
		const parts = { store: this.#parts.store, reading: this.#reading, feed: this.#feed };
		return new LiveMirror(this.#reading.pattern(pattern), initial as readonly StateEntry[], signal, parts);
	}

	// biome-ignore lint/suspicious/noExplicitAny: three overloads, told apart by what is given
	lock(name: string, options?: any, work?: (lease: Lease) => unknown): Promise<any> {
		const bare = typeof options === "function";
		const given = bare ? (options as (lease: Lease) => unknown) : work;
		try {
			this.#timely(bare ? none : options, name);
			const taken = this.#locks.take(name, bare ? none : (options as LockOptions));
			return Promise.resolve(given === undefined ? taken : this.#holding(taken, given));
		} catch (error) {
			return Promise.reject(error);
		}
	}

	/** Works under a lease, and lets go of it whatever the work does. */
	#holding(taken: Soon<HeldLease>, work: (lease: Lease) => unknown): unknown {
		if (isLater(taken)) return taken.then((lease) => this.#holding(lease, work));
		let worked: unknown;
		try {
			worked = work(taken);
		} catch (error) {
			worked = Promise.reject(error);
		}
		if (isLater(worked)) return Promise.resolve(worked).finally(() => taken.release());
		const freed = taken.free();
		return isLater(freed) ? freed.then(() => worked) : worked;
	}

	async tryLock(name: string, options: LockRequest = none): Promise<LockAttempt> {
		this.#timely(options, name);
		return this.#locks.try(name, options);
	}

	async drop(options: CallOptions = none): Promise<void> {
		this.#timely(options);
		await this.#parts.store.ask(this.#scope, (backend) => backend.drop(this.#scope), options);
	}

	/** A key, encoded, for calls that do not look at its rule anyway. */
	#known(key: string): string {
		const encoded = this.#reading.key(key);
		this.#reading.rule(encoded);
		return encoded;
	}

	#value(key: string, entry: Entry | null | undefined): unknown {
		return entry ? this.#reading.data(entry) : this.#reading.rule(key).default;
	}

	/** Refuses what says no time, also where the store answers at once or has nothing near: else it would pass until the day that it matters. */
	#timely({ timeout = 0, maxAge = 0 }: ReadPatience = none, key?: string): void {
		if (timeout === 0 && maxAge === 0) return;
		this.#reading.locate(key, () => {
			parseDuration(timeout, "timeout");
			parseDuration(maxAge, "maxAge");
		});
	}

	#read(keys: readonly string[], options: ReadPatience | undefined): Soon<ReadAnswer> {
		this.#timely(options, keys[0]);
		this.#keepSession();
		return andThen(this.#parts.reader.read(this.#scope, keys, options, this.#lane.idle), (answer) => {
			this.#lane.seen(answer.head);
			return answer;
		});
	}

	async #entry(key: string, options: ReadPatience | undefined): Promise<Entry | null> {
		const read = this.#read([key], options);
		return (isLater(read) ? await read : read).entries[0] ?? null;
	}

	#list(listed: Listed, options: Patience): AsyncGenerator<Entry, void> {
		this.#timely(options);
		this.#keepSession();
		return listEntries(this.#parts.store, this.#scope, listed, options);
	}

	async #under(under: string, options: Patience): Promise<Entry[]> {
		const found: Entry[] = [];
		const everything = { span: spanUnder(under), matches: () => true };
		for await (const entry of this.#list(everything, options)) found.push(entry);
		return found;
	}

	async *#records(following: Following): AsyncGenerator {
		for await (const followed of following) {
			if ("record" in followed) {
				const record = this.#reading.record(followed.record);
				// What locks write is nobody else's business.
				if (record.changes.length + record.events.length > 0) yield record;
			} else if ("state" in followed) {
				const { entries, revision } = followed.state;
				yield { type: "reset", revision, entries: entries.map((entry) => this.#reading.entry(entry)) };
			}
		}
	}

	/** Reading a session keeps it, too; a touch for each read would be waste. */
	#keepSession(): void {
		const { store } = this.#parts;
		if (this.slide === undefined || store.clock.monotonic() - this.#slid < this.slide / 10) return;
		const kept = (async () => this.#submit({ do: [] }))();
		kept.catch((error: unknown) => store.report(error, "a session could not be kept alive", this.#scope));
	}

	#expect(key: string, { ifAbsent, ifRevision: revision }: SetOptions): readonly Condition[] {
		if (revision !== undefined) this.#reading.whole(key, { ifRevision: revision });
		const expected = revision === undefined ? unconditional : [{ key, revision }];
		return ifAbsent === true ? [{ key, revision: 0 }, ...expected] : expected;
	}

	/** Waits for one's turn behind other calls of this process, whose functions may never end, for as long as patience lasts. */
	#inLine(key: string, options: Patience): (turn: Promise<unknown>) => Promise<unknown> {
		const behind = "it waited for another call on this key, whose function is not done; nothing was written";
		return (turn) =>
			this.#parts.store.within(turn, this.#scope, options, () =>
				scopeError(this.#scope, "timeout", behind, { key }),
			);
	}

	/** Writes what is decided by what is there, and decides again where that has changed meanwhile. */
	#swap(key: string, options: UpdateOptions, decide: Decide, deferrable?: true): Soon<Swapped> {
		const encoded = this.#known(key);
		// It may turn out that there is nothing to write.
		if (options.ttl != null) this.#drafting.touch(encoded, options.ttl);
		return andThen(this.#read([encoded], options), ({ entries }) =>
			this.#trySwap(encoded, entries[0] ?? null, options, decide, deferrable, 1),
		);
	}

	#trySwap(
		key: string,
		entry: Entry | null,
		options: WriteOptions,
		decide: Decide,
		deferrable: true | undefined,
		attempt: number,
	): Soon<Swapped> {
		return andThen(decide(key, entry), (mutation): Soon<Swapped> => {
			if (mutation === undefined) return { entry };
			const conditions = [{ key, revision: entry?.revision ?? 0 }];
			const submitted = this.#submit(
				this.#drafting.draft([mutation], conditions, options, deferrable),
				options,
			);
			return andThen(submitted, (outcome): Soon<Swapped> => {
				if (outcome.ok) return mutation.op === "put" ? { entry, put: mutation } : { entry };
				return this.#again(attempt, outcome, 1, options, decodeKey(key)).then(() =>
					this.#trySwap(key, outcome.entry, options, decide, deferrable, attempt + 1),
				);
			});
		});
	}

	/** Writes, and makes a refusal an error. */
	#write(
		mutations: readonly Mutation[],
		conditions: readonly Condition[],
		options: WriteOptions = none,
		key?: string,
	): Soon<Committed> {
		this.#timely(options, key);
		const submitted = this.#submit(this.#drafting.draft(mutations, conditions, options), options);
		return andThen(submitted, (outcome) => {
			if (outcome.ok) return outcome;
			throw this.#drafting.refusal(outcome, options, conditions.length, key);
		});
	}

	#submit(draft: Draft, patience?: Patience, closing = false): Soon<CommitOutcome> {
		const { store, committer } = this.#parts;
		if (!closing) store.assertOpen(this.#scope);
		// A session's own deadline is not the application's to count.
		const bytes = this.#drafting.measure(draft.do);
		if (this.slide === undefined)
			return (
				committer.now(this.#lane, draft, patience) ?? committer.submit(this.#lane, draft, bytes, patience)
			);
		this.#slid = store.clock.monotonic();
		const sliding = { ...draft, do: [...draft.do, { op: "touch" as const, key: null, ttl: this.slide }] };
		return committer.submit(this.#lane, sliding, bytes, patience);
	}

	/** Waits a little before another attempt, longer each time and at random, so that those who conflict don't meet again. */
	async #again(
		attempt: number,
		outcome: CommitOutcome & { readonly ok: false },
		conditions: number,
		options: WriteOptions,
		key?: string,
	): Promise<void> {
		if (!this.#drafting.isStale(outcome, conditions) || attempt === maxAttempts)
			throw this.#drafting.refusal(outcome, options, conditions, key);
		options.signal?.throwIfAborted();
		const { clock, random } = this.#parts.store;
		if (attempt < 3) return;
		await new Promise<void>(
			(resolve) => void clock.after(random() * Math.min(2 ** (attempt - 2), 100), resolve),
		);
	}
}
