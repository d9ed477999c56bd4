/** The manager: one store, one state definition, all its scopes. */
import type { Backend, Codec } from "./backend.js";
import type { Clock } from "./clock.js";
import type { Duration } from "./duration.js";
import type { HoldfastError } from "./error.js";
import { LiveManager } from "./live-manager.js";
import type { Scope } from "./scope.js";
import type { EventsOf, FieldsOf, ShapeOf, StateDefinition, StateShape, UntypedState } from "./state.js";

/** Wraps a backend: instrumentation, caches, retries. */
export type Layer = (backend: Backend) => Backend;

/** What a log keeps; see {@link ManagerOptions.scopes}. */
export interface KeepOptions {
	/** The newest so many commits. */
	readonly count?: number;
	/** None older than this. */
	readonly age?: Duration;
}

/** What holds for all scopes of a kind. */
export interface ScopeOptions {
	/** How long entries live after each write, unless their field says otherwise. */
	readonly ttl?: Duration;
	/** How long a whole scope outlives its last read or write: a session's own `ttl` goes before it. Default: for ever. */
	readonly idle?: Duration;
	/** What the log of changes keeps. Default 10,000 commits, an hour. */
	readonly changes?: KeepOptions;
	/** What the log of events keeps. Default 100,000 commits, 30 days. */
	readonly events?: KeepOptions;
}

/** The bounds that a manager refuses to pass. */
export interface Limits {
	/** The most bytes of one encoded value. Default 1 MiB, which is also the most. */
	readonly valueBytes?: number;
	/** The most mutations of one commit. Default 1,000, which is also the most. */
	readonly commitMutations?: number;
	/** The most bytes of one commit. Default 2 MiB, which is also the most. */
	readonly commitBytes?: number;
	/** How many commits of one scope may wait; further ones are refused as `busy`. Default 100,000. */
	readonly queue?: number;
}

/** Options of {@link createStateManager}. */
export interface ManagerOptions<Shape extends StateShape = UntypedState> {
	/** The store. */
	readonly backend: Backend;
	/** The state definition; without it any key takes any value. */
	readonly state?: StateDefinition<Shape>;
	/** Separates applications on one store. Default `default`. */
	readonly namespace?: string;
	/** How long entries live after each write, unless their field or kind of scope says otherwise. Default: for ever. */
	readonly ttl?: Duration;
	/** How long a call may take. Default 5 s. */
	readonly timeout?: Duration;
	/** Options by kind of scope. */
	readonly scopes?: { readonly [kind: string]: ScopeOptions };
	readonly limits?: Limits;
	/** Turns values into text. Default {@link jsonCodec}. */
	readonly codec?: Codec;
	/** Layers around the backend, the first one innermost. */
	readonly layers?: readonly Layer[];
	/** Time, for tests. Default: the machine's. */
	readonly clock?: Clock;
	/** Random numbers from 0 up to 1, for tests. Default `Math.random`. */
	readonly random?: () => number;
}

/** How the store answers. */
export interface Health {
	/** `idle`: not used yet. `ok`: it answers. `unreachable`: the last call failed. `closed`. */
	readonly status: "idle" | "ok" | "unreachable" | "closed";
	/** What failed last, while unreachable. */
	readonly error: HoldfastError | undefined;
	/** The store's clock minus this process's, in ms, as of the last answer. */
	readonly clockOffset: number;
	/** Commits waiting or in flight. */
	readonly pending: number;
	/** Scopes being watched. */
	readonly watched: number;
	/** How safe it is in the browser's storage: see the browser backend. `undefined` on other stores. */
	readonly storage: Backend["storage"];
}

/** Signals of a manager. */
export interface ManagerSignals {
	/** Something failed that no call could report: a listener threw, a push was lost for good. */
	readonly error: (error: HoldfastError) => void;
	/** The health changed its status. */
	readonly health: (health: Health) => void;
}

/** How a close ended. */
export interface CloseResult {
	/** What was accepted and could not be flushed: its scopes and the number of commits. */
	readonly unflushed: readonly { readonly scope: string; readonly commits: number }[];
}

/** Access to all scopes of a store, by the shape of their state; see {@link StateManager}. */
export interface ManagerOf<Shape extends StateShape> {
	/** The scope that all sessions share. */
	readonly shared: Scope<FieldsOf<Shape, "shared">, EventsOf<Shape>>;
	/** A user's own scope, isolated from every other's. */
	user(id: string): Scope<FieldsOf<Shape, "user">, EventsOf<Shape>>;
	/** A session's scope. With a `ttl` it ends as a whole when neither read nor written for so long. */
	session(
		id: string,
		options?: { readonly ttl?: Duration },
	): Scope<FieldsOf<Shape, "session">, EventsOf<Shape>>;
	/** A scope of the application's own kind. */
	scope<Kind extends Exclude<keyof Shape & string, "events">>(
		kind: Kind,
		id: string,
	): Scope<FieldsOf<Shape, Kind>, EventsOf<Shape>>;
	/** Resolves when the store answers; rejects as `unavailable` or `timeout` if it does not. */
	ready(): Promise<void>;
	/** How the store answers, as far as known. */
	readonly health: Health;
	/** Hears signals; answers what ends it. Errors that nobody hears are written to `console.error`. */
	on<S extends keyof ManagerSignals>(signal: S, listener: ManagerSignals[S]): () => void;
	/** Flushes what was accepted, releases leases, ends subscriptions; settles within `timeout` (default 5 s) and names what was not flushed. */
	close(options?: { readonly timeout?: Duration }): Promise<CloseResult>;
	[Symbol.asyncDispose](): Promise<void>;
}

/**
 * Access to all scopes of a store; made by {@link createStateManager}. Named by the state definition, or by its shape.
 *
 * @example
 * ```ts
 * type AppManager = StateManager<typeof state>;
 * type UserScope = ReturnType<AppManager["user"]>;
 * ```
 */
export type StateManager<D extends StateShape | StateDefinition = UntypedState> = ManagerOf<ShapeOf<D>>;

/**
 * Makes a manager. Nothing connects before its first use.
 *
 * @throws {@link HoldfastError} `invalid-argument`, `invalid-id` where an option is malformed.
 *
 * @example
 * ```ts
 * const manager = createStateManager({ backend: memory(), state });
 * await manager.shared.update("counter", (n) => n + 1);
 * await manager.close();
 * ```
 */
export const createStateManager = <const Shape extends StateShape = UntypedState>(
	options: ManagerOptions<Shape>,
): StateManager<Shape> =>
	new LiveManager(options as unknown as ManagerOptions) as unknown as StateManager<Shape>;
