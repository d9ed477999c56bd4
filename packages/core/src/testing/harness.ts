/** What the suite needs to know of a store in order to test it. */
import type { Backend } from "../backend.js";

/**
 * A store of a test's own, empty at first, and what a test can do to it. Opened anew for every test: a server's harness picks a fresh
 * prefix or database rather than starting a server.
 *
 * What is optional is an ability: tests that need one which is missing are skipped, with the reason.
 */
export interface BackendHarness {
	/** A further handle on the same store, as another process would have it. The suite closes it. */
	create(): Backend | Promise<Backend>;
	/**
	 * Moves the store's time ahead by whole milliseconds, for all its handles: an offset that is added wherever the store reads its clock. Without it
	 * no deadline is tested.
	 */
	advance?(ms: number): void | Promise<void>;
	/** Whether an answer can get lost on the way, so that a batch may be sent again (promise 13). False for a store within the process. */
	readonly losesAnswers?: boolean;
	/** Ends the store and starts it again: what it answered must still be there, for handles that are made afterwards. */
	restart?(): Promise<void>;
	/** Whether handles that were made before a restart go on after it, as a server's clients do. */
	readonly reconnects?: boolean;
	/** Takes everything from the store, as if its disk was lost, under the handles that are open. */
	forget?(): void | Promise<void>;
	/** Keeps a copy of the store; the answer brings the store back to it, under the handles that are open, as a restored dump or a failover does. */
	save?(): RestoreSaved | Promise<RestoreSaved>;
	/** How long anything may take before a test calls it hung, in ms of real time. Default 60,000. */
	readonly patience?: number;
	/** Ends it all. */
	dispose(): Promise<void>;
}

/** Brings a store back to what was saved. */
export type RestoreSaved = () => void | Promise<void>;

/** Opens a store for one test. */
export type HarnessFactory = () => BackendHarness | Promise<BackendHarness>;

/** What a harness may be able to do. */
export type Ability = "advance" | "losesAnswers" | "restart" | "reconnects" | "forget" | "save";

const reasons: Record<Ability, string> = {
	advance: "the store's time can't be moved",
	losesAnswers: "no answer of this store can be lost",
	restart: "what this store holds ends with its process",
	reconnects: "the handles of this store end with it",
	forget: "the store can't be emptied under its users",
	save: "the store can't be brought back to an older state",
};

/** Why a harness can't run a test that needs these abilities; `undefined` if it can. */
export function whyNot(harness: BackendHarness, needs: readonly Ability[]): string | undefined {
	const missing = needs.filter((ability) => harness[ability] === undefined || harness[ability] === false);
	return missing.length === 0 ? undefined : missing.map((ability) => reasons[ability]).join("; ");
}
