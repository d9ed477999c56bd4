/** A scope as the application uses it. */
import type { Json } from "./backend.js";
import type { Duration } from "./duration.js";
import type { ScopeEvents } from "./events.js";
import type { Lease, LockAttempt, LockOptions, LockRequest } from "./lock.js";
import type { Mirror, MirrorOptions } from "./mirror.js";
import type {
	EventSchemas,
	Fields,
	KeyIn,
	MembersOf,
	PatternIn,
	UntypedEvents,
	UntypedFields,
	ValueAt,
	ValueFrom,
	ValueTo,
} from "./state.js";
import type { ChangeListener, SubscribeOptions, Subscription } from "./subscription.js";
import type { ScopeRecord, ScopeReset } from "./tail.js";
import type { Transaction } from "./transaction.js";

/** What every call takes. */
export interface CallOptions {
	/** How long the call may take before it fails as `timeout` or `outcome-unknown`. Default: the manager's, 5 s. */
	readonly timeout?: Duration;
	/** Gives the call up: it rejects with the signal's reason. What was already handed to the store may still happen. */
	readonly signal?: AbortSignal;
}

/** Options of a read. */
export interface ReadOptions extends CallOptions {
	/**
	 * How long ago the store may have confirmed what a near cache answers; 0: ask the store. Default: the cache's. Without a cache every
	 * read asks the store.
	 */
	readonly maxAge?: Duration;
}

/** What every write takes. */
export interface WriteOptions extends CallOptions {
	/** Who and why: stored with the commit, its changes, its events and the entries that it wrote. */
	readonly metadata?: Json;
	/** `false`: listeners are not called; mirrors apply the change all the same. Default `true`. */
	readonly notify?: boolean;
	/** A lease on a lock of this scope: the write is refused as `lease-lost` once another holds the lock. */
	readonly fence?: Lease;
	/**
	 * `deferred`: a page's offline queue may answer once it keeps the write itself, and send it later; the revision is 0 then. Where there is no
	 * such queue, or the write has conditions (`ifRevision`, a fence, a transaction that reads; not `update`), it is the same as `confirmed`: the
	 * answer comes after the store's. Default `confirmed`.
	 */
	readonly durability?: "confirmed" | "deferred";
}

/** Options of `set`. */
export interface SetOptions extends WriteOptions {
	/** How long the entry lives, from the store's clock; `null`: for ever. Default: the key's, the scope's, the manager's, none. */
	readonly ttl?: Duration | null;
	/** Refuse with `conflict` where the key is present. */
	readonly ifAbsent?: boolean;
	/** Refuse with `conflict` unless the entry has this revision; 0: unless it is absent. */
	readonly ifRevision?: number;
}

/** Options of `update` and `getOrSet`. */
export type UpdateOptions = Omit<SetOptions, "ifAbsent" | "ifRevision">;

/** Options of `delete`. */
export interface DeleteOptions extends WriteOptions {
	/** Refuse with `conflict` unless the entry has this revision. */
	readonly ifRevision?: number;
}

/** Options of `increment`. */
export interface IncrementOptions extends WriteOptions {
	/** How long the entry lives after this. Default: the key's, the scope's, the manager's, else it keeps its deadline. */
	readonly ttl?: Duration;
	/** Refuse an increment that would go below. */
	readonly min?: number;
	/** Refuse an increment that would go above. */
	readonly max?: number;
}

/** How a bounded increment ended: a refusal is a result, so that it is never mistaken for an outage. */
export type IncrementResult =
	| { readonly ok: true; readonly value: number }
	/** The bound would have been passed; `value` is the present number. */
	| { readonly ok: false; readonly value: number };

/** Options of `list`, `count` and `clear`. */
export interface ListOptions extends CallOptions {
	/** How many entries at most. Default: all. */
	readonly limit?: number;
	/** Start behind this key. */
	readonly after?: string;
}

/** A key's value and what is known of it. */
export interface StateEntry<K extends string = string, V = unknown> {
	readonly key: K;
	readonly value: V;
	/** The revision of the commit that last wrote it: its version for compare-and-set. */
	readonly revision: number;
	/** The revision of the commit that created it. */
	readonly createdRevision: number;
	/** When it expires, ms since 1970 by the store's clock; `null`: never. */
	readonly expiresAt: number | null;
	/** The metadata of the commit that last wrote it. */
	readonly metadata: Json | undefined;
}

/** Entries under a pattern. */
export type EntriesOf<F extends Fields, P extends string> =
	MembersOf<F, P> extends infer M
		? M extends { readonly key: infer K extends string; readonly value: infer V }
			? StateEntry<K, V>
			: never
		: never;

/** What a transaction did. */
export interface CommitResult<T> {
	/** The revision of the commit; the scope's head where nothing was written. */
	readonly revision: number;
	/** What the function returned. */
	readonly value: T;
}

/** Options of `changes`. */
export interface ChangesOptions {
	/** The cursor to go on from. Default: now. */
	readonly from?: number;
	/** Ends the iteration. */
	readonly signal?: AbortSignal;
}

/**
 * The unit of isolation, ordering and subscription: `shared`, a user's, a session's, or one of the application's own kinds.
 *
 * Every method rejects with a {@link HoldfastError} that names the scope, the key and the way out. A call settles within its
 * time-out. Values that are read are deeply frozen, and the same reference until the entry changes.
 */
export interface Scope<F extends Fields = UntypedFields, E extends EventSchemas = UntypedEvents> {
	/** `shared`, `user`, `session`, or the application's own. */
	readonly kind: string;
	/** Which one of its kind; `undefined` for `shared`. */
	readonly id: string | undefined;
	/** The scope's log of facts. */
	readonly events: ScopeEvents<E>;

	/** Reads a value; the key's default, else `undefined`, where it is absent. */
	get<K extends KeyIn<F>>(key: K, options?: ReadOptions): Promise<ValueFrom<F, K>>;
	/** Reads several values of one instant. */
	getMany<const K extends readonly KeyIn<F>[]>(
		keys: K,
		options?: ReadOptions,
	): Promise<{ [I in keyof K]: ValueFrom<F, K[I] & string> }>;
	/** Reads a value with its revision, deadline and metadata; `undefined` where it is absent, also if it has a default. */
	entry<K extends KeyIn<F>>(key: K, options?: ReadOptions): Promise<StateEntry<K, ValueAt<F, K>> | undefined>;
	/** Whether a key is present; a default does not count. */
	has(key: KeyIn<F>, options?: ReadOptions): Promise<boolean>;
	/**
	 * Writes a value and answers the commit's revision.
	 *
	 * @example
	 * ```ts
	 * await mine.set("filters", { min: 10 }, { ttl: "30m", ifAbsent: true });
	 * ```
	 */
	set<K extends KeyIn<F>>(key: K, value: ValueTo<F, K>, options?: SetOptions): Promise<number>;
	/** Reads a value, or writes and answers the given one where the key is absent. A function is called once per key at a time in this process. */
	getOrSet<K extends KeyIn<F>, const V extends ValueTo<F, K>>(
		key: K,
		value: V | (() => V | Promise<V>),
		options?: UpdateOptions,
	): Promise<ValueAt<F, K>>;
	/**
	 * Replaces a value by what a function makes of it, by compare-and-set: no other write gets lost. The function may be called again after a
	 * conflict; returning `undefined` deletes the key. Keeps no deadline unless `ttl` says one.
	 *
	 * @example
	 * ```ts
	 * await shared.update("counter", (n) => n + 1);
	 * ```
	 */
	update<K extends KeyIn<F>, const V extends ValueTo<F, K> | undefined>(
		key: K,
		change: (value: ValueFrom<F, K>) => V | Promise<V>,
		options?: UpdateOptions,
	): Promise<ValueFrom<F, K>>;
	/** Removes a key and answers whether it was there. */
	delete(key: KeyIn<F>, options?: DeleteOptions): Promise<boolean>;
	/** Removes every key under a pattern (all, by default), in commits of at most 1,000, and answers how many there were. */
	clear(pattern?: PatternIn<F>, options?: WriteOptions): Promise<number>;
	/**
	 * Iterates over the entries under a pattern in key order, page by page.
	 *
	 * @example
	 * ```ts
	 * for await (const { key, value } of shared.list("positions/*")) console.log(key, value);
	 * ```
	 */
	list<const P extends PatternIn<F> = "**">(
		pattern?: P,
		options?: ListOptions,
	): AsyncIterable<EntriesOf<F, P>>;
	/** Counts the entries under a pattern. */
	count(pattern?: PatternIn<F>, options?: CallOptions): Promise<number>;
	/** Adds to a number atomically (an absent key counts as its default, else 0) and answers the sum. */
	increment(
		key: KeyIn<F>,
		by?: number,
		options?: IncrementOptions & { readonly min?: undefined; readonly max?: undefined },
	): Promise<number>;
	/** Adds within bounds; a refusal is a result. */
	increment(key: KeyIn<F>, by: number, options: IncrementOptions): Promise<IncrementResult>;
	/** Extends an entry's deadline without writing it: no revision, no change. Answers `false` where the key is absent. */
	touch(key: KeyIn<F>, ttl: Duration, options?: CallOptions): Promise<boolean>;
	/**
	 * Runs a transaction: what it writes is applied at once, in one revision, if what it read still stands; otherwise it runs again.
	 *
	 * @example
	 * ```ts
	 * await shared.commit(async (tx) => {
	 *   const position = await tx.get("positions/AAPL");
	 *   tx.set("positions/AAPL", buy(position, 10));
	 *   tx.emit("trade_executed", { symbol: "AAPL" });
	 * });
	 * ```
	 */
	commit<T>(
		work: (tx: Transaction<F, E>) => T | Promise<T>,
		options?: WriteOptions,
	): Promise<CommitResult<T>>;
	/** Writes the present value again, so that listeners are called though nothing changed. Answers `false` where the key is absent. */
	notify(key: KeyIn<F>, options?: WriteOptions): Promise<boolean>;
	/** Calls a listener for each change under a pattern; at once a handle, its `ready` tells when it is attached. */
	subscribe<const P extends PatternIn<F>>(
		pattern: P,
		listener: ChangeListener<F, P>,
		options?: SubscribeOptions<F, P>,
	): Subscription;
	/** Iterates over whole commits from a cursor on, losing nothing: where the log no longer reaches back, a reset with the present state. */
	changes(options?: ChangesOptions): AsyncIterable<ScopeRecord<F, E> | ScopeReset<F>>;
	/** A live, synchronous view of what is under a pattern. */
	mirror<const P extends PatternIn<F> = "**">(pattern?: P, options?: MirrorOptions<F, P>): Mirror<F, P>;
	/**
	 * Runs a function while holding a lock; the lease is renewed, and its signal aborts when it is lost.
	 *
	 * @example
	 * ```ts
	 * await shared.lock("orders", async (lease) => {
	 *   await shared.set("orders/next", 42, { fence: lease });
	 * });
	 * ```
	 */
	lock<T>(name: string, work: (lease: Lease) => T | Promise<T>): Promise<T>;
	lock<T>(name: string, options: LockOptions, work: (lease: Lease) => T | Promise<T>): Promise<T>;
	/** Takes a lock and answers its lease, to be released by `await using` or `release()`. */
	lock(name: string, options?: LockOptions): Promise<Lease>;
	/** Takes a lock if it is free now; a refusal is a result that names holder and time left. */
	tryLock(name: string, options?: LockRequest): Promise<LockAttempt>;
	/** Removes the scope with its logs; who watches it is told a reset. */
	drop(options?: CallOptions): Promise<void>;
}
