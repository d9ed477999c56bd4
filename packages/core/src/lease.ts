/** A held lock: renewed by touches, ended by the clock of the process that holds it, never by hope. */
import type { CommitOutcome, KeyCondition, Mutation, ScopeId, Soon } from "./backend.js";
import type { Draft } from "./drafting.js";
import type { HoldfastError } from "./error.js";
import type { Leases } from "./leases.js";
import type { Lease, LeaseEnd } from "./lock.js";
import { isLater } from "./soon.js";
import { type Patience, type Store, scopeError } from "./store.js";

/**
 * What clocks may differ by in rate, as in Redlock: the holder gives up a little before the store does
 * (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/).
 */
const drift = (ttl: number): number => ttl * 0.01 + 2;

/** What the leases of a scope work with. */
export interface LeaseParts {
	readonly store: Store;
	readonly scope: ScopeId;
	readonly leases: Leases;
	/** `closing`: also while the manager closes. */
	submit(draft: Draft, patience?: Patience, closing?: boolean): Soon<CommitOutcome>;
}

/** A lease of this process. */
export class HeldLease implements Lease {
	readonly name: string;
	/** When it wants to be renewed, by the monotonic clock. */
	wakesAt = Number.POSITIVE_INFINITY;
	/** Where its manager's {@link Leases} have it; -1 where they do not. */
	place = -1;
	readonly #held: KeyCondition;
	readonly #ttl: number;
	readonly #parts: LeaseParts;
	// By the monotonic clock, from before the store was asked: the store's own deadline is never earlier.
	#deadline: number;
	#end: LeaseEnd | undefined;
	#failing = false;
	/** Whether it has ended here and may still stand in the store. */
	#owed = false;
	#controller: AbortController | undefined;

	constructor(name: string, held: KeyCondition, ttl: number, asked: number, parts: LeaseParts) {
		this.name = name;
		this.#held = held;
		this.#ttl = ttl;
		this.#parts = parts;
		this.#deadline = asked + ttl - drift(ttl);
		this.wakesAt = Math.min(asked + ttl / 3, this.#deadline);
		parts.leases.add(this);
	}

	get token(): number {
		return this.#held.revision;
	}

	get signal(): AbortSignal {
		// Made at first need: it costs more than the rest of a lease.
		this.#controller ??= new AbortController();
		if (this.#isOver()) this.#controller.abort(this.#lost());
		return this.#controller.signal;
	}

	get remaining(): number {
		// A stalled event loop calls no timer, so every look at the lease looks at the clock.
		return this.remainingAt(this.#parts.store.clock.monotonic());
	}

	/** The same at an instant of the monotonic clock; ends it where its time is over. */
	remainingAt(now: number): number {
		const left = this.#end === undefined ? this.#deadline - now : 0;
		if (left > 0) return left;
		this.end(this.#failing ? "unreachable" : "expired");
		return 0;
	}

	check(): void {
		if (this.#isOver()) throw this.#lost();
	}

	async release(): Promise<void> {
		await this.free();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}

	/** The same, at once where the store answers at once. */
	free(): Soon<unknown> {
		if (this.#isOver() && !this.#owed) return;
		this.end("released");
		this.#owed = false;
		this.#parts.leases.delete(this);
		try {
			const freed = this.#submit({ op: "delete", key: this.#held.key }, undefined, true);
			return isLater(freed) ? freed.catch((error: unknown) => this.#notFreed(error)) : freed;
		} catch (error) {
			return this.#notFreed(error);
		}
	}

	/** Ends it on this side. */
	end(reason: LeaseEnd): void {
		if (this.#end !== undefined) return;
		this.#end = reason;
		this.wakesAt = Number.POSITIVE_INFINITY;
		this.#parts.leases.delete(this);
		this.#controller?.abort(this.#lost());
	}

	/** Extends it, or ends it where its time is over; says when to come again. Lets go of it again where that failed. */
	async renew(): Promise<void> {
		this.wakesAt = Number.POSITIVE_INFINITY;
		if (this.#owed) await this.free();
		if (this.#isOver()) return;
		const asked = this.#parts.store.clock.monotonic();
		try {
			const patience = { timeout: Math.min(this.#ttl / 3, this.#deadline - asked) };
			const outcome = await this.#submit({ op: "touch", key: this.#held.key, ttl: this.#ttl }, patience);
			this.#failing = false;
			if (!outcome.ok) {
				// Sealed scopes refuse renewals too: the lease does not move with the scope.
				this.end(outcome.why === "condition" && outcome.entry !== null ? "taken" : "expired");
				return;
			}
			this.#deadline = asked + this.#ttl - drift(this.#ttl);
			this.#wakeIn(this.#ttl / 3);
		} catch {
			this.#failing = true;
			this.#wakeIn(this.#ttl / 10);
		}
	}

	/** Others would wait until it runs out: until then the store is asked again. */
	#notFreed(error: unknown): void {
		const { store, scope, leases } = this.#parts;
		const wakesAt = store.clock.monotonic() + Math.min(Math.max(this.#ttl / 10, 100), 1000);
		if (wakesAt < this.#deadline && !leases.closed) {
			this.#owed = true;
			this.wakesAt = wakesAt;
			leases.add(this);
		} else store.report(error, "a lock could not be released, it expires by itself", scope);
	}

	#submit(mutation: Mutation, patience?: Patience, closing?: boolean): Soon<CommitOutcome> {
		const { store, submit } = this.#parts;
		return submit({ do: [mutation], origin: store.origin, if: [this.#held] }, patience, closing);
	}

	#wakeIn(ms: number): void {
		if (this.#isOver()) return;
		const { store, leases } = this.#parts;
		this.wakesAt = Math.min(store.clock.monotonic() + ms, this.#deadline);
		leases.wakeAt(this.wakesAt);
	}

	#isOver(): boolean {
		return this.remaining === 0;
	}

	#lost(): HoldfastError {
		const reason = this.#end ?? "expired";
		return scopeError(
			this.#parts.scope,
			"lease-lost",
			`the lease of lock ${JSON.stringify(this.name)} has ended: ${reason}`,
			{ reason },
		);
	}
}
