/** What went wrong in the storage, in the words of the contract. */
import { type ErrorCode, type Failure, HoldfastError } from "@holdfast/core";

/** Why a transaction has no answer. Only of `unknown` is it uncertain whether it was applied. */
export type Reason = "unavailable" | "blocked" | "full" | "unknown" | "closed";

const codes: Record<Reason, ErrorCode> = {
	unavailable: "unavailable",
	blocked: "store-blocked",
	full: "full",
	unknown: "outcome-unknown",
	closed: "closed",
};

/** A transaction that failed. */
export class StoreFailure extends Error {
	readonly reason: Reason;

	constructor(reason: Reason, message: string, cause?: unknown) {
		super(message, { cause });
		this.reason = reason;
	}
}

const nameOf = (error: unknown): string | undefined => (error as { readonly name?: string } | null)?.name;

/** Whether storage refused because it has no more room. */
export const isFull = (error: unknown): boolean => nameOf(error) === "QuotaExceededError";

/** What an error of the storage is. */
export function failureOf(error: unknown): StoreFailure {
	if (error instanceof StoreFailure) return error;
	if (isFull(error))
		return new StoreFailure("full", "the browser gives this origin no more room: delete something", error);
	const said = error instanceof Error || nameOf(error) !== undefined ? String(error) : "it was aborted";
	return new StoreFailure("unavailable", `the browser's storage did not do its work: ${said}`, error);
}

/** How a read or a batch fails. */
export function asFailure(error: unknown): Failure {
	const { reason, message, cause } = failureOf(error);
	const failed = reason === "blocked" || reason === "unknown" ? reason : "unavailable";
	return { failed, message, cause };
}

/** How any other call fails. */
export function asError(error: unknown): HoldfastError {
	const { reason, message, cause } = failureOf(error);
	return new HoldfastError(codes[reason], message, { cause });
}
