/** Why a deferred write was refused for good, and what says nothing about it. */
import { type ErrorCode, type Failure, isHoldfastError, type Refused } from "@holdfast/core";
import type { Refusal } from "./offline-write.js";

/** Refusals that say nothing about the write: it is sent again later. */
const passing = new Set<ErrorCode>(["unauthenticated", "identity-changed", "failed"]);

const codes: Record<Refused["why"], ErrorCode> = {
	condition: "conflict",
	absent: "conflict",
	bound: "out-of-bounds",
	type: "not-a-number",
	full: "full",
	sealed: "sealed",
	rejected: "failed",
};

/** The refusal that the server's is. */
export function refusalOf({ why, cause }: Refused): Refusal {
	if (isHoldfastError(cause)) return { code: cause.code, message: cause.message };
	return { code: codes[why], message: `the store refused it: ${why}` };
}

/** The refusal that a failure is for good, or `undefined` where it may pass. */
export function finalOf({ failed, cause }: Failure): Refusal | undefined {
	if (failed !== "refused" || !isHoldfastError(cause) || passing.has(cause.code)) return undefined;
	return { code: cause.code, message: cause.message };
}
