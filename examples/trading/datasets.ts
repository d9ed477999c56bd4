/**
 * The market data, from the npm package vega-datasets: the S&P 500's daily bars of 2000 to 2020, and monthly prices of five
 * stocks from 2000 to March 2010.
 */
import { readFile } from "node:fs/promises";
import type { Bar, Instrument, Tick } from "./bar.ts";
import { parseRecords } from "./csv.ts";

/** What became known on one trading day. */
interface TradingDay {
	readonly date: string;
	readonly ticks: readonly Tick[];
}

/** All there is to replay. */
export interface Market {
	readonly instruments: readonly Instrument[];
	readonly days: readonly TradingDay[];
}

/** The index, which is the only one with daily bars. */
export const index = "SP500";

const names: Record<string, string> = {
	[index]: "S&P 500",
	AAPL: "Apple",
	AMZN: "Amazon",
	GOOG: "Google",
	IBM: "IBM",
	MSFT: "Microsoft",
};

/** Reads the package's files. */
export async function readMarket(): Promise<Market> {
	const read = (file: string): Promise<string> =>
		readFile(new URL(`../data/${file}`, import.meta.resolve("vega-datasets")), "utf8");
	const [daily, monthly] = await Promise.all([read("sp500-2000.csv"), read("stocks.csv")]);
	return makeMarket(parseDaily(daily), parseMonthly(monthly));
}

/** Prices have two digits; the file's 1455.219971 is a single-precision float's way to say 1455.22. */
const price = (text: string): number => Math.round(Number(text) * 100) / 100;

/** The daily bars of the index. */
const parseDaily = (text: string): Tick[] =>
	parseRecords(text, ["date", "open", "high", "low", "close", "volume"]).map((row) => ({
		symbol: index,
		date: row.date,
		bar: {
			open: price(row.open),
			high: price(row.high),
			low: price(row.low),
			close: price(row.close),
			volume: Number(row.volume),
		},
	}));

/** The monthly prices of the stocks, in the order of their days. */
export const parseMonthly = (text: string): Tick[] =>
	parseRecords(text, ["symbol", "date", "price"])
		.map((row) => ({ symbol: row.symbol, date: isoDay(row.date), bar: { close: price(row.price) } }))
		.sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));

/** Turns `Mar 1 2010` into `2010-03-01`. */
function isoDay(text: string): string {
	const date = new Date(`${text} UTC`);
	if (Number.isNaN(date.getTime())) throw new Error(`${text} is no date.`);
	return date.toISOString().slice(0, 10);
}

/** Puts each monthly price on the first trading day that is not before its own. */
export function makeMarket(daily: readonly Tick[], monthly: readonly Tick[]): Market {
	const waiting = [...monthly].reverse();
	const days = daily.map((tick): TradingDay => {
		const ticks: Tick[] = [tick];
		for (let next = waiting.at(-1); next !== undefined && next.date <= tick.date; next = waiting.at(-1))
			ticks.push(waiting.pop() as Tick);
		return { date: tick.date, ticks };
	});
	return { days, instruments: instrumentsOf([...daily, ...monthly]) };
}

function instrumentsOf(ticks: readonly Tick[]): Instrument[] {
	const last = new Map<string, { date: string; bar: Bar }>();
	for (const { symbol, date, bar } of ticks) last.set(symbol, { date, bar });
	return Array.from(last, ([symbol, { date, bar }]) => ({
		symbol,
		name: names[symbol] ?? symbol,
		interval: bar.open === undefined ? "monthly" : "daily",
		last: date,
	}));
}
