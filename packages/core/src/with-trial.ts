/** `test` with a store in memory of its own, its clocks and its managers, all ended when the test ends. */
import { test as base } from "vitest";
import type { StateManager } from "./manager.js";
import { defineState, type StateDefinition, type StateShape } from "./state.js";
import { memoryHarness } from "./testing/memory-harness.js";
import { remembering } from "./testing/remembering.js";
import { textBoundary } from "./testing/text-boundary.js";
import { Trial } from "./testing/trial.js";

export const test = base
	/** A store that answers at once, as memory does. */
	// biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures are wanted
	.extend("trial", async ({}, { onCleanup }) => {
		const trial = new Trial(memoryHarness({ still: true }), true);
		onCleanup(() => trial.end());
		return trial;
	})
	/** A store that answers later, in text, and remembers writers, as a server's does. */
	// biome-ignore lint/correctness/noEmptyPattern: as above
	.extend("remote", async ({}, { onCleanup }) => {
		const harness = memoryHarness({
			layer: remembering,
			handle: textBoundary,
			losesAnswers: true,
			still: true,
		});
		const trial = new Trial(harness, true);
		onCleanup(() => trial.end());
		return trial;
	})
	.extend("manager", async ({ trial }): Promise<StateManager> => trial.manager());

/** A state definition whose types nobody looks at, so that what they refuse can be tried. */
export const untyped = (shape: StateShape): StateDefinition<never> =>
	defineState(shape) as unknown as StateDefinition<never>;
