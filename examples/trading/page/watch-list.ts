/** The watch list: every symbol of the feed with its last price, its change and its trend. */
import type { Quote } from "../state.ts";
import { byId, drawing, element, setClass, setText } from "./element.ts";
import { formatMonth, formatPercent, formatPrice, none, toneOf } from "./format.ts";

const width = 64;
const height = 26;

class Row {
	readonly node: HTMLElement;
	readonly #button: HTMLButtonElement;
	readonly #name = element("span", { class: "name" });
	readonly #price = element("span", { class: "price" });
	readonly #change = element("span", { class: "change" });
	readonly #trend = drawing("polyline");
	#quote: Quote | undefined;

	constructor(symbol: string, choose: (symbol: string) => void) {
		const trend = drawing("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, this.#trend);
		const parts = [
			element("span", { class: "symbol" }, symbol),
			this.#name,
			trend,
			this.#price,
			this.#change,
		];
		this.#button = element("button", { type: "button" }, ...parts);
		this.#button.addEventListener("click", () => choose(symbol));
		this.node = element("li", { "data-symbol": symbol }, this.#button);
	}

	draw(quote: Quote, chosen: boolean): void {
		this.#button.setAttribute("aria-pressed", String(chosen));
		if (quote === this.#quote) return;
		this.#quote = quote;
		const change = quote.previous === null ? undefined : quote.price / quote.previous - 1;
		setText(this.#name, quote.name);
		setText(this.#price, formatPrice(quote.price));
		setText(this.#change, change === undefined ? none : formatPercent(change));
		setClass(this.#change, `change ${toneOf(change ?? 0)}`);
		const { trend } = quote;
		this.#trend.setAttribute("points", pointsOf(trend));
		this.#trend.setAttribute("class", toneOf((trend.at(-1) ?? 0) - (trend[0] ?? 0)));
	}
}

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

/** The symbols of one interval under their heading. */
class Group {
	readonly #heading = element("h3");
	readonly #list: HTMLElement;
	readonly #rows = new Map<string, Row>();
	readonly #title: string;
	readonly #choose: (symbol: string) => void;

	constructor(interval: Quote["interval"], title: string, choose: (symbol: string) => void) {
		this.#title = title;
		this.#choose = choose;
		this.#list = element("ul", { class: interval });
		byId("watch").append(this.#heading, this.#list);
	}

	draw(quotes: readonly Quote[], chosen: string, now: string): void {
		const last = quotes
			.map((quote) => quote.last)
			.sort()
			.at(-1);
		const over = last !== undefined && last.slice(0, 7) < now.slice(0, 7);
		setText(this.#heading, over ? `${this.#title}, ended ${formatMonth(last)}` : this.#title);
		const symbols = new Set(quotes.map(({ symbol }) => symbol));
		for (const [symbol, row] of this.#rows)
			if (!symbols.has(symbol)) {
				row.node.remove();
				this.#rows.delete(symbol);
			}
		for (const [i, quote] of quotes.entries()) {
			const row = this.#rows.get(quote.symbol) ?? new Row(quote.symbol, this.#choose);
			this.#rows.set(quote.symbol, row);
			if (this.#list.children[i] !== row.node)
				this.#list.insertBefore(row.node, this.#list.children[i] ?? null);
			row.draw(quote, quote.symbol === chosen);
		}
	}
}

export class WatchList {
	readonly #daily: Group;
	readonly #monthly: Group;

	constructor(choose: (symbol: string) => void) {
		this.#daily = new Group("daily", "Daily bars", choose);
		this.#monthly = new Group("monthly", "Monthly prices", choose);
	}

	draw(quotes: readonly Quote[], chosen: string, now: string): void {
		const sorted = quotes.toSorted((a, b) => a.symbol.localeCompare(b.symbol));
		const of = (interval: Quote["interval"]): Quote[] =>
			sorted.filter((quote) => quote.interval === interval);
		this.#daily.draw(of("daily"), chosen, now);
		this.#monthly.draw(of("monthly"), chosen, now);
	}
}
