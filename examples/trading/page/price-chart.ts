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
import type { Settings } from "../state.ts";
import { appended, dayOf, type Member } from "./appended.ts";
import { chartOptions } from "./chart-style.ts";
import { readColors } from "./colors.ts";
import type { Chart } from "./use-chart.ts";

/** What stands above the chart: the bar under the pointer, else the last one. */
export interface Reading {
	readonly date: string;
	readonly bar: Bar;
	readonly before: Bar | undefined;
	readonly fast: number | undefined;
	readonly slow: number | undefined;
}

/** What is drawn. */
export interface Picture extends Pick<Settings, "range" | "averages" | "volume"> {
	readonly bars: readonly Member<Bar>[];
	/** Those of these bars. */
	readonly trades: readonly Trade[];
	/** The lengths of the moving averages. */
	readonly fast: number;
	readonly slow: number;
	/** Told what to say above the chart. */
	readonly read: (reading: Reading | undefined) => void;
}

const barsIn = { "6m": 126, "1y": 252, "5y": 1260 } as const;

/** More new bars than that are given together with all before them: each one alone costs the chart a pass through all. */
const many = 4;

export class PriceChart implements Chart {
	readonly rest = 40;
	readonly #chart: IChartApi;
	readonly #candles: ISeriesApi<"Candlestick">;
	readonly #line: ISeriesApi<"Area">;
	readonly #volume: ISeriesApi<"Histogram">;
	readonly #fast: ISeriesApi<"Line">;
	readonly #slow: ISeriesApi<"Line">;
	readonly #markers;
	#colors = readColors();
	#bars: readonly Member<Bar>[] = [];
	#averages: { readonly fast: number | undefined; readonly slow: number | undefined }[] = [];
	#fastAverage = new MovingAverage(1);
	#slowAverage = new MovingAverage(1);
	#picture: Picture | undefined;
	#pointed: string | undefined;

	constructor(container: HTMLElement) {
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
	}

	/** Takes the theme's colours. */
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
		this.#setVolume();
		this.#mark();
	}

	/** Draws what is new since the last time; all of it where more changed than the end. */
	draw(picture: Picture): void {
		const before = this.#picture;
		this.#picture = picture;
		const isBegun = this.#bars.length > 0 && this.#grow(picture);
		if (!isBegun) this.#begin(picture);
		if (!isBegun || picture.trades.length !== before?.trades.length) this.#mark();
		this.#volume.applyOptions({ visible: picture.volume });
		this.#fast.applyOptions({ visible: picture.averages });
		this.#slow.applyOptions({ visible: picture.averages });
		if (picture.range === "all") this.#chart.timeScale().fitContent();
		else if (!isBegun || picture.range !== before?.range) this.#look(barsIn[picture.range]);
		this.#tell();
	}

	/** Lets go of its element. */
	remove(): void {
		this.#chart.remove();
	}

	/** Draws what was appended; `false` where it is not so. */
	#grow({ bars, fast, slow }: Picture): boolean {
		const fresh = appended(this.#bars, bars);
		if (fresh === undefined || fast !== this.#fastAverage.length || slow !== this.#slowAverage.length)
			return false;
		this.#bars = bars;
		for (const bar of fresh) this.#average(bar);
		if (fresh.length > many) this.#setAll();
		else for (const [i, bar] of fresh.entries()) this.#append(bar, bars.length - fresh.length + i);
		return true;
	}

	#begin({ bars, fast, slow }: Picture): void {
		this.#bars = bars;
		this.#fastAverage = new MovingAverage(fast);
		this.#slowAverage = new MovingAverage(slow);
		this.#averages = [];
		for (const bar of bars) this.#average(bar);
		this.#setAll();
	}

	#average({ value: { close } }: Member<Bar>): void {
		this.#averages.push({ fast: this.#fastAverage.push(close), slow: this.#slowAverage.push(close) });
	}

	/** Whether the bars are those of days; months have a price alone. */
	get #isDaily(): boolean {
		return this.#bars[0]?.value.open !== undefined;
	}

	#setAll(): void {
		const bars = this.#bars;
		this.#candles.setData(this.#isDaily ? bars.map(candle) : []);
		this.#line.setData(this.#isDaily ? [] : bars.map((bar) => point(bar, bar.value.close)));
		this.#setVolume();
		const line = (which: "fast" | "slow") =>
			bars.flatMap((bar, i) => pointIf(bar, this.#averages[i]?.[which]) ?? []);
		this.#fast.setData(line("fast"));
		this.#slow.setData(line("slow"));
	}

	#setVolume(): void {
		this.#volume.setData(this.#bars.flatMap((bar) => this.#volumeOf(bar) ?? []));
	}

	#append(bar: Member<Bar>, index: number): void {
		if (this.#isDaily) this.#candles.update(candle(bar));
		else this.#line.update(point(bar, bar.value.close));
		const volume = this.#volumeOf(bar);
		if (volume !== undefined) this.#volume.update(volume);
		const { fast, slow } = this.#averages[index] ?? {};
		if (fast !== undefined) this.#fast.update(point(bar, fast));
		if (slow !== undefined) this.#slow.update(point(bar, slow));
	}

	#volumeOf(bar: Member<Bar>) {
		const { open, close, volume } = bar.value;
		if (volume === undefined || open === undefined) return undefined;
		return { ...point(bar, volume), color: this.#colors[close >= open ? "gain-faint" : "loss-faint"] };
	}

	#mark(): void {
		this.#markers.setMarkers(
			(this.#picture?.trades ?? []).map(({ date, side }) => {
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

	/** Shows the last so many days. */
	#look(days: number): void {
		const shown = Math.round(days / (this.#isDaily ? 1 : 21));
		const end = this.#bars.length;
		this.#chart.timeScale().setVisibleLogicalRange({ from: end - shown, to: end + shown * 0.04 });
	}

	#point({ time }: MouseEventParams<Time>): void {
		this.#pointed = time === undefined ? undefined : String(time);
		this.#tell();
	}

	#tell(): void {
		const bars = this.#bars;
		const pointed = this.#pointed === undefined ? -1 : bars.findIndex((bar) => dayOf(bar) === this.#pointed);
		const at = pointed < 0 ? bars.length - 1 : pointed;
		const found = bars[at];
		this.#picture?.read(
			found && { date: dayOf(found), bar: found.value, before: bars[at - 1]?.value, ...this.#averagesAt(at) },
		);
	}

	#averagesAt(index: number): Pick<Reading, "fast" | "slow"> {
		return this.#averages[index] ?? { fast: undefined, slow: undefined };
	}
}

const point = (bar: Member<Bar>, value: number) => ({ time: dayOf(bar), value });

const pointIf = (bar: Member<Bar>, value: number | undefined) =>
	value === undefined ? undefined : point(bar, value);

function candle(bar: Member<Bar>) {
	const { open = 0, high = 0, low = 0, close } = bar.value;
	return { time: dayOf(bar), open, high, low, close };
}
