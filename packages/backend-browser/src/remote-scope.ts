/** One watched scope: how far it was told, who listens, and the few records that wait for the one before them. */
import type { Cancel, Clock, Cursor, HoldfastError, LogRecord, ScopeId, Signal } from "@holdfast/core";
import { decodeRecord, type WireRecord } from "@holdfast/core/wire";

/** How long a record that does not follow waits for the one before it, in ms: two streams overlap while scopes change. */
const patienceForOrder = 20;

/** How many records may wait for the one before them. */
const pendingLimit = 1000;

/** What a watched scope works with. */
export interface WatchedParts {
	readonly clock: Clock;
	/** The server's name for this user's writers: see `decodeRecord`. */
	origin(): string | undefined;
	/** Records are missing and did not come: a stream from the cursor tells them. */
	gap(): void;
}

/** A scope that this page watches. */
export class WatchedScope {
	readonly scope: ScopeId;
	/** The last revision that was told; `undefined` before the first answer. */
	cursor: Cursor | undefined;
	/** Whether a stream has answered for it. */
	attached = false;
	readonly listeners = new Set<(signal: Signal) => void>();
	readonly #parts: WatchedParts;
	#waiting: { resolve(): void; reject(error: unknown): void }[] = [];
	#pending = new Map<Cursor, WireRecord>();
	#order: Cancel | undefined;
	// Whether it was told that nothing is heard, so that it has to be told when that is over.
	#blind = false;

	constructor(scope: ScopeId, parts: WatchedParts) {
		this.scope = scope;
		this.#parts = parts;
	}

	/** Resolves when a stream has answered for it, rejects when that failed. */
	whenAttached(): Promise<void> {
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		this.#waiting.push({ resolve, reject });
		return promise;
	}

	/** All up to this cursor was told. */
	ready(cursor: Cursor): void {
		const behind = this.cursor !== undefined && this.cursor < cursor;
		if (this.cursor === undefined || behind) this.cursor = cursor;
		// The server believes to have told what did not arrive: who listens reads the log.
		if (behind) this.tell({ type: "wake" });
		this.#attach();
		this.take([]);
	}

	/** The cursor did not hold: who listens finds out by the log, and lists. */
	reset(cursor: Cursor): void {
		this.cursor = cursor;
		this.#pending.clear();
		this.#blind = true;
		this.#attach();
	}

	/** Nothing is heard of it for the time being. */
	lost(): void {
		if (!this.attached) return;
		this.attached = false;
		this.#blind = true;
		this.tell({ type: "lost" });
	}

	/** A listener goes on without it, and is told when it is attached. */
	miss(listener: (signal: Signal) => void): void {
		this.#blind = true;
		listener({ type: "lost" });
	}

	/** Who waits for it to be attached is told that it is not. */
	fail(error: unknown): void {
		for (const { reject } of this.#waiting.splice(0)) reject(error);
	}

	/** Takes records as they come: twice, or out of order, while two streams overlap. */
	take(records: readonly WireRecord[]): void {
		const mine = this.#parts.origin();
		const fresh: LogRecord[] = [];
		for (const record of records)
			if (record.p === this.cursor) {
				this.cursor = record.r;
				fresh.push(decodeRecord(record, mine));
			} else if (this.cursor === undefined || record.r > this.cursor) this.#pending.set(record.p, record);
		if (this.cursor !== undefined && this.#pending.size > 0) this.#drain(this.cursor, fresh);
		if (fresh.length > 0) this.tell({ type: "records", records: fresh });
	}

	/** Tells all who listen. */
	tell(signal: Signal): void {
		for (const listener of [...this.listeners]) listener(signal);
	}

	/** Whom it was told to is somebody else now. */
	forget(error: HoldfastError): void {
		this.cursor = undefined;
		this.attached = false;
		this.#blind = true;
		this.#pending.clear();
		this.fail(error);
		this.tell({ type: "forget" });
	}

	/** Lets go of its timer. */
	close(error: HoldfastError): void {
		this.#order?.();
		this.fail(error);
	}

	#attach(): void {
		this.attached = true;
		if (this.#blind) this.tell({ type: "wake" });
		this.#blind = false;
		for (const { resolve } of this.#waiting.splice(0)) resolve();
	}

	#drain(from: Cursor, fresh: LogRecord[]): void {
		const mine = this.#parts.origin();
		let cursor = from;
		for (let next = this.#pending.get(cursor); next !== undefined; next = this.#pending.get(cursor)) {
			this.#pending.delete(cursor);
			cursor = next.r;
			fresh.push(decodeRecord(next, mine));
		}
		this.cursor = cursor;
		for (const [previous, { r }] of this.#pending) if (r <= cursor) this.#pending.delete(previous);
		if (this.#pending.size > pendingLimit) {
			this.#pending.clear();
			this.#parts.gap();
		} else if (this.#pending.size > 0) this.#waitForOrder();
	}

	#waitForOrder(): void {
		this.#order ??= this.#parts.clock.after(
			patienceForOrder,
			() => {
				this.#order = undefined;
				if (this.#pending.size > 0) this.#parts.gap();
			},
			true,
		);
	}
}
