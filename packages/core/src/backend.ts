/**
 * The backend contract: what a store has to do for Holdfast, and all that it has to do.
 *
 * Locks, counters, transactions, mirrors, events and subscriptions are built on it, once, in core. A backend
 * keeps the fourteen promises (docs/promises.md); `@holdfast/core/testing` states each as a test. Times are
 * milliseconds of the store's clock, sizes are bytes. Scope ids and keys arrive encoded (see `key.ts`): a store
 * never meets a NUL, a brace, a quote or a control character, and orders keys by their UTF-8 bytes.
 */

/** A scope's encoded identity: `namespace/kind` or `namespace/kind/id`. */
export type ScopeId = string;

/** A revision as a place in a scope's log; 0 is the start of the scope's present life. */
export type Cursor = number;

/** What JSON can say: metadata and notes cross the contract as this. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** An answer that may be there at once (an embedded store) or come later; it never rejects. */
export type Soon<T> = T | Promise<T>;

/** Turns rich values into text and back; see {@link jsonCodec} for the default. */
export interface Codec {
	/** Encodes a deeply frozen value. Finite numbers never reach it: stores add to them, so they are always JSON. */
	encode(value: unknown): string;
	/** Decodes what `encode` wrote, as fresh objects that core then freezes. */
	decode(text: string): unknown;
}

/**
 * A value on its way between core and a store. Made from data or from encoded text, it computes the other at first
 * need: an embedded store never encodes, a network store never decodes what it only carries.
 */
export interface Value {
	/** The encoded text: JSON unless the manager was given another codec. */
	readonly text: string;
	/** An estimate of the encoded size in bytes, made without encoding; at least a sixth of the real size. */
	readonly size: number;
	/** The version of the schema that the value was written under; 0 where no migrations are declared. */
	readonly version: number;
	/** The finite number that this value is, for `Add`; `undefined` for anything else. */
	readonly number: number | undefined;
	/** Whether it was made from data that is frozen through and through, so that all may share it. */
	readonly given: boolean;
	/** The data, deeply frozen; the same reference at each call, unless it holds bytes, which nothing can freeze. */
	data(codec: Codec): unknown;
	/** Core's note of what a schema made of it, so that a value is checked once. A store leaves it alone. */
	checked: { readonly by: object; readonly data: unknown } | undefined;
}

/** A key's value and what the store knows of it. */
export interface Entry {
	readonly key: string;
	readonly value: Value;
	/** The revision of the commit that last wrote the entry: its version, and a lock's fencing token. */
	readonly revision: number;
	/** The revision of the commit that created it in its present life. */
	readonly createdRevision: number;
	/** The instant from which the entry is invisible; `null` means never. */
	readonly expiresAt: number | null;
	/** The metadata of the commit that last wrote it. */
	readonly metadata: Json | undefined;
}

/** A condition of a commit. */
export type Condition = KeyCondition | ListCondition;

/** The key's entry has this revision; 0: the key is absent. */
export interface KeyCondition {
	readonly key: string;
	readonly revision: number;
}

/**
 * A listing still stands: so many live entries whose key starts with `under`, their revisions summed modulo 2^52.
 * `""` is all application keys; entries of the reserved segment count only where `under` names it.
 */
export interface ListCondition {
	readonly under: string;
	readonly count: number;
	readonly sum: number;
}

/** What a commit does; at most one mutation of a key in one commit. */
export type Mutation = Put | Delete | Touch | Add | Emit | Seal;

/** Writes a value. `ttl: null` clears any deadline. */
export interface Put {
	readonly op: "put";
	readonly key: string;
	readonly value: Value;
	readonly ttl: number | null;
}

/** Removes a key; no change where it is absent. */
export interface Delete {
	readonly op: "delete";
	readonly key: string;
}

/**
 * Extends a deadline and does nothing else: no revision, no record, no push. It never shortens one and leaves an
 * entry without a deadline alone; an absent key refuses the commit. `key: null` is the scope itself: the commit that
 * creates a scope gives it its deadline, later ones extend it.
 */
export interface Touch {
	readonly op: "touch";
	readonly key: string | null;
	readonly ttl: number;
}

/** A number, or an instant relative to the store's clock: `{ now: 500 }` is half a second from now. */
export type Amount = number | { readonly now: number };

/**
 * `next = max(current ?? 0, base) + by`; outside of `min` and `max` the whole commit is refused with the entry.
 * Without `ttl` it keeps the deadline.
 */
export interface Add {
	readonly op: "add";
	readonly key: string;
	readonly by: number;
	readonly base?: Amount;
	readonly min?: Amount;
	readonly max?: Amount;
	readonly ttl?: number;
}

/** States a fact in the scope's log of events. */
export interface Emit {
	readonly op: "emit";
	readonly type: string;
	readonly payload: Value;
}

/** Seals the scope with a note (where it went), or unseals it with `null`. Must be the only mutation of its commit. */
export interface Seal {
	readonly op: "seal";
	readonly note: Json | null;
}

/** Conditions and mutations, applied all or not at all, in one revision. */
export interface Commit {
	/** Unique per commit, chosen by core. */
	readonly id: string;
	readonly if?: readonly Condition[];
	readonly do: readonly Mutation[];
	/** The manager that sent it. */
	readonly origin?: string;
	readonly metadata?: Json;
	/** Listeners are not called for it; mirrors apply it. */
	readonly quiet?: boolean;
	/** May be answered before it is stored, by what keeps it for later: an offline queue. A store that has none takes it as any other. */
	readonly deferred?: boolean;
}

/** How much of a log is kept: the newest `count` commits, none older than `age` ms. */
export interface LogRetention {
	readonly count: number;
	readonly age: number;
}

/** What a scope keeps; it arrives with each batch and stays with the scope. */
export interface Retention {
	readonly changes: LogRetention;
	readonly events: LogRetention;
}

/**
 * What one writer asks of one scope at once; each commit is judged on its own, in order. A store that can lose an answer
 * remembers, with the commit, the writer's last sequence, first commit id and answer, at least until `until`: sent again
 * byte for byte, it gets the stored answer (see {@link judgeWriter}).
 */
export interface Batch {
	readonly scope: ScopeId;
	readonly writer: string;
	readonly sequence: number;
	/** After this instant of the store's clock the batch must not be applied any more. */
	readonly until: number;
	/** The highest head that the sender has seen: revisions go on above it, though the store may have lost everything. */
	readonly floor: number;
	/** A random 1 to 4,096: two histories that parted don't count alike. */
	readonly step: number;
	/** Empty: only sweep what is due, and keep no writer. */
	readonly commits: readonly Commit[];
	readonly keep: Retention;
}

/** Of a batch what is the same for all that a sender commits to a scope. */
export type Sender = Pick<Batch, "scope" | "floor" | "keep">;

/** What a store answers to a batch. */
export interface BatchAnswer {
	readonly head: number;
	readonly now: number;
	/** The scope's next deadline, `null` if it has none or is sealed. */
	readonly next: number | null;
	readonly outcomes: readonly CommitOutcome[];
}

/** How one commit ended. */
export type CommitOutcome = Committed | Refused;

/** Applied. Where nothing changed there is no record, `changes` is 0 and `revision` is the head. */
export interface Committed {
	readonly ok: true;
	readonly revision: number;
	/** How many keys the commit changed. */
	readonly changes: number;
	/** The results of its `Add`s, in order. */
	readonly numbers: readonly number[];
}

/** Nothing of the commit was written. */
export interface Refused {
	readonly ok: false;
	/**
	 * `condition`: `if[index]` failed. The others are about `do[index]`: `absent`, a Touch of nothing; `bound`, an Add past its
	 * bound; `type`, an Add to something else than a finite number; `full`, no room in the store. `sealed` is about the scope. No store
	 * says `rejected`: what stands between (a bridge's server) does not let it through, see `cause`.
	 */
	readonly why: "condition" | "absent" | "bound" | "type" | "full" | "sealed" | "rejected";
	readonly index: number;
	/** The current entry of the key at issue. */
	readonly entry: Entry | null;
	/** The seal's note. */
	readonly note?: Json;
	/** The error of what was `rejected`. */
	readonly cause?: unknown;
}

/** A call that did not succeed, as a value: one rejection that nobody awaits would end a Node process. */
export interface Failure {
	/**
	 * `unavailable`, `blocked`: certainly not applied, the latter because another user of the store holds it. `unknown`: handed over, and the answer lost. `superseded`, `conflict`, `overdue`: the
	 * writer's sequence was lower than, or another than, what the store has seen, or `until` has passed. `busy`: too many writers.
	 * `refused`: the call itself is not let through; where `cause` is a `HoldfastError`, the application is told that.
	 */
	readonly failed:
		| "unavailable"
		| "blocked"
		| "unknown"
		| "superseded"
		| "conflict"
		| "overdue"
		| "busy"
		| "refused";
	readonly message: string;
	readonly cause?: unknown;
	/** The store's clock, where it is known. */
	readonly now?: number;
}

/** Asks for entries of one scope; no keys: only the head. */
export interface ReadAsk {
	readonly scope: ScopeId;
	readonly keys: readonly string[];
}

/** The live entries at one instant, in the order of the keys asked for. */
export interface ReadAnswer {
	/** 0: the scope is absent. */
	readonly head: number;
	readonly now: number;
	readonly next: number | null;
	readonly entries: readonly (Entry | null)[];
}

/** Keys `from <= key < to` (`to: null`: to the end), by UTF-8 bytes, at most so many and about so many bytes. */
export interface KeyRange {
	readonly from: string;
	readonly to: string | null;
	readonly limit: number;
	readonly bytes: number;
}

/** A page of live entries. */
export interface ListPage {
	readonly entries: readonly Entry[];
	/** Where the next page begins, `null` at the end. */
	readonly next: string | null;
	readonly head: number;
	readonly now: number;
}

/** What a commit did to one key. */
export interface Change {
	readonly type: "set" | "delete" | "expire";
	readonly key: string;
	/** The new entry of a `set`, else `null`. */
	readonly entry: Entry | null;
}

/** A fact that a commit stated. */
export interface EventFact {
	readonly type: string;
	readonly payload: Value;
}

/** What the log holds of a commit. */
export interface LogRecord {
	readonly revision: number;
	/** The head before it; a scope's first record has 0. */
	readonly previous: number;
	/** What is pushed may make it only when it is asked for: read it by its name, a spread leaves it out. */
	readonly id: string;
	readonly time: number;
	readonly origin: string | undefined;
	readonly metadata: Json | undefined;
	readonly quiet: boolean;
	readonly changes: readonly Change[];
	/** The facts, also in the log of changes: who tails a scope needs one chain. */
	readonly events: readonly EventFact[];
	/** The revision of the record with events before this one; meaningful where `events` is not empty. */
	readonly previousEvents: number;
	/** What mirrors show of its changes, asked when they apply it; only where that is something else: see the signal `shown`. */
	readonly shown?: () => readonly Shown[];
}

/** What a mirror is to show of a key. */
export type Shown = Pick<Change, "key" | "entry">;

/** Which log, from its start or only its newest records (in order all the same). */
export interface LogQuery {
	readonly of: "changes" | "events";
	readonly limit: number;
	readonly bytes: number;
	/** The last `limit` records after the cursor instead of the first. */
	readonly newest?: boolean;
}

/** Records after a cursor. Whether the cursor holds is judged by core (see `resume.ts`), not by the store. */
export interface LogPage {
	readonly records: readonly LogRecord[];
	/** Whether more follow these. */
	readonly more: boolean;
	/** The last revision that this log ever held: the scope's head, or that of its last event. */
	readonly head: number;
	readonly now: number;
}

/** What a store tells who watches a scope. Only a hint: signals may be lost, repeat or come out of order. */
export type Signal =
	| { readonly type: "records"; readonly records: readonly LogRecord[] }
	/** Look at the head. */
	| { readonly type: "wake" }
	/** The connection broke: blind until the next signal. */
	| { readonly type: "lost" }
	/** Who asks is somebody else now: what is known of the scope goes at once, before it is asked for anew. Only behind a bridge. */
	| { readonly type: "forget" }
	/** Mirrors show this, though the store does not have it: writes that wait in an offline queue. */
	| { readonly type: "shown"; readonly changes: readonly Shown[] };

/** Ends a watch. */
export type Unwatch = () => void;

/** Which scopes: in order of id, after one, those whose id starts with `prefix`; `due`: only with a deadline that has passed. */
export interface ScopeRange {
	readonly prefix: string;
	readonly after: ScopeId | null;
	readonly limit: number;
	readonly due?: boolean;
}

/** A page of scopes. */
export interface ScopePage {
	readonly scopes: readonly {
		readonly scope: ScopeId;
		readonly head: number;
		readonly next: number | null;
	}[];
	readonly more: boolean;
	readonly now: number;
}

/** What differs between stores, declared: nothing above asks a backend for its name. */
export interface Traits {
	/**
	 * Whom the store connects. `process`: answers cost no more than a function call, so core hands each call over at once instead
	 * of gathering a turn of the event loop.
	 */
	readonly reach: "process" | "device" | "network";
	/** Whether what was answered survives the end of the process. */
	readonly durable: boolean;
}

/** A store. `read` and `commit` answer failures as values; the other calls may reject with a `HoldfastError`. */
export interface Backend {
	readonly name: string;
	readonly traits: Traits;
	/** Reads of many scopes, one answer each; each answer is of one instant. */
	read(asks: readonly ReadAsk[]): Soon<ReadAnswer | Failure>[];
	/**
	 * The same from memory, or nothing: what the store confirmed at most `maxAge` ms ago. Only a layer that caches has it, and tells by it nothing
	 * older than it told before or than this process wrote. `read` always asks the store.
	 */
	peek?(ask: ReadAsk, maxAge?: number): ReadAnswer | undefined;
	/** Batches of many scopes in, one answer each out. A call may hold a scope twice, under two writers, in order. */
	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[];
	/**
	 * The same for a batch of one commit, without what is for an answer that may be lost or late: it is judged and applied before the call
	 * returns, and named by its origin and revision where it has no id. Only a store within this process has it; it never fails and never throws.
	 * `undefined`: nothing was done, `commit` it.
	 */
	commitNow?(sender: Sender, commit: Omit<Commit, "id">, step: number): CommitOutcome | undefined;
	list(scope: ScopeId, range: KeyRange): Soon<ListPage>;
	log(scope: ScopeId, after: Cursor, query: LogQuery): Soon<LogPage>;
	/** Attaches a listener; what is committed after the answer is signalled. */
	watch(scope: ScopeId, listener: (signal: Signal) => void): Soon<Unwatch>;
	scopes(range: ScopeRange): Soon<ScopePage>;
	/**
	 * Removes a scope with its logs; those who watch it are woken. What it remembers of writers stays, and the scope's next life goes on above
	 * its last head, so that tokens only grow.
	 */
	drop(scope: ScopeId): Soon<void>;
	/**
	 * Tells what no answer can: the server may evict what it holds, or keeps nothing on disk. Each problem is told once to each listener, those
	 * that come late too; a store that can't have such news leaves this out.
	 */
	problems?(listener: (problem: string) => void): Unwatch;
	/**
	 * How safe what a browser stores is, as of now: `persisted`, `evictable`, or `blocked` while another tab holds the storage. Other stores leave
	 * this out.
	 */
	readonly storage?: "persisted" | "evictable" | "blocked";
	/** Lets go of connections and timers; `timeout` in ms bounds the wait. */
	close(options?: { readonly timeout?: number }): Promise<void>;
}
