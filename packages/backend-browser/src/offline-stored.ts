/** Writes that the server has, and views of the page may not: what was asked for before one was stored may be answered after it. */
import type { Clock, Cursor, ScopeId } from "@holdfast/core";
import { revisionAfter, type WaitingWrite } from "./offline-write.js";

/** How long a write is remembered after it was stored, in ms. */
const lingersFor = 60_000;

/** A write that the server has. */
interface StoredWrite {
	readonly write: WaitingWrite;
	readonly revision: Cursor;
	/** When that was learned, by the monotonic clock. */
	readonly at: number;
}

/** What was stored lately. */
export class StoredWrites {
	readonly #stored = new Map<ScopeId, { readonly life: number; readonly writes: Map<string, StoredWrite> }>();
	readonly #clock: Clock;
	readonly #life: (scope: ScopeId) => number;

	/** `life`: the present one of a scope; what was stored in an earlier one is gone. */
	constructor(clock: Clock, life: (scope: ScopeId) => number) {
		this.#clock = clock;
		this.#life = life;
	}

	/** Those of a scope by their ids, in order. */
	of(scope: ScopeId): Map<string, StoredWrite> {
		const life = this.#life(scope);
		const known = this.#stored.get(scope);
		if (known?.life === life) return known.writes;
		const writes = new Map<string, StoredWrite>();
		this.#stored.set(scope, { life, writes });
		return writes;
	}

	/** Takes one, as of its revision, or a later one as long as that is all that is known; answers whether it is news. */
	add(write: WaitingWrite, revision: Cursor): boolean {
		const { id, scope } = write;
		const stored = this.of(scope);
		if ((stored.get(id)?.revision ?? Number.POSITIVE_INFINITY) <= revision) return false;
		const at = this.#clock.monotonic();
		// The oldest come first.
		for (const [old, one] of stored) {
			if (one.at > at - lingersFor) break;
			stored.delete(old);
		}
		stored.set(id, { write, revision, at });
		return true;
	}

	/** The revision that a token stands for, of a key that its write changed; `undefined` while it has none. */
	revisionOf(scope: ScopeId, token: number, key: string): Cursor | undefined {
		for (const { write, revision } of this.of(scope).values())
			if (write.token === token) return revisionAfter(write, key, revision);
		return undefined;
	}
}
