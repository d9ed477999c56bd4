/** The chart of the chosen symbol: candles or a line, moving averages, volume, and the strategy's trades. */
import {
	AreaSeries,
	CandlestickSeries,
	createChart,
	createSeriesMarkers,
	HistogramSeries,
	type IChartApi,
	type ISeriesApi,
	LineSeries,
	type MouseEventParams,
	type Time,
} from "lightweight-charts";
import type { Bar } from "../bar.ts";
import type { Trade } from "../broker.ts";
import { MovingAverage } from "../moving-average.ts";
import type { Settings, Strategy } from "../state.ts";
import { chartOptions } from "./chart-style.ts";
import { readColors } from "./colors.ts";
import type { SymbolHistory } from "./history.ts";

/** What stands above the chart: the bar under the pointer, else the last one. */
export interface Reading {
	readonly date: string;
	readonly bar: Bar;
	readonly before: Bar | undefined;
	readonly fast: number | undefined;
	readonly slow: number | undefined;
}

type View = Pick<Settings, "range" | "averages" | "volume">;

const barsIn = { "6m": 126, "1y": 252, "5y": 1260 } as const;

export class PriceChart {
	readonly #chart: IChartApi;
	readonly #candles: ISeriesApi<"Candlestick">;
	readonly #line: ISeriesApi<"Area">;
	readonly #volume: ISeriesApi<"Histogram">;
	readonly #fast: ISeriesApi<"Line">;
	readonly #slow: ISeriesApi<"Line">;
	readonly #markers;
	readonly #read: (reading: Reading | undefined) => void;
	#colors = readColors();
	#history: SymbolHistory | undefined;
	#generation = -1;
	#drawn = 0;
	#marked = 0;
	#averages: { date: string; fast: number | undefined; slow: number | undefined }[] = [];
	#fastAverage = new MovingAverage(1);
	#slowAverage = new MovingAverage(1);
	#view: View | undefined;
	#pointed: string | undefined;

	constructor(container: HTMLElement, read: (reading: Reading | undefined) => void) {
		this.#read = read;
		this.#chart = createChart(container, { autoSize: true });
		const quietLine = {
			priceLineVisible: false,
			lastValueVisible: false,
			crosshairMarkerVisible: false,
		} as const;
		this.#volume = this.#chart.addSeries(HistogramSeries, {
			...quietLine,
			priceScaleId: "volume",
			priceFormat: { type: "volume" },
		});
		this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
		this.#line = this.#chart.addSeries(AreaSeries, { lineWidth: 2 });
		this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false });
		this.#slow = this.#chart.addSeries(LineSeries, { ...quietLine, lineWidth: 2 });
		this.#fast = this.#chart.addSeries(LineSeries, { ...quietLine, lineWidth: 2 });
		this.#markers = createSeriesMarkers(this.#candles, []);
		this.#chart.subscribeCrosshairMove((move) => this.#point(move));
		this.restyle();
	}

	/** Takes the theme's colours again. */
	restyle(): void {
		const colors = readColors();
		this.#colors = colors;
		this.#chart.applyOptions(chartOptions(colors));
		this.#candles.applyOptions({
			upColor: colors.gain,
			downColor: colors.loss,
			wickUpColor: colors.gain,
			wickDownColor: colors.loss,
		});
		this.#line.applyOptions({
			lineColor: colors.accent,
			topColor: colors["accent-faint"],
			bottomColor: "transparent",
		});
		this.#fast.applyOptions({ color: colors.fast });
		this.#slow.applyOptions({ color: colors.slow });
		this.#generation = -1;
	}

	/** Draws what is new since the last time; all of it where more changed than the end. */
	draw(history: SymbolHistory, strategy: Strategy | undefined, view: View): void {
		const [fast, slow] = [strategy?.fastLength ?? 20, strategy?.slowLength ?? 50];
		const all =
			history !== this.#history ||
			history.generation !== this.#generation ||
			fast !== this.#fastAverage.length ||
			slow !== this.#slowAverage.length;
		if (all) {
			this.#history = history;
			this.#generation = history.generation;
			[this.#drawn, this.#marked, this.#averages] = [0, -1, []];
			this.#fastAverage = new MovingAverage(fast);
			this.#slowAverage = new MovingAverage(slow);
		}
		const fresh = history.bars.slice(this.#drawn);
		const from = this.#averages.length;
		for (const [date, { close }] of fresh)
			this.#averages.push({ date, fast: this.#fastAverage.push(close), slow: this.#slowAverage.push(close) });
		if (all) this.#drawAll(history);
		else for (const [i, [date, bar]] of fresh.entries()) this.#append(date, bar, from + i);
		this.#drawn = history.bars.length;
		this.#mark(history.trades);
		this.#look(view, all, fresh.length > 0);
		this.#tell();
	}

	#drawAll({ bars }: SymbolHistory): void {
		const daily = bars[0]?.[1].open !== undefined;
		this.#candles.setData(daily ? bars.map(([date, bar]) => candle(date, bar)) : []);
		this.#line.setData(daily ? [] : bars.map(([time, { close }]) => ({ time, value: close })));
		this.#volume.setData(bars.flatMap(([date, bar]) => this.#volumeOf(date, bar) ?? []));
		this.#fast.setData(this.#averages.flatMap(({ date, fast }) => point(date, fast) ?? []));
		this.#slow.setData(this.#averages.flatMap(({ date, slow }) => point(date, slow) ?? []));
	}

	#append(date: string, bar: Bar, index: number): void {
		if (bar.open === undefined) this.#line.update({ time: date, value: bar.close });
		else this.#candles.update(candle(date, bar));
		const volume = this.#volumeOf(date, bar);
		if (volume !== undefined) this.#volume.update(volume);
		const [fast, slow] = [point(date, this.#averages[index]?.fast), point(date, this.#averages[index]?.slow)];
		if (fast !== undefined) this.#fast.update(fast);
		if (slow !== undefined) this.#slow.update(slow);
	}

	#volumeOf(time: string, { open, close, volume }: Bar) {
		if (volume === undefined || open === undefined) return undefined;
		return { time, value: volume, color: this.#colors[close >= open ? "gain-faint" : "loss-faint"] };
	}

	#mark(trades: readonly Trade[]): void {
		if (trades.length === this.#marked) return;
		this.#marked = trades.length;
		this.#markers.setMarkers(
			trades.map(({ date, side }) => {
				const buys = side === "buy";
				return {
					time: date,
					position: buys ? "belowBar" : "aboveBar",
					shape: buys ? "arrowUp" : "arrowDown",
					color: buys ? this.#colors.gain : this.#colors.loss,
				};
			}),
		);
	}

	#look(view: View, all: boolean, grown: boolean): void {
		const ranged = all || view.range !== this.#view?.range;
		this.#volume.applyOptions({ visible: view.volume });
		this.#fast.applyOptions({ visible: view.averages });
		this.#slow.applyOptions({ visible: view.averages });
		this.#view = { ...view };
		if (view.range === "all") {
			if (ranged || grown) this.#chart.timeScale().fitContent();
		} else if (ranged) {
			const monthly = this.#history?.bars[0]?.[1].open === undefined;
			const shown = Math.round(barsIn[view.range] / (monthly ? 21 : 1));
			this.#chart
				.timeScale()
				.setVisibleLogicalRange({ from: this.#drawn - shown, to: this.#drawn + shown * 0.04 });
		}
	}

	#point({ time }: MouseEventParams<Time>): void {
		this.#pointed = time === undefined ? undefined : String(time);
		this.#tell();
	}

	#tell(): void {
		const bars = this.#history?.bars ?? [];
		const pointed = this.#pointed === undefined ? -1 : bars.findIndex(([date]) => date === this.#pointed);
		const at = pointed < 0 ? bars.length - 1 : pointed;
		const found = bars[at];
		if (found === undefined) {
			this.#read(undefined);
			return;
		}
		const { fast, slow } = this.#averages[at] ?? {};
		this.#read({ date: found[0], bar: found[1], before: bars[at - 1]?.[1], fast, slow });
	}
}

const candle = (time: string, { open = 0, high = 0, low = 0, close }: Bar) => ({
	time,
	open,
	high,
	low,
	close,
});

const point = (time: string, value: number | undefined) =>
	value === undefined ? undefined : { time, value };
