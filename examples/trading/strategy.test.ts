import fc from "fast-check";
import { expect, test } from "vitest";
import { MovingAverage } from "./moving-average.ts";
import { Crossover } from "./strategy.ts";

test("a moving average is the mean of the last numbers", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: 1, max: 10 }),
			fc.array(fc.integer({ min: 1, max: 10_000 }), { maxLength: 60 }),
			(length, numbers) => {
				const average = new MovingAverage(length);
				for (const [i, number] of numbers.entries()) {
					const last = numbers.slice(Math.max(0, i + 1 - length), i + 1);
					const mean = last.reduce((sum, each) => sum + each, 0) / length;
					const told = average.push(number);
					if (last.length < length) expect(told).toBeUndefined();
					else expect(told).toBeCloseTo(mean, 8);
				}
			},
		),
	);
});

test("buys and sells where the averages cross, computed by hand", () => {
	const strategy = new Crossover({ fast: 2, slow: 3 });
	//       close: 10  9  8    12     13     9       7       7       10
	// fast of two: –  9.5 8.5  10    12.5   11      8       7       8.5
	// slow of three: – –  9    9.67  11     11.33   9.67    7.67    8
	//       above:        no   yes   yes    no      no      no      yes
	const signals = [10, 9, 8, 12, 13, 9, 7, 7, 10].map((close) => strategy.push(close));
	expect(signals).toEqual([
		undefined,
		undefined,
		undefined,
		"buy",
		undefined,
		"sell",
		undefined,
		undefined,
		"buy",
	]);
	expect(strategy.fast).toBe(8.5);
	expect(strategy.slow).toBe(8);
});

test("the first comparison is no crossing, and neither are equal averages", () => {
	const strategy = new Crossover({ fast: 1, slow: 2 });
	expect(strategy.missing).toBe(2);
	// Rises from its first bar on, touches its average, rises again: nothing ever crossed.
	expect([1, 2, 2, 3].map((close) => strategy.push(close))).toEqual([
		undefined,
		undefined,
		undefined,
		undefined,
	]);
	expect(strategy.missing).toBe(0);
});

test("the fast average must be the shorter one", () => {
	expect(() => new Crossover({ fast: 50, slow: 20 })).toThrow("must be shorter");
});
