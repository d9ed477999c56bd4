/** The account over the run, against holding the index. */
import { type ReactNode, useCallback } from "react";
import { useEntries, useEntry, useMirror, useTraded } from "./bindings.ts";
import { EquityChart } from "./equity-chart.ts";
import { formatMoney, formatPercent, none } from "./format.ts";
import { holding } from "./holding.ts";
import { Legend } from "./legend.tsx";
import { useChart } from "./use-chart.ts";

export function EquityPanel(): ReactNode {
	const account = useEntry("shared", "account");
	const traded = useTraded();
	const held = useEntries("shared", `bars/${traded}/*`, { suspend: false });
	const bars = useMirror("shared", `bars/${traded}/*`);
	const equity = useMirror("shared", "equity/*");
	const cash = account?.startingCash;
	const draw = useCallback(
		(chart: EquityChart) => {
			if (cash !== undefined) chart.draw(bars.list(), equity.list(), cash);
		},
		[bars, equity, cash],
	);
	const container = useChart(EquityChart, draw, [bars, equity]);
	const gain = (worth: number | undefined): string =>
		worth === undefined || cash === undefined ? none : formatPercent(worth / cash - 1, 1);
	const worth = gain(account?.equity);
	return (
		<section className="panel equity" aria-labelledby="equity-title">
			<div className="bar">
				<h2 id="equity-title">Account</h2>
				<Legend
					id="equity-legend"
					figures={
						cash === undefined
							? []
							: [
									["worth", "Strategy", worth],
									["hold", "Holding the index", gain(holding(held, cash))],
								]
					}
				/>
			</div>
			<div
				id="equity"
				className="chart"
				role="img"
				aria-label={
					account === undefined
						? "What the account is worth"
						: `The account is worth ${formatMoney(account.equity)}: ${worth}`
				}
				ref={container}
			/>
		</section>
	);
}
