/** A live, synchronous, in-memory view of a scope, kept current by its log. */
import type { EntriesOf } from "./scope.js";
import type { Fields, KeysOf, MembersOf, ValueFrom } from "./state.js";

/** Options of `mirror`. */
export interface MirrorOptions<F extends Fields, P extends string> {
	/** What it shows before `ready`: entries that a server handed over. */
	readonly initial?: readonly EntriesOf<F, P>[];
	/** Closes it. */
	readonly signal?: AbortSignal;
}

/**
 * A live view of what is under a pattern. Usable as an external store: `subscribe` and `list` are bound, so
 * `useSyncExternalStore(mirror.subscribe, mirror.list)` is all that React needs.
 *
 * A reference changes only when a value does, so `===` is a valid "did it change".
 */
export interface Mirror<F extends Fields, P extends string> {
	/** Resolves when the mirror shows the store's state; rejects if the store stays out of reach for the manager's time-out. */
	readonly ready: Promise<void>;
	/** The revision that it shows; 0 before `ready`. */
	readonly revision: number;
	/** Whether it can't hear the store at present, so that it may be behind. */
	readonly stale: boolean;
	/** Resolves when it shows the store's state of at least this revision: a mirror may trail an answered write. 0 is any state. */
	at(revision: number, options?: { readonly signal?: AbortSignal }): Promise<void>;
	/** A value; the key's default, else `undefined`, where it is absent. */
	get<K extends KeysOf<P>>(key: K): ValueFrom<F, K & string>;
	/** A value with its revision. */
	entry<K extends KeysOf<P>>(key: K): EntriesOf<F, P> | undefined;
	/** The members in key order: the same frozen array until a member's value changes. */
	list(): readonly MembersOf<F, P>[];
	/** How many members there are. */
	readonly size: number;
	/** Calls back at once and after each change with the members (Svelte's store contract); answers what ends it. */
	subscribe(listener: (members: readonly MembersOf<F, P>[]) => void): () => void;
	/** Stops following. It keeps what it shows. */
	close(): void;
	[Symbol.dispose](): void;
}
