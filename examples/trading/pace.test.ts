import { expect, test } from "vitest";
import { Pacer } from "./pace.ts";

test("as many days are due as the pace says", () => {
	const pacer = new Pacer({ speed: 20, paused: false }, 0);
	expect(pacer.wait).toBe(50);
	expect(pacer.take(49, 100)).toBe(0);
	expect(pacer.take(50, 100)).toBe(1);
	expect(pacer.take(175, 100)).toBe(2);
	expect(pacer.wait).toBe(25);
});

test("a new pace holds from now on", () => {
	const pacer = new Pacer({ speed: 1, paused: false }, 0);
	pacer.change({ speed: 100, paused: false }, 500);
	expect(pacer.wait).toBe(5);
	pacer.change({ speed: 100, paused: true }, 505);
	expect(pacer.wait).toBeUndefined();
	expect(pacer.take(10_000, 100)).toBe(1);
	pacer.change({ speed: 100, paused: false }, 20_000);
	expect(pacer.take(20_010, 100)).toBe(1);
});

test("after a stall it goes on at its pace and does not catch up", () => {
	const pacer = new Pacer({ speed: 10, paused: false }, 0);
	expect(pacer.take(60_000, 5)).toBe(5);
	expect(pacer.take(60_000, 5)).toBe(1);
	expect(pacer.take(60_000, 5)).toBe(0);
});
