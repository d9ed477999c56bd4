/** Errors and failures as they cross the wire. */
import type { Failure } from "../backend.js";
import { type ErrorCode, HoldfastError, isHoldfastError } from "../error.js";
import type { WireError, WireFailure } from "./messages.js";

const statuses: Partial<Record<ErrorCode, number>> = {
	unauthenticated: 401,
	denied: 403,
	"identity-changed": 409,
	conflict: 409,
	sealed: 409,
	"too-large": 413,
	"unknown-key": 422,
	"validation-failed": 422,
	"schema-mismatch": 422,
	busy: 429,
	failed: 500,
	unavailable: 503,
	closed: 503,
	timeout: 504,
	"outcome-unknown": 504,
	full: 507,
};

/** The HTTP status that an error is answered with. */
export const statusOf = (code: ErrorCode): number => statuses[code] ?? 400;

/** The code that a status means where no error came with it, as from a proxy. */
export function codeOf(status: number): ErrorCode {
	if (status === 401) return "unauthenticated";
	if (status === 403) return "denied";
	if (status === 413) return "too-large";
	if (status === 429) return "busy";
	return status >= 500 ? "unavailable" : "failed";
}

/** An error as it is sent. Causes stay behind: they are about the server's insides. */
export function encodeError({ code, message, scope, key, note, reason, issues }: HoldfastError): WireError {
	// The place is added again where the error is made anew.
	const place = [scope, key === undefined ? undefined : JSON.stringify(key)].filter(Boolean).join(" ");
	const suffix = ` [${place}]`;
	return {
		code,
		message: place !== "" && message.endsWith(suffix) ? message.slice(0, -suffix.length) : message,
		...(scope !== undefined && { scope }),
		...(key !== undefined && { key }),
		...(note !== undefined && { note }),
		...(reason !== undefined && { reason }),
		...(issues !== undefined && { issues: issues.map((issue) => ({ message: issue.message })) }),
	};
}

/** What {@link encodeError} made. */
export const decodeError = ({ code, message, ...details }: WireError): HoldfastError =>
	new HoldfastError(code, message, details);

/** A failure as it is sent. */
export const encodeFailure = ({ failed, message, cause, now }: Failure): WireFailure => ({
	failed,
	message,
	...(now !== undefined && { now }),
	...(isHoldfastError(cause) && { error: encodeError(cause) }),
});

/** What {@link encodeFailure} made. */
export const decodeFailure = ({ failed, message, now, error }: WireFailure): Failure => ({
	failed: failed as Failure["failed"],
	message,
	...(now !== undefined && { now }),
	...(error !== undefined && { cause: decodeError(error) }),
});
