/** One error type with stable codes, recognised by its brand. */
import type { Entry, Json } from "./backend.js";

/**
 * What went wrong, for programs. Codes are stable; messages are for people and may change.
 *
 * | code | meaning and way out |
 * | --- | --- |
 * | `invalid-key` | A key is empty, has a lone surrogate or a wildcard segment. |
 * | `invalid-id` | A scope's kind or id, or a namespace, is malformed. |
 * | `invalid-pattern` | A pattern has `**` elsewhere than at its end. |
 * | `invalid-value` | A value can't be stored: a function, a cycle, a class instance, a lone surrogate. |
 * | `invalid-argument` | An option or argument is malformed: a duration, a bound, a signal. |
 * | `unknown-key` | The state definition has no such key or event. |
 * | `validation-failed` | The schema refuses the value to be written. |
 * | `schema-mismatch` | The stored value no longer fits the schema; add a migration. |
 * | `too-large` | A key, value or commit is over its limit. |
 * | `conflict` | A condition failed, or retries ran out; `entry` is what is there now. |
 * | `out-of-bounds` | An increment in a transaction would pass its bound. |
 * | `not-a-number` | An increment of an entry that holds something else. |
 * | `full` | The store has no room; nothing is evicted silently. |
 * | `sealed` | The scope has moved or is moving; `note` says where. |
 * | `lock-held` | The lock was not free within the wait; names holder and time left. |
 * | `lease-lost` | The lease had ended: `expired`, `taken`, `unreachable` or `released`. |
 * | `timeout` | Not handed to the store in time; nothing was written. |
 * | `outcome-unknown` | Handed to the store and never answered: read before writing again. |
 * | `unavailable` | The store is out of reach; nothing was written. |
 * | `offline` | The page has no network, and this can't be queued; nothing was written. |
 * | `pending-writes` | A log-out while deferred writes wait: say what becomes of them. |
 * | `store-blocked` | Another tab, perhaps a frozen one, holds the browser's storage; nothing was written. |
 * | `busy` | A queue is at its bound; slow down. |
 * | `unauthenticated` | A bridge's server does not know who asks: log in. |
 * | `denied` | A bridge's server does not grant it to who asks. |
 * | `identity-changed` | The page believes to be somebody else than its cookie says; nothing was written. |
 * | `closed` | The manager, or the subscription's source, was closed. |
 * | `failed` | The store refused in a way that has no code of its own; see `cause`. |
 */
export type ErrorCode =
	| "invalid-key"
	| "invalid-id"
	| "invalid-pattern"
	| "invalid-value"
	| "invalid-argument"
	| "unknown-key"
	| "validation-failed"
	| "schema-mismatch"
	| "too-large"
	| "conflict"
	| "out-of-bounds"
	| "not-a-number"
	| "full"
	| "sealed"
	| "lock-held"
	| "lease-lost"
	| "timeout"
	| "outcome-unknown"
	| "unavailable"
	| "offline"
	| "pending-writes"
	| "store-blocked"
	| "busy"
	| "unauthenticated"
	| "denied"
	| "identity-changed"
	| "closed"
	| "failed";

/** Where an error happened and what it knows. */
export interface ErrorDetails {
	/** The scope, as its kind and id: `user/ada`. */
	readonly scope?: string | undefined;
	/** The key, as the application wrote it. */
	readonly key?: string | undefined;
	/** What stood in the way, for `conflict` and `out-of-bounds`: the current entry; `null` where the key is absent. */
	readonly entry?: Entry | null | undefined;
	/** Which condition failed, counted from 0. */
	readonly index?: number | undefined;
	/** A seal's note. */
	readonly note?: Json | undefined;
	/** Why a lease was lost. */
	readonly reason?: string | undefined;
	/** Who holds a lock. */
	readonly holder?: string | undefined;
	/** How long a lock may still be held, in ms. */
	readonly expiresIn?: number | undefined;
	/** What a schema said. */
	readonly issues?: readonly { readonly message: string }[] | undefined;
	/** What caused it. */
	readonly cause?: unknown;
}

const brand = Symbol.for("holdfast.error");

/** The only error that Holdfast makes. Recognise it with {@link isHoldfastError}, never by `instanceof`. */
export class HoldfastError extends Error implements ErrorDetails {
	/** What went wrong. */
	readonly code: ErrorCode;
	declare readonly scope?: string;
	declare readonly key?: string;
	declare readonly entry?: Entry | null;
	declare readonly index?: number;
	declare readonly note?: Json;
	declare readonly reason?: string;
	declare readonly holder?: string;
	declare readonly expiresIn?: number;
	declare readonly issues?: readonly { readonly message: string }[];

	constructor(code: ErrorCode, message: string, { cause, ...details }: ErrorDetails = {}) {
		const { scope } = details;
		const key = JSON.stringify(details.key);
		const place = [scope, key].filter(Boolean).join(" ");
		let bare = message;
		// What is told again from further out names its place already, or part of it.
		for (const part of [place, scope, key])
			if (bare.endsWith(` [${part}]`)) bare = bare.slice(0, bare.lastIndexOf(` [${part}]`));
		super(place === "" ? message : `${bare} [${place}]`, cause === undefined ? undefined : { cause });
		this.name = "HoldfastError";
		this.code = code;
		Object.defineProperty(this, brand, { value: true });
		for (const [name, value] of Object.entries(details))
			if (value !== undefined) Object.defineProperty(this, name, { value, enumerable: true });
	}
}

/**
 * Whether something is a {@link HoldfastError}, also of another copy of this library, and of this code if one is given.
 *
 * @example
 * ```ts
 * try {
 *   await shared.set("counter", 1, { ifRevision: 7 });
 * } catch (error) {
 *   if (isHoldfastError(error, "conflict")) console.log(error.entry);
 * }
 * ```
 */
export const isHoldfastError = (error: unknown, code?: ErrorCode): error is HoldfastError =>
	typeof error === "object" &&
	error !== null &&
	(error as Record<symbol, unknown>)[brand] === true &&
	(code === undefined || (error as HoldfastError).code === code);
