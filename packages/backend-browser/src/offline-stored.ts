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
	has(write: WaitingWrite): boolean {
		return this.asOf(write) !== undefined;
	}

	/** As of which revision a write was taken. */
	asOf({ scope, id }: WaitingWrite): Cursor | undefined {
		return this.of(scope).find(({ write }) => write.id === id)?.revision;
	}

	/** Takes one, as of its revision, or a later one as long as that is all that is known; answers whether it is news. */
	add(write: WaitingWrite, revision: Cursor): boolean {
		const all = this.of(write.scope);
		const known = this.asOf(write);
		if (known !== undefined && known <= revision) return false;
		const at = this.#now();
		const next =
			known === undefined
				? [...all.filter((one) => one.at > at - lingersFor), { write, revision, at }]
				: all.map((one) => (one.write.id === write.id ? { ...one, revision } : one));
		this.#stored.set(write.scope, next);
		return true;
	}

	/** The revision that a token stands for, of a key that its write changed; `undefined` while it has none. */
	revisionOf(scope: ScopeId, token: number, key: string): Cursor | undefined {
		const found = this.of(scope).find(({ write }) => write.token === token);
		return found && revisionAfter(found.write, key, found.revision);
	}
}
