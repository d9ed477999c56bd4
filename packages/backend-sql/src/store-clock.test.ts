import { expect, test } from "vitest";
import { StoreClock } from "./store-clock.js";

test("the answer that came fastest tells the clock, until it is old", () => {
	let at = 1000;
	const clock = new StoreClock(() => at);
	expect(clock.now()).toBeUndefined();
	clock.note(50_000);
	at += 10.5;
	expect(clock.now()).toBe(50_010);
	// This one was long under way.
	clock.note(49_900);
	expect(clock.now()).toBe(50_010);
	// Faster.
	clock.note(50_012);
	expect(clock.now()).toBe(50_012);
	at += 6000;
	// It was set back, or ours is faster.
	clock.note(56_000);
	expect(clock.now()).toBe(56_000);
});
