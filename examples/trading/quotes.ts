/** Each symbol's last price, its change and its trend. */
import type { Instrument, Tick } from "./bar.ts";
import type { Quote } from "./state.ts";

const trendLength = 32;

/** The quotes after some ticks: the last one of each symbol counts, and every one is in its trend; one that is known is no news. */
export function quotesAfter(
	before: ReadonlyMap<string, Quote>,
	ticks: readonly Tick[],
	instruments: ReadonlyMap<string, Instrument>,
): Map<string, Quote> {
	const quotes = new Map(before);
	for (const { symbol, date, bar } of ticks) {
		const instrument = instruments.get(symbol) ?? { symbol, name: symbol, interval: "daily", last: date };
		const last = quotes.get(symbol);
		if (last !== undefined && date <= last.date) continue;
		quotes.set(symbol, {
			...instrument,
			date,
			price: bar.close,
			previous: last?.price ?? null,
			trend: [...(last?.trend ?? []), bar.close].slice(-trendLength),
		});
	}
	return quotes;
}
