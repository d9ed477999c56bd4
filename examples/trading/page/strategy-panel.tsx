/** What the strategy sees, and what it waits for. */
import type { ReactNode } from "react";
import type { Strategy } from "../state.ts";
import { useEntry, useTraded } from "./bindings.ts";
import { formatPercent, formatPrice, none, toneOf } from "./format.ts";

export function StrategyPanel(): ReactNode {
	const strategy = useEntry("shared", "strategy");
	const position = useEntry("shared", `positions/${useTraded()}`, { suspend: false });
	const long = (position?.quantity ?? 0) > 0;
	const stance =
		strategy === undefined || strategy.missing > 0
			? (["warming", "Warming up"] as const)
			: long
				? (["long", "Long"] as const)
				: (["flat", "Flat"] as const);
	return (
		<section className="panel strategy" aria-labelledby="strategy-title">
			<div className="bar">
				<h2 id="strategy-title">Strategy</h2>
				<span id="stance" className={`pill ${stance[0]}`}>
					{stance[1]}
				</span>
			</div>
			<div id="strategy">{strategy !== undefined && <View strategy={strategy} long={long} />}</div>
		</section>
	);
}

function View({ strategy, long }: { readonly strategy: Strategy; readonly long: boolean }): ReactNode {
	const { fast, slow, fastLength, slowLength } = strategy;
	const spread = fast === null || slow === null ? undefined : fast / slow - 1;
	return (
		<>
			<dl>
				<dt className="fast">SMA {fastLength}</dt>
				<dd>{fast === null ? none : formatPrice(fast)}</dd>
				<dt className="slow">SMA {slowLength}</dt>
				<dd>{slow === null ? none : formatPrice(slow)}</dd>
				<dt>Fast over slow</dt>
				<dd className={toneOf(spread ?? 0)}>{spread === undefined ? none : formatPercent(spread)}</dd>
			</dl>
			<p className="note">{noteOn(strategy, long, (spread ?? 0) > 0)}</p>
		</>
	);
}

function noteOn({ missing, fastLength, slowLength }: Strategy, long: boolean, above: boolean): string {
	const [fast, slow] = [`SMA ${fastLength}`, `SMA ${slowLength}`];
	if (missing > 0) return `${missing} more bars until ${slow} can be told.`;
	if (long) return `Sells all when ${fast} crosses below ${slow}.`;
	return above
		? `Waits for ${fast} to come back below ${slow}, then to cross above it.`
		: `Buys for 95 % of its cash when ${fast} crosses above ${slow}.`;
}
