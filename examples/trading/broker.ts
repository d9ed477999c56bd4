/**
 * The simulated broker: fills market orders at the bar's close plus slippage, takes a commission, and keeps the books.
 * Pure functions over plain values. Money is in cents' precision, so that the books are what a statement would print.
 */
import { z } from "zod";
import { Day } from "./bar.ts";

const Side = z.enum(["buy", "sell"]);

/** A market order. */
export const Order = z.object({
	id: z.string(),
	symbol: z.string(),
	side: Side,
	quantity: z.int().positive(),
	date: Day,
	/** Why it was placed, for people. */
	reason: z.string(),
});
export type Order = z.infer<typeof Order>;

/** A filled order. */
export const Trade = z.object({
	order: z.string(),
	symbol: z.string(),
	side: Side,
	quantity: z.int().positive(),
	price: z.number().positive(),
	commission: z.number().nonnegative(),
	/** What it realised, before its commission: 0 where it opens or adds. */
	realised: z.number(),
	date: Day,
});
export type Trade = z.infer<typeof Trade>;

/** What is held of a symbol; a negative quantity is short. */
export const Position = z.object({
	symbol: z.string(),
	quantity: z.int(),
	averagePrice: z.number().nonnegative(),
	/** The last price. */
	price: z.number().nonnegative(),
	realised: z.number(),
	unrealised: z.number(),
});
export type Position = z.infer<typeof Position>;

/** The money. */
export const Account = z.object({
	startingCash: z.number(),
	cash: z.number(),
	commissions: z.number(),
	trades: z.int(),
	/** Trades that realised a profit, and a loss. */
	won: z.int(),
	lost: z.int(),
	equity: z.number(),
});
export type Account = z.infer<typeof Account>;

/** What trading costs. */
export interface Costs {
	/** How much worse than the close an order is filled, in hundredths of a percent. */
	readonly slippage: number;
	/** Per order, in the account's money. */
	readonly commission: number;
}

/** To the cent; a loss that rounds to nothing is 0, not -0. */
const cents = (amount: number): number => Math.round(amount * 100) / 100 + 0;

/** An account that has not traded yet. */
export const openAccount = (cash: number): Account => ({
	startingCash: cash,
	cash,
	commissions: 0,
	trades: 0,
	won: 0,
	lost: 0,
	equity: cash,
});

/** Nothing held. */
export const flat = (symbol: string, price: number): Position => ({
	symbol,
	quantity: 0,
	averagePrice: 0,
	price,
	realised: 0,
	unrealised: 0,
});

/** Fills an order against what is held. */
export function fill(
	order: Order,
	close: number,
	position: Position,
	{ slippage, commission }: Costs,
): Trade {
	const direction = order.side === "buy" ? 1 : -1;
	const price = cents(close * (1 + (direction * slippage) / 10_000));
	const closing =
		Math.sign(position.quantity) === -direction ? Math.min(order.quantity, Math.abs(position.quantity)) : 0;
	return {
		order: order.id,
		symbol: order.symbol,
		side: order.side,
		quantity: order.quantity,
		price,
		commission,
		realised: cents(closing * (price - position.averagePrice) * -direction),
		date: order.date,
	};
}

/** The position after a trade. */
export function applyTrade(position: Position, { side, quantity, price, realised }: Trade): Position {
	const signed = side === "buy" ? quantity : -quantity;
	const after = position.quantity + signed;
	const grows = position.quantity === 0 || Math.sign(position.quantity) === Math.sign(signed);
	const turns = after !== 0 && Math.sign(after) !== Math.sign(position.quantity);
	const averagePrice = grows
		? (position.averagePrice * Math.abs(position.quantity) + price * quantity) / Math.abs(after)
		: turns
			? price
			: position.averagePrice;
	return mark(
		{
			...position,
			quantity: after,
			averagePrice: after === 0 ? 0 : averagePrice,
			realised: cents(position.realised + realised),
		},
		price,
	);
}

/** The position at a new price. */
export const mark = (position: Position, price: number): Position => ({
	...position,
	price,
	unrealised: cents(position.quantity * (price - position.averagePrice)),
});

/** The account after a trade; {@link value} it afterwards. */
export const settle = (account: Account, trade: Trade): Account => ({
	...account,
	cash: cents(
		account.cash + (trade.side === "buy" ? -1 : 1) * trade.quantity * trade.price - trade.commission,
	),
	commissions: cents(account.commissions + trade.commission),
	trades: account.trades + 1,
	won: account.won + (trade.realised > 0 ? 1 : 0),
	lost: account.lost + (trade.realised < 0 ? 1 : 0),
});

/** The account with its equity at the positions' prices. */
export const value = (account: Account, positions: readonly Position[]): Account => ({
	...account,
	equity: cents(positions.reduce((sum, { quantity, price }) => sum + quantity * price, account.cash)),
});
