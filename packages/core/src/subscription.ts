/** Listeners over patterns. */
import type { Json } from "./backend.js";
import type { Duration } from "./duration.js";
import type { EntriesOf } from "./scope.js";
import type { Fields, MembersOf } from "./state.js";

/** What every change says. */
export interface ChangeBase<K extends string> {
	readonly key: K;
	/** The revision of the commit; a cursor to go on from. */
	readonly revision: number;
	readonly metadata: Json | undefined;
	/** Whether this manager made it. */
	readonly own: boolean;
	/** Told as present state (`initial`, or after a reset) and not as it happened. */
	readonly replayed: boolean;
}

/** What happened to one key. */
export type StateChange<K extends string = string, V = unknown> =
	| (ChangeBase<K> & { readonly type: "set"; readonly value: V; readonly expiresAt: number | null })
	| (ChangeBase<K> & { readonly type: "delete" | "expire"; readonly value: undefined });

/** Changes under a pattern. */
export type ChangesOf<F extends Fields, P extends string> =
	MembersOf<F, P> extends infer M
		? M extends { readonly key: infer K extends string; readonly value: infer V }
			? StateChange<K, V>
			: never
		: never;

/** Hears changes in order; the next one waits until a returned promise settles. What it throws goes to `manager.on("error")`. */
export type ChangeListener<F extends Fields, P extends string> = (change: ChangesOf<F, P>) => unknown;

/** Options of `subscribe`. */
export interface SubscribeOptions<F extends Fields, P extends string> {
	/** A cursor to go on from: first what came after it, or a reset. Default: now. */
	readonly from?: number;
	/** Begin with the present entries as `set` changes; does nothing beside `from`. Default `false`. */
	readonly initial?: boolean;
	/** Gather changes for so long and tell only the latest of each key. Default: tell each at once. */
	readonly throttle?: Duration;
	/** What happens when a slow listener's queue is full: keep the latest change of each key, or `reset` (needs `onReset`). Default `latest`. */
	readonly coalesce?: "latest" | "reset";
	/** How many changes may wait for a slow listener. Default 1,000. */
	readonly queue?: number;
	/** `false`: leave out this manager's own writes. Default `true`. */
	readonly own?: boolean;
	/** Called with the present state where changes were lost to the log's retention, a drop or a loss of the store. Default: the listener is told the difference. */
	readonly onReset?: (entries: readonly EntriesOf<F, P>[], revision: number) => unknown;
	/** Stops the subscription. */
	readonly signal?: AbortSignal;
}

/** A running subscription. */
export interface Subscription {
	/** Resolves when every later change will be heard; rejects if the store stays out of reach for the manager's time-out. */
	readonly ready: Promise<void>;
	/** Stops it: the listener is not called any more. */
	stop(): void;
	[Symbol.dispose](): void;
}
