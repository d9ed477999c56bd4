import { expect, test } from "vitest";
import { quotesAfter } from "./quotes.ts";

const tick = (date: string, close: number) => ({ symbol: "X", date, bar: { close } });
const instruments = new Map([
	["X", { symbol: "X", name: "Example", interval: "monthly" as const, last: "2010-03-01" }],
]);

test("the last tick counts, the one before it is what it is compared with, all are in the trend", () => {
	const first = quotesAfter(new Map(), [tick("2000-01-01", 10)], instruments);
	expect(first.get("X")).toMatchObject({ name: "Example", price: 10, previous: null, trend: [10] });
	const second = quotesAfter(first, [tick("2000-02-01", 11), tick("2000-03-01", 12)], instruments);
	expect(second.get("X")).toMatchObject({ date: "2000-03-01", price: 12, previous: 11, trend: [10, 11, 12] });
	expect(first.get("X")?.price).toBe(10);
});

test("a tick that is known already is no news, and keeps the same quote", () => {
	const before = quotesAfter(new Map(), [tick("2000-02-01", 10)], instruments);
	const after = quotesAfter(before, [tick("2000-01-01", 9), tick("2000-02-01", 10)], instruments);
	expect(after.get("X")).toBe(before.get("X"));
});

test("a trend has an end", () => {
	const ticks = Array.from({ length: 100 }, (_, i) => tick(`2000-01-01T${String(i).padStart(3, "0")}`, i));
	expect(quotesAfter(new Map(), ticks, instruments).get("X")?.trend).toHaveLength(32);
});
