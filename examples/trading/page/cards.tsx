/** The account in five figures. */
import type { ReactNode } from "react";
import { useEntries, useEntry, useTraded } from "./bindings.ts";
import { formatCount, formatMoney, formatPercent, formatPrice, none, signed, toneOf } from "./format.ts";
import { holding } from "./holding.ts";

export function Cards(): ReactNode {
	const account = useEntry("shared", "account");
	const traded = useTraded();
	const position = useEntry("shared", `positions/${traded}`, { suspend: false });
	const bars = useEntries("shared", `bars/${traded}/*`, { suspend: false });
	const titles = ["Account", "Position", "Unrealised P&L", "Realised P&L", "Trades"] as const;
	if (account === undefined || position === undefined)
		return (
			<section id="cards" className="cards" aria-label="Account">
				{titles.map((title) => (
					<Card key={title} title={title} value={none} />
				))}
			</section>
		);
	const gained = account.equity / account.startingCash - 1;
	const held = holding(bars, account.startingCash);
	const against = held === undefined ? "" : ` · index ${formatPercent(held / account.startingCash - 1, 1)}`;
	const { quantity, averagePrice, price, unrealised, realised, symbol } = position;
	const flat = quantity === 0;
	const net = realised - account.commissions;
	const closed = account.won + account.lost;
	return (
		<section id="cards" className="cards" aria-label="Account">
			<Card
				title="Account"
				id="equity"
				value={formatMoney(account.equity)}
				detail={`${formatPercent(gained)}${against}`}
				detailTone={toneOf(gained)}
			/>
			<Card
				title="Position"
				id="position"
				value={flat ? "Flat" : `${formatCount(quantity)} @ ${formatPrice(averagePrice)}`}
				detail={flat ? `${formatMoney(account.cash)} in cash` : `${symbol}, now ${formatPrice(price)}`}
			/>
			<Card
				title="Unrealised P&L"
				id="unrealised"
				value={signed(unrealised, formatMoney)}
				valueTone={toneOf(unrealised)}
				detail={flat ? "nothing held" : formatPercent(price / averagePrice - 1)}
			/>
			<Card
				title="Realised P&L"
				id="realised"
				value={signed(realised, formatMoney)}
				valueTone={toneOf(realised)}
				detail={`${signed(net, formatMoney)} net of fees`}
			/>
			<Card
				title="Trades"
				id="trades"
				value={formatCount(account.trades)}
				detail={closed === 0 ? "none closed yet" : `${account.won} of ${closed} closed won`}
			/>
		</section>
	);
}

const Card = ({
	title,
	id,
	value,
	detail = "",
	valueTone,
	detailTone,
}: {
	readonly title: string;
	readonly id?: string;
	readonly value: string;
	readonly detail?: string;
	readonly valueTone?: string;
	readonly detailTone?: string;
}): ReactNode => (
	<div className="panel card">
		<h2>{title}</h2>
		<strong id={id && `card-${id}`} className={valueTone}>
			{value}
		</strong>
		<p className={detailTone}>{detail}</p>
	</div>
);
