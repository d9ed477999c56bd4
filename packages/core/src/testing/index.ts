/**
 * The conformance suite: every promise as tests, for our backends and for anybody's, and the tools that it is made of.
 *
 * @packageDocumentation
 */
export { around } from "./around.js";
export { type Call, type Chaos, type ChaosOptions, chaos, type Faults } from "./chaos.js";
export type { Check } from "./check.js";
export { checks } from "./checks.js";
export {
	add,
	Client,
	type Draft,
	Ear,
	emit,
	put,
	remove,
	seal,
	touch,
} from "./client.js";
export { type ConformanceOptions, conformance } from "./conformance.js";
export { agreesWithMemory, type DifferentialOptions } from "./differential.js";
export {
	type Ability,
	type BackendHarness,
	type HarnessFactory,
	type RestoreSaved,
	whyNot,
} from "./harness.js";
export {
	History,
	type RegisterInput,
	type RegisterOutput,
	register,
} from "./history.js";
export { isLinearizable, type Model, type Operation } from "./linearizability.js";
export { type MemoryHarnessOptions, memoryHarness } from "./memory-harness.js";
export { type Random, seeded } from "./random.js";
export { remembering } from "./remembering.js";
export { TestClock, type TestClockOptions } from "./test-clock.js";
export { textBoundary } from "./text-boundary.js";
