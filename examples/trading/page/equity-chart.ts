/** The chart of the account: what it is worth, against holding the index from the first day on. */
import { AreaSeries, createChart, type IChartApi, type ISeriesApi, LineSeries } from "lightweight-charts";
import type { Bar } from "../bar.ts";
import { dayOf, type Member } from "./appended.ts";
import { chartOptions } from "./chart-style.ts";
import { readColors } from "./colors.ts";
import type { Chart } from "./use-chart.ts";

export class EquityChart implements Chart {
	/** It always shows the whole run, so each picture is a big one. */
	readonly rest = 330;
	readonly #chart: IChartApi;
	readonly #worth: ISeriesApi<"Area">;
	readonly #hold: ISeriesApi<"Line">;

	constructor(container: HTMLElement) {
		this.#chart = createChart(container, { autoSize: true });
		this.#hold = this.#chart.addSeries(LineSeries, {
			lineWidth: 1,
			priceLineVisible: false,
			lastValueVisible: false,
			crosshairMarkerVisible: false,
		});
		this.#worth = this.#chart.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false });
	}

	/** Takes the theme's colours. */
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

	/** Draws both from the first day on. */
	draw(bars: readonly Member<Bar>[], equity: readonly Member<number>[], startingCash: number): void {
		const first = bars[0]?.value.close ?? 1;
		this.#hold.setData(
			bars.map((bar) => ({ time: dayOf(bar), value: (startingCash * bar.value.close) / first })),
		);
		this.#worth.setData(equity.map((day) => ({ time: dayOf(day), value: day.value })));
		this.#chart.timeScale().fitContent();
	}

	/** Lets go of its element. */
	remove(): void {
		this.#chart.remove();
	}
}

const formatThousands = (value: number): string => `$${(value / 1000).toFixed(1)}k`;
