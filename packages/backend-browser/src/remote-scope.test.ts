import { HoldfastError, type Signal } from "@holdfast/core";
import { TestClock } from "@holdfast/core/testing";
import type { WireRecord } from "@holdfast/core/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { WatchedScope } from "./remote-scope.js";

const over = new HoldfastError("unavailable", "over");

/** The records of a log, at revisions 10, 20, 30 and so on. */
const log = (length: number): readonly WireRecord[] =>
	Array.from({ length }, (_, i) => ({ r: 10 * (i + 1), p: 10 * i, i: `c${i}`, t: 0 }));

function watched(clock = new TestClock({ still: true })) {
	const heard: Signal[] = [];
	let gaps = 0;
	const scope = new WatchedScope("default/shared", { clock, origin: () => undefined, gap: () => gaps++ });
	scope.listeners.add((signal) => heard.push(signal));
	return {
		scope,
		clock,
		heard,
		gaps: () => gaps,
		told: () =>
			heard.flatMap((signal) =>
				signal.type === "records" ? signal.records.map(({ revision }) => revision) : [],
			),
		types: () => heard.map(({ type }) => type),
	};
}

test("records that come twice, late and in any order are told once, in order", () => {
	const records = log(30);
	const arrivals = fc
		.tuple(
			fc.shuffledSubarray([...records], { minLength: 30 }),
			fc.array(fc.nat({ max: 29 })),
			fc.array(fc.integer({ min: 1, max: 5 })),
		)
		.map(([shuffled, repeated, sizes]) => ({
			arrived: [...shuffled, ...repeated.map((i) => records[i])],
			sizes,
		}));
	fc.assert(
		fc.property(arrivals, ({ arrived, sizes }) => {
			const { scope, told } = watched();
			scope.ready(0);
			for (let at = 0, i = 0; at < arrived.length; i++) {
				const size = sizes[i % sizes.length] ?? 1;
				scope.take(arrived.slice(at, at + size) as WireRecord[]);
				at += size;
			}
			expect(told()).toEqual(records.map(({ r }) => r));
			expect(scope.cursor).toBe(300);
			scope.close(over);
		}),
	);
});

test("a gap that lasts is told to the link, one that closes is not", () => {
	const [a, b, c, d] = log(4) as [WireRecord, WireRecord, WireRecord, WireRecord];
	const { scope, clock, gaps, told } = watched();
	scope.ready(0);
	scope.take([b]);
	clock.jump(10);
	scope.take([a]);
	clock.jump(1000);
	expect(gaps()).toBe(0);
	scope.take([d]);
	clock.jump(25);
	expect(gaps()).toBe(1);
	expect(told()).toEqual([10, 20]);
	// A stream from the cursor has it again.
	scope.take([c, d]);
	expect(told()).toEqual([10, 20, 30, 40]);
	expect(clock.waiting).toBe(0);
});

test("what waits for a record that never comes is bounded", () => {
	const { scope, gaps } = watched();
	scope.ready(0);
	scope.take(log(1100).slice(1));
	expect(gaps()).toBe(1);
	expect(scope.cursor).toBe(0);
	scope.take(log(1100));
	expect(scope.cursor).toBe(11_000);
	scope.close(over);
});

test("a reset wakes who listens, and records go on from there", () => {
	const { scope, told, types } = watched();
	scope.ready(0);
	scope.take(log(2));
	scope.reset(500);
	scope.take([{ r: 510, p: 500, i: "x", t: 0 }]);
	expect(types()).toEqual(["records", "wake", "records"]);
	expect(told()).toEqual([10, 20, 510]);
});

test("a stream that is ahead of what was told wakes who listens", () => {
	const { scope, types } = watched();
	scope.ready(100);
	expect(types()).toEqual([]);
	scope.ready(100);
	expect(types()).toEqual([]);
	scope.ready(200);
	expect(types()).toEqual(["wake"]);
	expect(scope.cursor).toBe(200);
});

test("who was told that nothing is heard is told when that is over, once", () => {
	const { scope, types } = watched();
	scope.lost();
	expect(types()).toEqual([]);
	scope.ready(0);
	scope.lost();
	scope.lost();
	scope.ready(0);
	scope.ready(0);
	expect(types()).toEqual(["lost", "wake"]);
});

test("what another user was told is forgotten, and who waits is refused", async () => {
	const { scope, types } = watched();
	const waiting = scope.whenAttached();
	scope.forget(new HoldfastError("identity-changed", "somebody else"));
	await expect(waiting).rejects.toThrow("somebody else");
	scope.ready(70);
	expect(scope.cursor).toBe(70);
	expect(types()).toEqual(["forget", "wake"]);
});
