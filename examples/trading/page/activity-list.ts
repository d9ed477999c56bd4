/** What happened lately: the shared scope's recorded facts. */
import type { Order, Trade } from "../broker.ts";
import type { Pace } from "../pace.ts";
import type { Settings } from "../state.ts";
import type { WireEvent } from "../wire.ts";
import { byId, element } from "./element.ts";
import {
	formatCents,
	formatClock,
	formatCount,
	formatDay,
	formatMoney,
	formatPrice,
	signed,
} from "./format.ts";

interface Line {
	readonly tag: string;
	readonly tone?: string;
	readonly text: string;
	readonly detail?: string;
}

/** How each fact reads. */
const lines: { readonly [type: string]: (payload: never) => Line } = {
	order_placed: ({ side, quantity, symbol, reason }: Order) => ({
		tag: "Order",
		text: `${side === "buy" ? "Buy" : "Sell"} ${formatCount(quantity)} ${symbol} at market`,
		detail: reason,
	}),
	trade_executed: ({ side, quantity, symbol, price, realised, commission, date }: Trade) => ({
		tag: side === "buy" ? "Buy" : "Sell",
		tone: side,
		text: `${formatCount(quantity)} ${symbol} @ ${formatPrice(price)}`,
		detail: `${formatDay(date)} · ${realised === 0 ? `fee ${formatCents(commission)}` : `P&L ${signed(realised, formatMoney)}`}`,
	}),
	pace_changed: ({ speed, paused, by }: Pace & { readonly by: string }) => ({
		tag: "Pace",
		text: paused ? `${by} paused the replay` : `${by} set ${speed} days/s`,
	}),
	replay_started: ({ run, first }: { readonly run: number; readonly first: string }) => ({
		tag: "Replay",
		text: `Run ${run} started`,
		detail: `from ${formatDay(first)}`,
	}),
	replay_finished: ({ run }: { readonly run: number }) => ({
		tag: "Replay",
		text: `Run ${run} reached its end`,
	}),
	replay_restarted: ({ run, equity }: { readonly run: number; readonly equity: number | null }) => ({
		tag: "Replay",
		text: `Replay restarted: run ${run}`,
		...(equity === null ? {} : { detail: `the run before ended with ${formatMoney(equity)}` }),
	}),
};

export class ActivityList {
	readonly #list = byId("activity");
	#shown: readonly WireEvent[] = [];
	#filter: Settings["activity"] | undefined;

	draw(activity: readonly WireEvent[], filter: Settings["activity"]): void {
		if (activity === this.#shown && filter === this.#filter) return;
		this.#shown = activity;
		this.#filter = filter;
		const wanted = activity.filter(({ type }) => filter === "all" || type === "trade_executed");
		if (wanted.length === 0) {
			this.#list.replaceChildren(
				element("li", { class: "empty" }, "Nothing yet: the averages are warming up."),
			);
			return;
		}
		// A line that stays is not touched, so that only what is new moves.
		const ids = new Set(wanted.map(({ id }) => id));
		for (const node of [...this.#list.children])
			if (!ids.has(node.getAttribute("data-id") ?? "")) node.remove();
		for (const [i, event] of wanted.entries()) {
			const there = this.#list.children[i];
			if (there?.getAttribute("data-id") !== event.id)
				this.#list.insertBefore(makeLine(event), there ?? null);
		}
	}
}

function makeLine({ id, type, time, payload }: WireEvent): HTMLElement {
	const { tag, tone, text, detail }: Line = lines[type]?.(payload as never) ?? { tag: "Event", text: type };
	const at = element("time", { datetime: new Date(time).toISOString() }, formatClock(time));
	const parts = [element("span", { class: "tag" }, tag), element("span", {}, text), at];
	if (detail !== undefined) parts.push(element("span", { class: "detail" }, detail));
	return element("li", { "data-id": id, "data-type": type, class: tone }, ...parts);
}
