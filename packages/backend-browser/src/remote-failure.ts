/** An error of a request as the failure of what was asked. */
import { type ErrorCode, type Failure, isHoldfastError } from "@holdfast/core";

const failures: Partial<Record<ErrorCode, Failure["failed"]>> = {
	unavailable: "unavailable",
	closed: "unavailable",
	busy: "busy",
	"outcome-unknown": "unknown",
	timeout: "unknown",
};

/** The failure that an error is. What is no error of ours is a bug, and nobody knows how far it got. */
export function failureOf(cause: unknown): Failure {
	if (!isHoldfastError(cause))
		return { failed: "unknown", message: "the request broke off, see cause", cause };
	return { failed: failures[cause.code] ?? "refused", message: cause.message, cause };
}
