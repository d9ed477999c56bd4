import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Sieve, type Sieved } from "./sieve.js";

interface Item extends Sieved {
	readonly name: number;
}

const item = (name: number, bytes = 1): Item => ({ name, used: false, bytes });

describe("a sieve", () => {
	test("never holds more than its bounds, and tells of each that went once", () => {
		const step = fc.record({
			do: fc.constantFrom("add", "use", "resize", "remove"),
			at: fc.nat(100),
			bytes: fc.integer({ min: 1, max: 60 }),
		});
		fc.assert(
			fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
				const held: Item[] = [];
				const sieve = new Sieve<Item>(5, 100, (gone) => {
					expect(held).toContain(gone);
					held.splice(held.indexOf(gone), 1);
				});
				for (const [i, { do: what, at, bytes }] of steps.entries()) {
					const one = held[at % Math.max(1, held.length)];
					if (what === "add") {
						const made = item(i, bytes);
						held.push(made);
						sieve.add(made);
					} else if (one !== undefined && what === "use") one.used = true;
					else if (one !== undefined && what === "resize") sieve.resize(one, bytes);
					else if (one !== undefined) {
						held.splice(held.indexOf(one), 1);
						sieve.remove(one);
					}
					expect(sieve.size).toBe(held.length);
					expect(sieve.size).toBeLessThanOrEqual(5);
					expect(sieve.bytes).toBe(held.reduce((sum, each) => sum + each.bytes, 0));
					expect(sieve.bytes).toBeLessThanOrEqual(100);
				}
			}),
		);
	});

	test("lets go of what nobody used before what somebody did", () => {
		const gone: number[] = [];
		const sieve = new Sieve<Item>(4, Number.POSITIVE_INFINITY, ({ name }) => gone.push(name));
		const items = [0, 1, 2, 3].map((name) => item(name));
		for (const each of items) sieve.add(each);
		for (const i of [0, 2]) (items[i] as Item).used = true;
		sieve.add(item(4));
		sieve.add(item(5));
		expect(gone).toEqual([1, 3]);
	});

	test("lets go of what does not fit alone", () => {
		const gone: number[] = [];
		const sieve = new Sieve<Item>(4, 10, ({ name }) => gone.push(name));
		sieve.add(item(1, 11));
		expect(gone).toEqual([1]);
		expect(sieve.bytes).toBe(0);
	});
});
