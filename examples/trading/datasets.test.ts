import { expect, test } from "vitest";
import { index, makeMarket, parseMonthly, readMarket } from "./datasets.ts";

test("the package's data are what the page says they are", async () => {
	const { days, instruments } = await readMarket();
	expect(days).toHaveLength(5105);
	expect([days[0]?.date, days.at(-1)?.date]).toEqual(["2000-01-03", "2020-04-17"]);
	expect(days[0]?.ticks[0]).toEqual({
		symbol: index,
		date: "2000-01-03",
		bar: { open: 1469.25, high: 1478, low: 1438.36, close: 1455.22, volume: 931_800_000 },
	});
	expect(instruments.map(({ symbol, interval }) => `${symbol} ${interval}`).sort()).toEqual([
		"AAPL monthly",
		"AMZN monthly",
		"GOOG monthly",
		"IBM monthly",
		"MSFT monthly",
		"SP500 daily",
	]);
	const ticks = days.flatMap((day) => day.ticks);
	expect(ticks).toHaveLength(5105 + 4 * 123 + 68);
	for (const { date, ticks } of days) for (const tick of ticks) expect(tick.date <= date).toBe(true);
	for (const { date, bar } of ticks) {
		const { open = bar.close, high = bar.close, low = bar.close, close } = bar;
		expect(low <= Math.min(open, close) && high >= Math.max(open, close), date).toBe(true);
	}
});

test("a monthly price comes with the first trading day that is not before its own", () => {
	const bar = { close: 1 };
	const daily = ["2000-01-03", "2000-01-04", "2000-02-01"].map((date) => ({ symbol: index, date, bar }));
	const monthly = parseMonthly(
		"symbol,date,price\nIBM,Jan 1 2000,100\nIBM,Feb 1 2000,90\nMSFT,Jan 1 2000,39.81",
	);
	const told = makeMarket(daily, monthly).days.map(({ ticks }) => ticks.map(({ symbol }) => symbol).join());
	expect(told).toEqual(["SP500,IBM,MSFT", "SP500", "SP500,IBM"]);
});
