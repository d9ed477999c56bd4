/** The rows in which one user's writes are kept on the device: followed as the tabs change them, whole commits at a time. */
import {
	type Clock,
	type Codec,
	type Cursor,
	HoldfastError,
	jsonCodec,
	type Scope,
	type ScopeId,
} from "@holdfast/core";

/** What rows are kept under: each write by its id, and of each scope how far it was sent, and the id of the write that was kept last. */
export type RowKind = "writes" | "sent" | "latest";

/** The key of a row. */
export const rowKey = (kind: RowKind, of: string): string => `${kind}/${of}`;

/** The row of the queue's own name: by it the server tells what was sent. */
export const nameKey = "name";

/** How many writes to a scope were sent, the revision of the last, and of those that were sent with it, backwards; 0: it is not there. */
export type Sent = readonly [count: number, ...revisions: readonly [Cursor, ...Cursor[]]];

/** What a scope begins with. */
export const nothingSent: Sent = [0, 0];

/** The revision of the `n`th write of those, or a later one. */
export const revisionIn = ([count, last, ...others]: Sent, n: number): Cursor =>
	[last, ...others][count - n] ?? last - (count - n);

/** The id of a write: a commit's id is its own within its scope only. */
export const idOf = (scope: ScopeId, commit: string): string => `${scope}/${commit}`;

/** What the device's store holds, as JSON; `null` is what this version of the page can't read: one such row must not hide the others. */
export const rowCodec: Codec = {
	encode: jsonCodec.encode,
	decode(text) {
		try {
			return jsonCodec.decode(text);
		} catch {
			return null;
		}
	},
};

/** A row as it is now; without a value, it is gone. */
export interface Row {
	readonly key: string;
	readonly value?: unknown;
}

/** A row with what tells its place among the others. */
export interface PlacedRow extends Row {
	readonly createdRevision: Cursor;
}

/** Who follows the rows. */
export interface RowsObserver {
	/** What one commit has changed. */
	apply(rows: readonly Row[]): void;
	/** All rows: what is not among them is gone. */
	replace(rows: readonly PlacedRow[]): void;
}

/** How long the device's store may take to tell what it has answered, in ms. */
const patience = 5000;

/** No log holds it: who goes on from there is told all that there is. */
const nowhere = Number.MAX_SAFE_INTEGER;

/** The rows of one user's writes. */
export class QueueRows {
	readonly #scope: Scope;
	readonly #clock: Clock;
	readonly #end = new AbortController();
	readonly #failed = Promise.withResolvers<never>();
	#revision = -1;
	#moved = Promise.withResolvers<void>();

	constructor(scope: Scope, clock: Clock, observer: RowsObserver) {
		this.#scope = scope;
		this.#clock = clock;
		this.#failed.promise.catch(() => {});
		this.#follow(observer).catch((cause: unknown) =>
			this.#failed.reject(
				new HoldfastError("failed", "the device's store holds what this page can't read: load it anew", {
					cause,
				}),
			),
		);
	}

	/** Resolves once the observer has been told of what was committed up to a revision; rejects where it isn't in time, or can't be. */
	async at(revision: Cursor): Promise<void> {
		const late = Promise.withResolvers<never>();
		const cancel = this.#clock.after(patience, () =>
			late.reject(new HoldfastError("timeout", "the device's store did not tell what it holds")),
		);
		try {
			while (this.#revision < revision)
				await Promise.race([this.#moved.promise, late.promise, this.#failed.promise]);
		} finally {
			cancel();
		}
	}

	/** Follows them no more. */
	close(): void {
		this.#end.abort();
	}

	async #follow(observer: RowsObserver): Promise<void> {
		for await (const record of this.#scope.changes({ from: nowhere, signal: this.#end.signal })) {
			if (record.type === "commit") observer.apply(record.changes);
			else observer.replace(record.entries);
			this.#revision = record.revision;
			this.#moved.resolve();
			this.#moved = Promise.withResolvers();
		}
	}
}
