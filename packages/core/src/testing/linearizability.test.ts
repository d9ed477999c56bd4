import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { History, type RegisterInput, type RegisterOutput, register } from "./history.js";
import { isLinearizable, type Operation } from "./linearizability.js";

type Step = Operation<RegisterInput, RegisterOutput>;

const read = (saw: string | null, called: number, returned: number): Step => ({
	process: 0,
	input: { ask: "read" },
	output: { saw },
	called,
	returned,
});
const write = (value: string, called: number, returned: number): Step => ({
	process: 1,
	input: { ask: "write", value },
	output: { written: true },
	called,
	returned,
});
const swap = (from: string | null, value: string, called: number, returned: number): Step => ({
	process: 2,
	input: { ask: "swap", from, value },
	output: { swapped: true },
	called,
	returned,
});
const refused = (from: string | null, saw: string | null, called: number, returned: number): Step => ({
	process: 3,
	input: { ask: "swap", from, value: "never" },
	output: { swapped: false, saw },
	called,
	returned,
});
const unanswered = (step: Step): Step => ({ ...step, output: undefined });

const right: Record<string, readonly Step[]> = {
	"nothing happened": [],
	"a read beside a write may see either": [write("a", 0, 3), read(null, 1, 2), read("a", 4, 5)],
	"reads beside a long write see it one after another": [
		write("a", 0, 9),
		read(null, 1, 2),
		read("a", 3, 4),
		read("a", 5, 6),
	],
	"of two swaps at once one wins": [swap(null, "a", 0, 3), refused(null, "a", 1, 2)],
	"a lost write happened later": [unanswered(write("a", 0, 1)), read(null, 2, 3), read("a", 4, 5)],
	"a lost write never happened": [unanswered(write("a", 0, 1)), read(null, 2, 3)],
	"a lost swap happened": [unanswered(swap(null, "a", 0, 1)), read("a", 2, 3), swap("a", "b", 4, 5)],
};

const wrong: Record<string, readonly Step[]> = {
	"a read of what nobody wrote": [read("a", 0, 1)],
	"a stale read": [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)],
	"a read that misses a finished write": [write("a", 0, 1), read(null, 2, 3)],
	"reads that go back": [write("a", 0, 9), read("a", 1, 2), read(null, 3, 4)],
	"two swaps from the same value": [swap(null, "a", 0, 3), swap(null, "b", 1, 2)],
	"a lost update": [write("0", 0, 1), swap("0", "a", 2, 5), swap("0", "b", 3, 6), read("b", 7, 8)],
	"a refusal though nothing stood against it": [write("a", 0, 1), refused("a", "a", 2, 3)],
	"a refusal that saw the future": [refused("a", "b", 0, 1), write("b", 2, 3)],
	"two reads that saw two writes in different orders": [
		write("a", 0, 20),
		write("b", 1, 21),
		read("a", 2, 3),
		read("b", 4, 5),
		read("a", 6, 7),
	],
	"a lost write that came and went": [
		unanswered(write("a", 0, 1)),
		read("a", 2, 3),
		read(null, 4, 5),
		read("a", 6, 7),
	],
	"a lost write before its call": [read("a", 0, 1), unanswered(write("a", 2, 3))],
};

describe("the checker", () => {
	test.each(Object.entries(right))("accepts: %s", (_, history) => {
		expect(isLinearizable(register, history)).toBe(true);
	});

	test.each(Object.entries(wrong))("refuses: %s", (_, history) => {
		expect(isLinearizable(register, history)).toBe(false);
	});

	// Each operation takes effect at its own place, and is called and answered around it.
	const happened = fc
		.array(
			fc.record({
				kind: fc.constantFrom("read", "write", "swap"),
				stale: fc.boolean(),
				before: fc.nat(30),
				after: fc.nat(30),
				lost: fc.boolean(),
			}),
			{ maxLength: 30 },
		)
		.map((plans) => {
			let state: string | null = null;
			return plans.map(({ kind, stale, before, after, lost }, i): Step => {
				const called = i * 10 - before + i / 1000;
				const returned = i * 10 + after + i / 1000 + 0.0001;
				const value = `v${i}`;
				let step: Step;
				if (kind === "read") step = read(state, called, returned);
				else if (kind === "write") step = write(value, called, returned);
				else if (stale) step = refused("never written", state, called, returned);
				else step = swap(state, value, called, returned);
				if (kind === "write" || (kind === "swap" && !stale)) state = value;
				return lost ? unanswered(step) : step;
			});
		});

	test("accepts whatever did happen in some order", () => {
		fc.assert(fc.property(happened, (history) => isLinearizable(register, history)));
	});

	test("refuses what did happen once a read of it saw something else", () => {
		fc.assert(
			fc.property(happened, (history) => {
				const foreign = read("written by nobody", 15, 16);
				return !isLinearizable(register, [...history, foreign]);
			}),
		);
	});

	test("finds its way through many operations at once", () => {
		const history = Array.from({ length: 200 }, (_, i) => write(`v${i}`, i, 1000 + i));
		expect(isLinearizable(register, [...history, read("v7", 2000, 2001)])).toBe(true);
		const sequential = Array.from({ length: 200 }, (_, i) => write(`v${i}`, 2 * i, 2 * i + 1));
		expect(isLinearizable(register, [...sequential, read("v7", 2000, 2001)])).toBe(false);
	});
});

describe("a history", () => {
	test("names the key that is wrong, and what happened to it", async () => {
		const history = new History();
		await history.record(1, "good", { ask: "write", value: "a" }, async () => ({ written: true }));
		await history.record(1, "bad", { ask: "read" }, async () => ({ saw: "a" }));
		expect(history.length).toBe(2);
		expect(() => history.verify()).toThrow(/history of bad .*\n0?.*"ask":"read"/);
	});

	test("takes what rejected for unanswered", async () => {
		const history = new History();
		const lost = async (): Promise<never> => {
			throw new Error("lost");
		};
		await history.record(1, "key", { ask: "write", value: "a" }, lost);
		await history.record(1, "key", { ask: "read" }, async () => ({ saw: null }));
		history.verify();
	});
});
