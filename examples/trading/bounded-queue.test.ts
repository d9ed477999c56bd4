import fc from "fast-check";
import { expect, test } from "vitest";
import { BoundedQueue } from "./bounded-queue.ts";

const never = new AbortController().signal;
type Item = { readonly key: string; readonly number: number };
const makeQueue = (capacity: number): BoundedQueue<Item> => new BoundedQueue(capacity, ({ key }) => key);

test("within its bound it gives all, in order, up to the limit", async () => {
	const queue = makeQueue(3);
	for (const number of [1, 2, 3]) queue.push({ key: "a", number });
	expect((await queue.take(2, never)).map(({ number }) => number)).toEqual([1, 2]);
	expect((await queue.take(2, never)).map(({ number }) => number)).toEqual([3]);
	expect(queue).toMatchObject({ size: 0, peak: 3, coalesced: 0 });
});

test("at its bound it drops what a newer one made obsolete, and counts it", async () => {
	const queue = makeQueue(3);
	for (const [number, key] of ["rare", "a", "b", "a", "a"].entries()) queue.push({ key, number });
	expect((await queue.take(9, never)).map(({ number }) => number)).toEqual([0, 2, 4]);
	expect(queue.coalesced).toBe(2);
});

test("whatever comes: bounded, in order, the newest of each key kept, and nothing lost uncounted", async () => {
	const keys = ["a", "b", "c"];
	const item = fc.constantFrom(...keys);
	await fc.assert(
		fc.asyncProperty(
			fc.integer({ min: 3, max: 6 }),
			fc.array(item, { minLength: 1 }),
			async (capacity, pushed) => {
				const queue = makeQueue(capacity);
				for (const [number, key] of pushed.entries()) {
					queue.push({ key, number });
					expect(queue.size).toBeLessThanOrEqual(capacity);
				}
				const taken = await queue.take(Number.POSITIVE_INFINITY, never);
				const numbers = taken.map(({ number }) => number);
				expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
				expect(taken.length + queue.coalesced).toBe(pushed.length);
				for (const key of new Set(pushed)) expect(numbers).toContain(pushed.lastIndexOf(key));
			},
		),
	);
});

test("a take waits for the first item", async () => {
	const queue = makeQueue(3);
	const taking = queue.take(5, never);
	queue.push({ key: "a", number: 1 });
	expect(await taking).toHaveLength(1);
});

test("a take ends empty when its signal aborts", async () => {
	const ending = new AbortController();
	const taking = makeQueue(3).take(5, ending.signal);
	ending.abort();
	expect(await taking).toEqual([]);
});
