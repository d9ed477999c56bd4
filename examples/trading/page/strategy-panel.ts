/** What the strategy sees, and what it waits for. */
import type { Position } from "../broker.ts";
import type { Strategy } from "../state.ts";
import { byId, element, setClass, setText } from "./element.ts";
import { formatPercent, formatPrice, none, toneOf } from "./format.ts";

export class StrategyPanel {
	readonly #stance = byId("stance");
	readonly #fast = makeRow("fast");
	readonly #slow = makeRow("slow");
	readonly #spread = makeRow("");
	readonly #note = element("p", { class: "note" });

	constructor() {
		const list = element(
			"dl",
			{},
			...[this.#fast, this.#slow, this.#spread].flatMap(({ name, value }) => [name, value]),
		);
		byId("strategy").append(list, this.#note);
		setText(this.#spread.name, "Fast over slow");
	}

	draw(strategy: Strategy | undefined, position: Position | undefined): void {
		if (strategy === undefined) return;
		const { fast, slow, fastLength, slowLength, missing } = strategy;
		const long = (position?.quantity ?? 0) > 0;
		setText(this.#stance, missing > 0 ? "Warming up" : long ? "Long" : "Flat");
		setClass(this.#stance, `pill ${missing > 0 ? "warming" : long ? "long" : "flat"}`);
		setText(this.#fast.name, `SMA ${fastLength}`);
		setText(this.#slow.name, `SMA ${slowLength}`);
		setText(this.#fast.value, fast === null ? none : formatPrice(fast));
		setText(this.#slow.value, slow === null ? none : formatPrice(slow));
		const spread = fast === null || slow === null ? undefined : fast / slow - 1;
		setText(this.#spread.value, spread === undefined ? none : formatPercent(spread));
		setClass(this.#spread.value, toneOf(spread ?? 0));
		setText(this.#note, noteOn(missing, long, (spread ?? 0) > 0, strategy));
	}
}

function noteOn(
	missing: number,
	long: boolean,
	above: boolean,
	{ fastLength, slowLength }: Strategy,
): string {
	const [fast, slow] = [`SMA ${fastLength}`, `SMA ${slowLength}`];
	if (missing > 0) return `${missing} more bars until ${slow} can be told.`;
	if (long) return `Sells all when ${fast} crosses below ${slow}.`;
	return above
		? `Waits for ${fast} to come back below ${slow}, then to cross above it.`
		: `Buys for 95 % of its cash when ${fast} crosses above ${slow}.`;
}

function makeRow(className: string) {
	return { name: element("dt", { class: className }), value: element("dd", {}, none) };
}
