/** A scope's facts: a log of its own, sharing the scope's revisions. */
import type { Json } from "./backend.js";
import type { WriteOptions } from "./scope.js";
import type { EventSchemas, PayloadOf, PayloadTo } from "./state.js";

/** A fact with where and when it was stated. */
export interface StateEvent<T extends string = string, P = unknown> {
	readonly type: T;
	readonly payload: P;
	/** The revision of its commit; a cursor to go on from. */
	readonly revision: number;
	/** ms since 1970, by the store's clock. */
	readonly time: number;
	readonly metadata: Json | undefined;
	/** Whether this manager stated it. */
	readonly own: boolean;
}

/** Events of one type, or any for `*`. */
export type EventOf<E extends EventSchemas, T extends string> = T extends "*"
	? { [Q in keyof E & string]: StateEvent<Q, PayloadOf<E, Q>> }[keyof E & string]
	: StateEvent<T, PayloadOf<E, T>>;

/** Options of `events.on`. */
export interface EventOptions {
	/** The cursor to go on from. Default: now. */
	readonly from?: number;
	/** Called where events after the cursor are past retention, with the revision from which it goes on. */
	readonly onReset?: (revision: number) => unknown;
	/** Stops it. */
	readonly signal?: AbortSignal;
}

/** Options of `events.history`. */
export interface HistoryOptions<T extends string = string> {
	/** Only events after this cursor. Default 0: all that are kept. */
	readonly from?: number;
	/** Only events of this type. */
	readonly type?: T;
	/** The first so many. Default: all. */
	readonly limit?: number;
	/** The newest so many instead, in order all the same. */
	readonly last?: number;
}

/** A running event subscription. */
export interface EventSubscription {
	/** Resolves when every later event will be heard. */
	readonly ready: Promise<void>;
	stop(): void;
	[Symbol.dispose](): void;
}

/** Emits, hears and recalls facts. */
export interface ScopeEvents<E extends EventSchemas> {
	/** States a fact by itself and answers its revision; `tx.emit` states it with the changes that it is about. */
	emit<T extends keyof E & string>(
		type: T,
		payload: PayloadTo<E, T>,
		options?: WriteOptions,
	): Promise<number>;
	/** Hears events of a type, or all for `*`, in order; the next one waits until a returned promise settles. */
	on<T extends (keyof E & string) | "*">(
		type: T,
		listener: (event: EventOf<E, T>) => unknown,
		options?: EventOptions,
	): EventSubscription;
	/** Iterates over past events, oldest first. */
	history<T extends (keyof E & string) | "*" = "*">(
		options?: HistoryOptions<T>,
	): AsyncIterable<EventOf<E, T>>;
}
