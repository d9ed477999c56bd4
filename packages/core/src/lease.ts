/** A held lock: renewed by touches, ended by the clock of the process that holds it, never by hope. */
import type { CommitOutcome, KeyCondition, Soon } from "./backend.js";
import type { Cancel } from "./clock.js";
import type { HoldfastError } from "./error.js";
import type { Lease, LeaseEnd } from "./lock.js";
import { type Patience, type Store, scopeError } from "./store.js";

/**
 * What clocks may differ by in rate, as in Redlock: the holder gives up a little before the store does
 * (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/).
 */
const drift = (ttl: number): number => ttl * 0.01 + 2;

/** What a lease works with. */
export interface LeaseParts {
	readonly store: Store;
	/** The scope, as errors name it. */
	readonly scope: string;
	readonly condition: KeyCondition;
	renew(ttl: number, patience: Patience): Soon<CommitOutcome>;
	remove(): Soon<unknown>;
	ended(lease: HeldLease): void;
}

/** A lease of this process. */
export class HeldLease implements Lease {
	readonly name: string;
	readonly token: number;
	readonly #ttl: number;
	readonly #parts: LeaseParts;
	// By the monotonic clock, from before the store was asked: the store's own deadline is never earlier.
	#deadline: number;
	#end: LeaseEnd | undefined;
	#failing = false;
	#timer: Cancel | undefined;
	#controller: AbortController | undefined;

	constructor(name: string, ttl: number, asked: number, parts: LeaseParts) {
		this.name = name;
		this.token = parts.condition.revision;
		this.#ttl = ttl;
		this.#parts = parts;
		this.#deadline = asked + ttl - drift(ttl);
		this.#renewIn(ttl / 3);
	}

	get signal(): AbortSignal {
		// Made at first need: it costs more than the rest of a lease.
		this.#controller ??= new AbortController();
		if (this.#isOver()) this.#controller.abort(this.#lost());
		return this.#controller.signal;
	}

	get remaining(): number {
		return this.#isOver() ? 0 : this.#deadline - this.#parts.store.clock.monotonic();
	}

	check(): void {
		if (this.#isOver()) throw this.#lost();
	}

	async release(): Promise<void> {
		if (this.#isOver()) return;
		this.end("released");
		try {
			await this.#parts.remove();
		} catch (error) {
			// Nobody keeps it: it runs out by itself.
			this.#parts.store.report(
				error,
				"a lock could not be released, it expires by itself",
				this.#parts.scope,
			);
		}
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}

	/** Ends it on this side. */
	end(reason: LeaseEnd): void {
		if (this.#end !== undefined) return;
		this.#end = reason;
		this.#timer?.();
		this.#parts.ended(this);
		this.#controller?.abort(this.#lost());
	}

	// A stalled event loop calls no timer, so every look at the lease looks at the clock.
	#isOver(): boolean {
		if (this.#end === undefined && this.#parts.store.clock.monotonic() >= this.#deadline)
			this.end(this.#failing ? "unreachable" : "expired");
		return this.#end !== undefined;
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

	#renewIn(ms: number): void {
		const { clock } = this.#parts.store;
		const left = this.#deadline - clock.monotonic();
		this.#timer = clock.after(Math.max(0, Math.min(ms, left)), () => void this.#renew(), true);
	}

	async #renew(): Promise<void> {
		if (this.#isOver()) return;
		const { store, renew } = this.#parts;
		const asked = store.clock.monotonic();
		try {
			const outcome = await renew(this.#ttl, { timeout: Math.min(this.#ttl / 3, this.#deadline - asked) });
			this.#failing = false;
			if (!outcome.ok) {
				// Sealed scopes refuse renewals too: the lease does not move with the scope.
				this.end(outcome.why === "condition" && outcome.entry !== null ? "taken" : "expired");
				return;
			}
			this.#deadline = asked + this.#ttl - drift(this.#ttl);
			if (!this.#isOver()) this.#renewIn(this.#ttl / 3);
		} catch {
			this.#failing = true;
			if (!this.#isOver()) this.#renewIn(this.#ttl / 10);
		}
	}
}
