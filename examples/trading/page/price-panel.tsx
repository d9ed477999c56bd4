/** The chosen symbol: its chart, and how it is looked at. */
import { type ReactNode, useCallback, useState } from "react";
import { useEntries, useEntry, useMirror } from "./bindings.ts";
import { Choice, Toggle } from "./choice.tsx";
import { formatCompact, formatDay, formatPercent, formatPrice, toneOf } from "./format.ts";
import { type Figure, Legend } from "./legend.tsx";
import { PriceChart, type Reading } from "./price-chart.ts";
import { useChart } from "./use-chart.ts";
import { useSettings } from "./visitor.ts";

export function PricePanel(): ReactNode {
	const [{ symbol, range, averages, volume }, save] = useSettings();
	const quote = useEntries("shared", "quotes/*").find(({ value }) => value.symbol === symbol);
	const { fastLength: fast = 20, slowLength: slow = 50 } = useEntry("shared", "strategy") ?? {};
	const [reading, setReading] = useState<Reading>();
	const bars = useMirror("shared", `bars/${symbol}/*`);
	const trades = useMirror("shared", "trades/*");
	const draw = useCallback(
		(chart: PriceChart) =>
			chart.draw({
				bars: bars.list(),
				trades: trades
					.list()
					.map(({ value }) => value)
					.filter((trade) => trade.symbol === symbol),
				fast,
				slow,
				range,
				averages,
				volume,
				read: setReading,
			}),
		[bars, trades, symbol, fast, slow, range, averages, volume],
	);
	const container = useChart(PriceChart, draw, [bars, trades]);
	const said = reading && `Price chart, ${formatPrice(reading.bar.close)} on ${formatDay(reading.date)}`;
	return (
		<section className="panel price" aria-labelledby="price-title">
			<div className="bar">
				<h2 id="price-title">{quote?.value.name ?? symbol}</h2>
				<Choice
					id="range"
					legend="Range of the chart"
					options={[
						["6m", "6M"],
						["1y", "1Y"],
						["5y", "5Y"],
						["all", "All"],
					]}
					chosen={range}
					choose={(chosen) => save({ range: chosen })}
				/>
				<fieldset id="layers" className="toggles">
					<legend className="hidden">Layers of the chart</legend>
					<Toggle label="SMA" on={averages} toggle={(on) => save({ averages: on })} />
					<Toggle label="Volume" on={volume} toggle={(on) => save({ volume: on })} />
				</fieldset>
			</div>
			<Legend id="legend" figures={reading === undefined ? [] : figuresOf(reading, fast, slow)} />
			<div id="price" className="chart" role="img" aria-label={said ?? "Price chart"} ref={container} />
		</section>
	);
}

function figuresOf(reading: Reading, fastLength: number, slowLength: number): readonly Figure[] {
	const { date, bar, before, fast, slow } = reading;
	const change = before === undefined ? 0 : bar.close / before.close - 1;
	const { open, high = 0, low = 0, close, volume } = bar;
	const range: readonly Figure[] =
		open === undefined
			? []
			: [
					["", "O", formatPrice(open)],
					["", "H", formatPrice(high)],
					["", "L", formatPrice(low)],
				];
	const optional = (
		name: string,
		label: string,
		value: number | undefined,
		format: (value: number) => string,
	): readonly Figure[] => (value === undefined ? [] : [[name, label, format(value)]]);
	return [
		["", "", formatDay(date)],
		...range,
		["", open === undefined ? "Price" : "C", formatPrice(close)],
		[toneOf(change), "", formatPercent(change)],
		...optional("", "Vol", volume, formatCompact),
		...optional("fast", `SMA ${fastLength}`, fast, formatPrice),
		...optional("slow", `SMA ${slowLength}`, slow, formatPrice),
	];
}
