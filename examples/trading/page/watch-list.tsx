/** The watch list: every symbol of the feed with its last price, its change and its trend. */
import { memo, type ReactNode } from "react";
import type { Quote } from "../state.ts";
import { useEntries, useEntry } from "./bindings.ts";
import { useChange } from "./change.tsx";
import { formatMonth, formatPercent, formatPrice, none, toneOf } from "./format.ts";
import { useSettings } from "./visitor.ts";

const width = 64;
const height = 26;

export function WatchList(): ReactNode {
	const quotes = useEntries("shared", "quotes/*").map(({ value }) => value);
	const now = useEntry("shared", "replay")?.date ?? "";
	const [settings, save] = useSettings();
	const [symbol, choose] = useChange(settings.symbol, (chosen) => save({ symbol: chosen }));
	const group = (interval: Quote["interval"], title: string): ReactNode => {
		const shown = quotes.filter((quote) => quote.interval === interval);
		const last = shown
			.map((quote) => quote.last)
			.sort()
			.at(-1);
		const over = last !== undefined && last.slice(0, 7) < now.slice(0, 7);
		return (
			<>
				<h3>{over ? `${title}, ended ${formatMonth(last)}` : title}</h3>
				<ul className={interval}>
					{shown.map((quote) => (
						<li key={quote.symbol} data-symbol={quote.symbol}>
							<button
								type="button"
								aria-pressed={quote.symbol === symbol}
								onClick={() => choose(quote.symbol)}
							>
								<Figures quote={quote} />
							</button>
						</li>
					))}
				</ul>
			</>
		);
	};
	return (
		<section className="panel watch" aria-labelledby="watch-title">
			<h2 id="watch-title">Watch list</h2>
			<div id="watch">
				{group("daily", "Daily bars")}
				{group("monthly", "Monthly prices")}
			</div>
		</section>
	);
}

const Figures = memo(({ quote }: { readonly quote: Quote }): ReactNode => {
	const { symbol, name, price, previous, trend } = quote;
	const change = previous === null ? undefined : price / previous - 1;
	return (
		<>
			<span className="symbol">{symbol}</span>
			<span className="name">{name}</span>
			<svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
				<polyline points={pointsOf(trend)} className={toneOf((trend.at(-1) ?? 0) - (trend[0] ?? 0))} />
			</svg>
			<span className="price">{formatPrice(price)}</span>
			<span className={`change ${toneOf(change ?? 0)}`}>
				{change === undefined ? none : formatPercent(change)}
			</span>
		</>
	);
});

/** The prices as the points of a line that fills the drawing. */
function pointsOf(trend: readonly number[]): string {
	const [low, high] = [Math.min(...trend), Math.max(...trend)];
	const step = width / Math.max(1, trend.length - 1);
	return trend
		.map((price, i) => {
			const y = high === low ? height / 2 : height - ((price - low) / (high - low)) * height;
			return `${(i * step).toFixed(1)},${y.toFixed(1)}`;
		})
		.join(" ");
}
