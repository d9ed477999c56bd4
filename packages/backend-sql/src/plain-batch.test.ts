/** Which batches are plain. */
import type { Batch } from "@holdfast/core";
import { expect, test } from "vitest";
import { isPlain } from "./plain-batch.js";
import { emptied, type ScopeRow } from "./scope-row.js";

const age = 8000;
const keep = { changes: { count: 100, age }, events: { count: 100, age } };
const batch: Batch = {
	scope: "default/shared",
	writer: "me",
	sequence: 2,
	until: 1e9,
	floor: 0,
	step: 1,
	commits: [],
	keep,
};

/** A scope whose oldest record was made at this time. */
const rowOf = (changesOldest: number): ScopeRow => ({
	...emptied({ id: 1, scope: batch.scope, floor: 0, time: 0, keep, tidyAt: null } as ScopeRow),
	head: 5,
	changesTotal: 3,
	changesOldest,
});

test("a record that has just passed its age is left to who tidies, one that has for long is not", () => {
	const now = 1e6;
	expect(isPlain(rowOf(now - age), batch, now)).toBe(true);
	expect(isPlain(rowOf(now - age - 1), batch, now)).toBe(true);
	expect(isPlain(rowOf(now - age - age / 8), batch, now)).toBe(true);
	expect(isPlain(rowOf(now - age - age / 8 - 1), batch, now)).toBe(false);
});
