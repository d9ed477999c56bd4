/** The chart of the account: what it is worth, against holding the index from the first day on. */
import { AreaSeries, createChart, type IChartApi, type ISeriesApi, LineSeries } from "lightweight-charts";
import { chartOptions } from "./chart-style.ts";
import { readColors } from "./colors.ts";
import type { SymbolHistory } from "./history.ts";

/** It always shows the whole run, so each picture is a big one: not more than three a second, in ms. */
const rest = 330;

/** What a buy at the first close would be worth. */
export function holding(history: SymbolHistory, cash: number): number | undefined {
	const [first, last] = [history.bars[0]?.[1].close, history.bars.at(-1)?.[1].close];
	return first === undefined || last === undefined ? undefined : (cash * last) / first;
}

export class EquityChart {
	readonly #chart: IChartApi;
	readonly #worth: ISeriesApi<"Area">;
	readonly #hold: ISeriesApi<"Line">;
	#history: SymbolHistory | undefined;
	#generation = -1;
	#bars = 0;
	#days = 0;
	#drawn = 0;

	constructor(container: HTMLElement) {
		this.#chart = createChart(container, { autoSize: true });
		this.#hold = this.#chart.addSeries(LineSeries, {
			lineWidth: 1,
			priceLineVisible: false,
			lastValueVisible: false,
			crosshairMarkerVisible: false,
		});
		this.#worth = this.#chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false });
		this.restyle();
	}

	/** Takes the theme's colours again. */
	restyle(): void {
		const colors = readColors();
		this.#chart.applyOptions({
			...chartOptions(colors),
			rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.08 } },
			localization: { locale: "en-US", dateFormat: "dd MMM yyyy", priceFormatter: formatThousands },
		});
		this.#worth.applyOptions({
			lineColor: colors.accent,
			topColor: colors["accent-faint"],
			bottomColor: "transparent",
		});
		this.#hold.applyOptions({ color: colors.quiet });
	}

	/** Draws what is new since the last time; all of it where more changed than the end. */
	draw(history: SymbolHistory, startingCash: number): void {
		const first = history.bars[0]?.[1].close ?? 1;
		const held = ([time, { close }]: (typeof history.bars)[number]) => ({
			time,
			value: (startingCash * close) / first,
		});
		const worth = ([time, value]: (typeof history.equity)[number]) => ({ time, value });
		const grown = history.equity.length > this.#days;
		const now = performance.now();
		const all = history !== this.#history || history.generation !== this.#generation;
		if (!all && now - this.#drawn < rest) return;
		this.#drawn = now;
		if (all) {
			this.#history = history;
			this.#generation = history.generation;
			this.#hold.setData(history.bars.map(held));
			this.#worth.setData(history.equity.map(worth));
		} else {
			for (const bar of history.bars.slice(this.#bars)) this.#hold.update(held(bar));
			for (const day of history.equity.slice(this.#days)) this.#worth.update(worth(day));
			if (!grown) return;
		}
		this.#bars = history.bars.length;
		this.#days = history.equity.length;
		this.#chart.timeScale().fitContent();
	}
}

const formatThousands = (value: number): string => `$${(value / 1000).toFixed(1)}k`;
