/** What one request may cost beyond its own size: little is quickly asked for what takes the server long to find or to tell. */
import type { Entry, ScopeId } from "../backend.js";
import { HoldfastError } from "../error.js";
import { scopeError } from "../store.js";
import type { WireBatch } from "../wire/messages.js";

/** The most bytes of entries that one answer tells, as estimated. */
const answerBytes = 2 ** 25;

/** The most listings that the conditions of one request are about: to judge one, a store goes through all that it lists. */
const listings = 500;

/** How much one answer may tell. */
export class AnswerRoom {
	#bytes = answerBytes;

	/** Whether there is room for these entries, too: they then count. */
	takes(entries: readonly (Entry | null)[]): boolean {
		const bytes = entries.reduce((sum, entry) => sum + (entry?.value.size ?? 0), 0);
		if (bytes > this.#bytes) return false;
		this.#bytes -= bytes;
		return true;
	}
}

/** The error of what an answer has no room for. */
export const noRoom = (scope: ScopeId): HoldfastError =>
	scopeError(scope, "too-large", `an answer tells ${answerBytes} bytes at most: ask for less at once`);

/**
 * Refuses batches that are about too many listings, as a whole: sent again in parts, each must be to the store what it was before.
 *
 * @throws {@link HoldfastError} `too-large`.
 */
export function checkListings(batches: readonly WireBatch[]): void {
	let found = 0;
	for (const { commits } of batches)
		for (const { if: conditions = [] } of commits)
			for (const condition of conditions) if ("under" in condition) found++;
	if (found > listings)
		throw new HoldfastError(
			"too-large",
			`the request has ${found} conditions on listings, the limit is ${listings}: split it`,
		);
}
