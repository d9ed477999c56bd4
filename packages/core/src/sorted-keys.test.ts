import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareKeys } from "./key.js";
import { SortedKeys } from "./sorted-keys.js";

const key = fc.string({
	unit: fc.constantFrom("a", "b", "/", "!", "é", "\uffff", "\u{10000}"),
	minLength: 1,
	maxLength: 4,
});
const step = fc.record({ does: fc.constantFrom("add", "add", "delete", "list"), key, to: fc.option(key) });

const inOrder = (model: ReadonlySet<string>, from: string, to: string | null): string[] =>
	[...model]
		.filter((key) => compareKeys(from, key) <= 0 && (to === null || compareKeys(key, to) < 0))
		.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe("sorted keys", () => {
	test("list a span in the order of its bytes, as a sorted set does", () => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
				const keys = new SortedKeys();
				const model = new Set<string>();
				for (const { does, key, to } of steps) {
					if (does === "list") expect([...keys.within({ from: key, to })]).toEqual(inOrder(model, key, to));
					else if (does === "add" && !model.has(key)) keys.add(key);
					else if (does === "delete" && model.has(key)) keys.delete(key);
					if (does === "add") model.add(key);
					if (does === "delete") model.delete(key);
					expect(keys.size).toBe(model.size);
				}
				expect([...keys.within({ from: "", to: null })]).toEqual(inOrder(model, "", null));
			}),
		);
	});

	test("stay in order over many chunks, that split and run empty", () => {
		const keys = new SortedKeys();
		const model = new Set<string>();
		const name = (i: number): string => ((i * 7919) % 10_007).toString(36);
		for (let i = 0; i < 6000; i++) {
			keys.add(name(i));
			model.add(name(i));
			// Listed often, so that most keys are inserted one by one.
			if (i % 50 === 0) expect(keys.within({ from: "", to: null }).next().done).toBe(false);
		}
		for (let i = 0; i < 6000; i++) {
			if (i % 5 === 0) continue;
			keys.delete(name(i));
			model.delete(name(i));
		}
		expect(keys.size).toBe(1200);
		expect([...keys.within({ from: "", to: null })]).toEqual(inOrder(model, "", null));
		expect([...keys.within({ from: "3", to: "4" })]).toEqual(inOrder(model, "3", "4"));
	});
});
