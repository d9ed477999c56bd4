/** What happened lately, in words. */
import { memo, type ReactNode } from "react";
import { Choice } from "./choice.tsx";
import { type Fact, useFacts } from "./facts.ts";
import {
	formatCents,
	formatClock,
	formatCount,
	formatDay,
	formatMoney,
	formatPrice,
	signed,
} from "./format.ts";
import { useSettings } from "./visitor.ts";

export function ActivityPanel(): ReactNode {
	const facts = useFacts();
	const [{ activity }, save] = useSettings();
	const shown = facts.filter(({ type }) => activity === "all" || type === "trade_executed");
	return (
		<section className="panel activity" aria-labelledby="activity-title">
			<div className="bar">
				<h2 id="activity-title">Activity</h2>
				<Choice
					id="activity-filter"
					legend="Which activity"
					options={[
						["all", "All"],
						["trades", "Trades"],
					]}
					chosen={activity}
					choose={(chosen) => save({ activity: chosen })}
				/>
			</div>
			<ol id="activity" aria-labelledby="activity-title">
				{shown.length === 0 && <li className="empty">Nothing yet: the averages are warming up.</li>}
				{shown.map((fact) => (
					<Line key={fact.id} fact={fact} />
				))}
			</ol>
		</section>
	);
}

interface Reading {
	readonly tag: string;
	readonly tone?: string;
	readonly text: string;
	readonly detail?: string;
}

/** How each fact reads. */
function read({ type, payload }: Fact): Reading {
	switch (type) {
		case "order_placed":
			return {
				tag: "Order",
				text: `${payload.side === "buy" ? "Buy" : "Sell"} ${formatCount(payload.quantity)} ${payload.symbol} at market`,
				detail: payload.reason,
			};
		case "trade_executed": {
			const { side, quantity, symbol, price, realised, commission, date } = payload;
			return {
				tag: side === "buy" ? "Buy" : "Sell",
				tone: side,
				text: `${formatCount(quantity)} ${symbol} @ ${formatPrice(price)}`,
				detail: `${formatDay(date)} · ${realised === 0 ? `fee ${formatCents(commission)}` : `P&L ${signed(realised, formatMoney)}`}`,
			};
		}
		case "pace_changed":
			return {
				tag: "Pace",
				text: payload.paused
					? `${payload.by} paused the replay`
					: `${payload.by} set ${payload.speed} days/s`,
			};
		case "replay_started":
			return {
				tag: "Replay",
				text: `Run ${payload.run} started`,
				detail: `from ${formatDay(payload.first)}`,
			};
		case "replay_finished":
			return { tag: "Replay", text: `Run ${payload.run} reached its end` };
		case "replay_restarted":
			return {
				tag: "Replay",
				text: `Replay restarted: run ${payload.run}`,
				...(payload.equity !== null && {
					detail: `the run before ended with ${formatMoney(payload.equity)}`,
				}),
			};
		default:
			return { tag: "Event", text: type };
	}
}

// A line that stays is not rendered again, so that only what is new moves.
const Line = memo(({ fact }: { readonly fact: Fact }): ReactNode => {
	const { tag, tone, text, detail } = read(fact);
	return (
		<li data-id={fact.id} data-type={fact.type} className={tone}>
			<span className="tag">{tag}</span>
			<span>{text}</span>
			<time dateTime={new Date(fact.time).toISOString()}>{formatClock(fact.time)}</time>
			{detail !== undefined && <span className="detail">{detail}</span>}
		</li>
	);
});
