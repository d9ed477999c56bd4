/** The account in five figures. */
import type { Account, Position } from "../broker.ts";
import { byId, element, setClass, setText } from "./element.ts";
import { formatCount, formatMoney, formatPercent, formatPrice, none, signed, toneOf } from "./format.ts";

interface Card {
	readonly value: HTMLElement;
	readonly detail: HTMLElement;
}

export class Cards {
	readonly #equity = makeCard("Account", "equity");
	readonly #position = makeCard("Position", "position");
	readonly #unrealised = makeCard("Unrealised P&L", "unrealised");
	readonly #realised = makeCard("Realised P&L", "realised");
	readonly #trades = makeCard("Trades", "trades");

	draw(account: Account | undefined, position: Position | undefined, held: number | undefined): void {
		if (account === undefined || position === undefined) return;
		const gained = account.equity / account.startingCash - 1;
		const against = held === undefined ? "" : ` · index ${formatPercent(held / account.startingCash - 1, 1)}`;
		fill(this.#equity, formatMoney(account.equity), `${formatPercent(gained)}${against}`, "", toneOf(gained));

		const { quantity, averagePrice, unrealised, realised } = position;
		fill(
			this.#position,
			quantity === 0 ? "Flat" : `${formatCount(quantity)} @ ${formatPrice(averagePrice)}`,
			quantity === 0
				? `${formatMoney(account.cash)} in cash`
				: `${position.symbol}, now ${formatPrice(position.price)}`,
		);
		const ratio = quantity === 0 ? 0 : position.price / averagePrice - 1;
		fill(
			this.#unrealised,
			signed(unrealised, formatMoney),
			quantity === 0 ? "nothing held" : formatPercent(ratio),
			toneOf(unrealised),
		);
		const net = realised - account.commissions;
		fill(
			this.#realised,
			signed(realised, formatMoney),
			`${signed(net, formatMoney)} net of fees`,
			toneOf(realised),
		);
		const closed = account.won + account.lost;
		fill(
			this.#trades,
			formatCount(account.trades),
			closed === 0 ? "none closed yet" : `${account.won} of ${closed} closed won`,
		);
	}
}

function makeCard(title: string, id: string): Card {
	const [value, detail] = [element("strong", { id: `card-${id}` }, none), element("p")];
	byId("cards").append(element("div", { class: "panel card" }, element("h2", {}, title), value, detail));
	return { value, detail };
}

function fill(card: Card, value: string, detail: string, valueTone = "", detailTone = ""): void {
	setText(card.value, value);
	setText(card.detail, detail);
	setClass(card.value, valueTone);
	setClass(card.detail, detailTone);
}
