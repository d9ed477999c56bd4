/** What the server tells a page, as JSON. */
import type { Bar } from "./bar.ts";
import type { Trade } from "./broker.ts";

/** A key's new value; without one it is gone. */
export interface WireChange {
	readonly key: string;
	readonly value?: unknown;
}

/** A recorded fact. */
export interface WireEvent {
	/** Grows with every event, so that one that comes twice is seen to be the same. */
	readonly id: string;
	readonly type: string;
	readonly time: number;
	readonly payload: unknown;
}

/** The present, with which a page begins, and begins again where the log no longer reaches back to what it has. */
export interface Snapshot {
	readonly user: { readonly id: string; readonly name: string };
	/** The shared scope without its histories, which a page asks for when it shows them. */
	readonly shared: readonly WireChange[];
	/** The user's own scope. */
	readonly mine: readonly WireChange[];
	readonly activity: readonly WireEvent[];
}

/** A commit, as it happened. */
export interface WireCommit {
	readonly scope: "shared" | "mine";
	readonly revision: number;
	readonly changes: readonly WireChange[];
	readonly events: readonly WireEvent[];
}

/** A symbol's past in the present run. */
export interface History {
	/** The revision of the shared scope that it shows. */
	readonly revision: number;
	readonly bars: readonly (readonly [date: string, bar: Bar])[];
	/** The account's worth, day by day, where the strategy trades this symbol. */
	readonly equity: readonly (readonly [date: string, equity: number])[];
	readonly trades: readonly Trade[];
}
