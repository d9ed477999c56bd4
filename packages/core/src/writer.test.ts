import { describe, expect, test } from "vitest";
import type { Batch, BatchAnswer } from "./backend.js";
import { judgeWriter, type WriterMemory } from "./writer.js";

const forever = { count: 10, age: 1000 };
const batch: Batch = {
	scope: "default/shared",
	writer: "w",
	sequence: 5,
	until: 1000,
	floor: 0,
	step: 1,
	commits: [{ id: "c", do: [] }],
	keep: { changes: forever, events: forever },
};
const answer: BatchAnswer = { head: 7, now: 1, next: null, outcomes: [] };
const memory: WriterMemory = { sequence: 5, id: "c", answer, until: 1000 };

describe("a batch", () => {
	test("of an unknown writer goes on, up to and including its last instant", () => {
		expect(judgeWriter(undefined, batch, 1000)).toBeUndefined();
		expect(judgeWriter(undefined, batch, 1000.5)).toMatchObject({ failed: "overdue", now: 1000.5 });
	});

	test("sent again gets the stored answer, even after its time", () => {
		expect(judgeWriter(memory, batch, 0)).toBe(answer);
		expect(judgeWriter(memory, batch, 5000)).toBe(answer);
	});

	test("with another first commit under the same sequence is a conflict", () => {
		const other = { ...batch, commits: [{ id: "d", do: [] }] };
		expect(judgeWriter(memory, other, 0)).toMatchObject({ failed: "conflict" });
	});

	test("behind the writer's last one is superseded, even after its time", () => {
		expect(judgeWriter(memory, { ...batch, sequence: 4 }, 5000)).toMatchObject({ failed: "superseded" });
	});

	test("after the writer's last one goes on, unless it is overdue", () => {
		expect(judgeWriter(memory, { ...batch, sequence: 6 }, 0)).toBeUndefined();
		expect(judgeWriter(memory, { ...batch, sequence: 6 }, 1001)).toMatchObject({ failed: "overdue" });
	});

	test("that only sweeps has no writer to be judged by", () => {
		const sweep = { ...batch, sequence: 0, commits: [] };
		expect(judgeWriter(memory, sweep, 0)).toBeUndefined();
		expect(judgeWriter(memory, sweep, 1001)).toMatchObject({ failed: "overdue" });
	});
});
