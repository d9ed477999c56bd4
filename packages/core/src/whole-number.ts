/** Whole numbers: what counts and bounds something. */
import { HoldfastError } from "./error.js";

/**
 * Answers a number that is whole and within bounds; without `most`, finite.
 *
 * @throws {@link HoldfastError} `invalid-argument` where it is not.
 *
 * @example
 * ```ts
 * wholeNumber("queue", 1000, 1); // 1000
 * ```
 */
export function wholeNumber(
	name: string,
	given: number,
	least: number,
	most = Number.MAX_SAFE_INTEGER,
): number {
	// Infinity is no integer, and may be the bound.
	if (given === most || (Number.isInteger(given) && given >= least && given < most)) return given;
	throw new HoldfastError(
		"invalid-argument",
		`${name} is ${String(given)}: give a whole number from ${least} to ${most}`,
	);
}
