import fc from "fast-check";
import { expect, test } from "vitest";
import type { History, WireCommit } from "../wire.ts";
import { SymbolHistory } from "./history.ts";

const commitOf = (i: number): WireCommit => ({
	scope: "shared",
	revision: 100 + i,
	changes: [
		{ key: `bars/X/day-${i}`, value: { close: i } },
		{ key: `bars/Y/day-${i}`, value: { close: -i } },
		{ key: `equity/day-${i}`, value: i },
	],
	events: [],
});

const pastUntil = (i: number): History => ({
	revision: 100 + i,
	bars: Array.from({ length: i + 1 }, (_, j) => [`day-${j}`, { close: j }] as const),
	equity: Array.from({ length: i + 1 }, (_, j) => [`day-${j}`, j] as const),
	trades: [],
});

test("wherever the answer falls among the pushed commits, each bar is there once", () => {
	fc.assert(
		fc.property(fc.nat(8), fc.nat(8), fc.nat(8), (asked, answeredFrom, arrives) => {
			// Commits from `asked` on are heard; the answer shows the state at some commit at or after that.
			const shown = Math.min(8, asked + answeredFrom);
			const history = new SymbolHistory("X");
			for (let i = asked + 1; i <= 9; i++) {
				if (i === Math.min(9, shown + arrives)) history.load(pastUntil(shown));
				history.apply(commitOf(i));
			}
			if (history.generation === 0) history.load(pastUntil(shown));
			const expected = Array.from({ length: 10 }, (_, j) => `day-${j}`);
			expect(history.bars.map(([date]) => date)).toEqual(expected);
			expect(history.equity.map(([date]) => date)).toEqual(expected);
		}),
	);
});

test("a restart empties it, also one that was under way when the past was read", () => {
	const history = new SymbolHistory("X");
	history.load(pastUntil(3));
	history.apply({ scope: "shared", revision: 104, changes: [{ key: "bars/X/day-0" }], events: [] });
	expect(history.bars.map(([date]) => date)).toEqual(["day-1", "day-2", "day-3"]);
	const { generation } = history;
	history.apply({ scope: "shared", revision: 105, changes: [{ key: "run", value: 2 }], events: [] });
	expect(history).toMatchObject({ bars: [], equity: [], trades: [] });
	expect(history.generation).toBeGreaterThan(generation);
});
