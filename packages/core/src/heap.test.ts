import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "./heap.js";

const step = fc.oneof(
	{ weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 30 }) }) },
	{ weight: 2, arbitrary: fc.constant("pop" as const) },
	{ weight: 1, arbitrary: fc.record({ keep: fc.integer({ min: 0, max: 30 }) }) },
);

test("a heap gives back the least item first, as a sorted array does", () => {
	fc.assert(
		fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
			const heap = new Heap<number>((item) => item);
			let model: number[] = [];
			for (const step of steps) {
				if (step === "pop") expect(heap.pop()).toBe(model.shift());
				else if ("push" in step) {
					heap.push(step.push);
					model = [...model, step.push].sort((a, b) => a - b);
				} else {
					heap.filter((item) => item <= step.keep);
					model = model.filter((item) => item <= step.keep);
				}
				expect(heap.size).toBe(model.length);
				expect(heap.peek()).toBe(model[0]);
			}
		}),
	);
});

test("an empty heap has no least item", () => {
	const heap = new Heap<number>((item) => item);
	expect(heap.peek()).toBeUndefined();
	expect(heap.pop()).toBeUndefined();
	expect(heap.size).toBe(0);
});
