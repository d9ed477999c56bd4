import { describe, expect, test } from "vitest";
import { breakages } from "./broken.js";
import { checks } from "./checks.js";
import { whyNot } from "./harness.js";
import { memoryHarness } from "./memory-harness.js";
import { promises } from "./promises.js";
import { remembering } from "./remembering.js";

// A broken store may leave a check waiting for ever.
const limit = 3000;

const late = (): Promise<never> =>
	new Promise((_, reject) => {
		setTimeout(() => reject(new Error("it did not end")), limit);
	});

test.each(Object.keys(promises).map(Number))(
	"promise %i has checks, and a store that breaks it",
	(promise) => {
		expect(checks.filter((check) => check.promise === promise)).not.toEqual([]);
		expect(breakages.filter((breakage) => breakage.promise === promise)).not.toEqual([]);
	},
);

describe.each(breakages)("a store that breaks promise $promise: it $name", ({ promise, open }) => {
	test("is caught", { timeout: 60_000 }, async () => {
		for (const check of checks) {
			if (check.promise !== promise) continue;
			const harness = open();
			if (whyNot(harness, check.needs) !== undefined) continue;
			const failure = await Promise.race([check.run(harness), late()]).then(
				() => undefined,
				(error: unknown) => error,
			);
			await harness.dispose();
			if (failure === undefined) continue;
			expect(String(failure).length, `what "${check.name}" says`).toBeGreaterThan(10);
			// Else it would prove nothing.
			await check.run(memoryHarness({ layer: remembering, losesAnswers: true }));
			return;
		}
		expect.fail("no check of this promise failed");
	});
});
