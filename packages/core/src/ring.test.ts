import fc from "fast-check";
import { expect, test } from "vitest";
import { Ring } from "./ring.js";

test("a ring is a queue whose items keep their order, as an array's do", () => {
	fc.assert(
		fc.property(fc.array(fc.constantFrom("push", "push", "shift"), { maxLength: 80 }), (steps) => {
			const ring = new Ring<number>();
			const model: number[] = [];
			for (const [i, step] of steps.entries()) {
				if (step === "shift") expect(ring.shift()).toBe(model.shift());
				else {
					ring.push(i);
					model.push(i);
				}
				expect(Array.from({ length: ring.size }, (_, at) => ring.at(at))).toEqual(model);
			}
			expect(ring.at(-1)).toBeUndefined();
			expect(ring.at(model.length)).toBeUndefined();
		}),
	);
});

test("a search finds the first item for which the test holds, or the end", () => {
	fc.assert(
		fc.property(fc.array(fc.nat(20)), fc.nat(20), fc.nat(10), (items, least, shifted) => {
			const ring = new Ring<number>();
			const sorted = items.sort((a, b) => a - b);
			for (const item of sorted) ring.push(item);
			for (let i = 0; i < shifted; i++) ring.shift();
			const rest = sorted.slice(shifted);
			const first = rest.findIndex((item) => item >= least);
			expect(ring.search((item) => item >= least)).toBe(first < 0 ? rest.length : first);
		}),
	);
});
