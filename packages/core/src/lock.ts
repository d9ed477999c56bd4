/** Locks: fenced, renewed, and lost only audibly. */
import type { Duration } from "./duration.js";
import type { CallOptions } from "./scope.js";

/** Options of `tryLock`. */
export interface LockRequest extends CallOptions {
	/** How long the lease lives unless renewed, which happens by itself. Default 15 s. */
	readonly ttl?: Duration;
}

/** Options of `lock`. */
export interface LockOptions extends LockRequest {
	/** How long to wait for it before `lock-held`. Default 10 s. */
	readonly wait?: Duration;
}

/** Why a lease ended: let go, ran out, taken by another, or the store was out of reach until it ran out. */
export type LeaseEnd = "released" | "expired" | "taken" | "unreachable";

/** A held lock. */
export interface Lease {
	/** The lock's name. */
	readonly name: string;
	/** The fencing token: grows with every lease of this lock, across restarts and loss of the store. */
	readonly token: number;
	/** Aborts when the lease is lost or released; its reason is a `lease-lost` error that says why. */
	readonly signal: AbortSignal;
	/** How long it is certain to live without another renewal, in ms; 0 when it has ended. */
	readonly remaining: number;
	/** Throws `lease-lost` if it has ended. */
	check(): void;
	/** Lets go of the lock; does nothing where it has ended. */
	release(): Promise<void>;
	[Symbol.asyncDispose](): Promise<void>;
}

/** How an attempt at a lock ended. */
export type LockAttempt =
	| { readonly acquired: true; readonly lease: Lease }
	/** `holder` names who has it, `expiresIn` is the most it can last without renewal, in ms. */
	| { readonly acquired: false; readonly holder: string; readonly expiresIn: number };
