/** Writes that the server has, and views of the page may not: what was asked for before one was stored may be answered after it. */
import type { Cursor, ScopeId } from "@holdfast/core";
import { revisionAfter, type WaitingWrite } from "./offline-write.js";

/** How long a write is remembered after it was stored, in ms. */
const lingersFor = 60_000;

/** A write that the server has. */
export interface StoredWrite {
	readonly write: WaitingWrite;
	readonly revision: Cursor;
	/** When that was learned, by the monotonic clock. */
	readonly at: number;
}

/** What was stored lately. */
export class StoredWrites {
	readonly #stored = new Map<ScopeId, StoredWrite[]>();
	readonly #now: () => number;

	/** `now`: the monotonic clock, which is never set back. */
	constructor(now: () => number) {
		this.#now = now;
	}

	/** Those of a scope, in order. */
	of(scope: ScopeId): readonly StoredWrite[] {
		return this.#stored.get(scope) ?? [];
	}

	/** Whether a write is among them. */
	has({ scope, id }: WaitingWrite): boolean {
		return this.of(scope).some(({ write }) => write.id === id);
	}

	/** Takes one; answers whether it is news. */
	add(write: WaitingWrite, revision: Cursor): boolean {
		if (this.has(write)) return false;
		const at = this.#now();
		const lately = this.of(write.scope).filter((one) => one.at > at - lingersFor);
		this.#stored.set(write.scope, [...lately, { write, revision, at }]);
		return true;
	}

	/** The revision that a token stands for, of a key that its write changed; `undefined` while it has none. */
	revisionOf(scope: ScopeId, token: number, key: string): Cursor | undefined {
		const found = this.of(scope).find(({ write }) => write.token === token);
		return found && revisionAfter(found.write, key, found.revision);
	}
}
