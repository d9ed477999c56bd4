import { expect, test } from "vitest";
import { TestClock } from "./test-clock.js";

test("runs on real time, apart by its skew", async () => {
	const clock = new TestClock({ skew: 3_600_000 });
	expect(clock.now() - Date.now()).toBeGreaterThan(3_590_000);
	const started = clock.monotonic();
	await new Promise<void>((resolve) => clock.after(5, resolve));
	expect(clock.monotonic() - started).toBeGreaterThanOrEqual(5);
	expect(clock.waiting).toBe(0);
});

test("a jump moves both of its times, and fires what became due, in order", () => {
	const clock = new TestClock({ still: true });
	const [now, monotonic] = [clock.now(), clock.monotonic()];
	const fired: string[] = [];
	clock.after(20_000, () => fired.push("second"));
	clock.after(10_000, () => {
		fired.push("first");
		clock.after(1000, () => fired.push("not yet"));
	});
	clock.after(40_000, () => fired.push("last"));
	expect(clock.untilNext).toBeLessThanOrEqual(10_000);
	clock.jump(30_000);
	expect(fired).toEqual(["first", "second"]);
	expect(clock.now() - now).toBeGreaterThanOrEqual(30_000);
	expect(clock.monotonic() - monotonic).toBeGreaterThanOrEqual(30_000);
	clock.jump(1000);
	expect(fired).toEqual(["first", "second", "not yet"]);
	clock.jump(10_000);
	expect(fired).toEqual(["first", "second", "not yet", "last"]);
	expect(clock.untilNext).toBeNull();
});

test("what is cancelled does not fire, also in the middle of a jump, also twice", () => {
	const clock = new TestClock({ still: true });
	const fired: string[] = [];
	const cancel = clock.after(2000, () => fired.push("cancelled"));
	clock.after(1000, cancel);
	clock.jump(3000);
	cancel();
	expect(fired).toEqual([]);
	expect(clock.waiting).toBe(0);
});

test.each([false, true])(
	"what a jump leaves waiting comes the sooner in real time (still: %s)",
	async (still) => {
		const clock = new TestClock({ still });
		// It would be later than a test may last.
		const fired = new Promise<void>((resolve) => clock.after(60_000, resolve));
		clock.jump(59_990);
		await fired;
		expect(clock.waiting).toBe(0);
	},
);

test("one that stands still goes on by what is due soon alone, and by no more than that", async () => {
	const clock = new TestClock({ still: true });
	const [now, monotonic] = [clock.now(), clock.monotonic()];
	const fired: string[] = [];
	clock.after(300, () => fired.push("later"));
	await new Promise<void>((resolve) => clock.after(20, resolve));
	const passed = [clock.now() - now, clock.monotonic() - monotonic];
	expect(passed[0]).toBe(passed[1]);
	expect(passed[0]).toBeGreaterThanOrEqual(20);
	expect(passed[0]).toBeLessThan(22);
	expect(fired).toEqual([]);
	await new Promise<void>((resolve) => clock.after(100, resolve));
	await new Promise<void>((resolve) => clock.after(250, resolve));
	expect(fired).toEqual(["later"]);
});
