/** A promise's tests as data: registered with vitest by `conformance`, and run one by one over broken backends. */
import type { Ability, BackendHarness } from "./harness.js";
import { Trial } from "./trial.js";

/** One thing that a promise says, and how to see whether a store keeps it. */
export interface Check {
	/** The promise's number. */
	readonly promise: number;
	/** What holds, as a sentence. */
	readonly name: string;
	/** What the harness must be able to do. */
	readonly needs: readonly Ability[];
	/** Rejects, saying what broke, if it does not hold. The harness is fresh and is disposed of by the caller. */
	run(harness: BackendHarness): Promise<void>;
}

/** States a check of a promise. */
export const check = (
	promise: number,
	name: string,
	body: (trial: Trial) => Promise<void>,
	...needs: readonly Ability[]
): Check => ({
	promise,
	name,
	needs,
	async run(harness) {
		const trial = new Trial(harness);
		try {
			await body(trial);
		} finally {
			await trial.end();
		}
	},
});
