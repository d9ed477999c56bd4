import { chaos } from "./testing/chaos.js";
import { conformance } from "./testing/conformance.js";
import { memoryHarness } from "./testing/memory-harness.js";
import { remembering } from "./testing/remembering.js";
import { textBoundary } from "./testing/text-boundary.js";

// Most of the time is spent waiting for a turn of the event loop.
const options = { concurrent: true };

conformance("memory", () => memoryHarness(), options);

conformance("memory behind a boundary of text", () => memoryHarness({ handle: textBoundary }), options);

conformance(
	"memory that loses answers",
	() =>
		memoryHarness({
			layer: remembering,
			handle: (store) =>
				chaos(store, { loseAnswers: 0.1, loseBatches: 0.05, lateBatches: 0.05, repeatBatches: 0.1 }).backend,
			losesAnswers: true,
		}),
	options,
);
