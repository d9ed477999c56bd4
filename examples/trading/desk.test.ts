import fc from "fast-check";
import { expect, test } from "vitest";
import { Desk } from "./desk.ts";

const options = {
	symbol: "X",
	fast: 2,
	slow: 3,
	startingCash: 10_000,
	stake: 0.95,
	slippage: 0,
	commission: 1,
};
const day = (i: number): string => new Date(Date.UTC(2000, 0, 1 + i)).toISOString().slice(0, 10);

test("buys for its stake when the averages cross, sells all when they cross back", () => {
	const desk = new Desk(1, options);
	// The crossings of strategy.test.ts: a buy at 12, a sale at 9, a buy at 10.
	const filled = [10, 9, 8, 12, 13, 9, 7, 7, 10].flatMap(
		(close, i) => desk.step(day(i), { close })?.filled ?? [],
	);
	expect(filled.map(({ trade }) => [trade.side, trade.quantity, trade.price, trade.realised])).toEqual([
		["buy", 791, 12, 0], // 95 % of 10,000 buys 791 at 12
		["sell", 791, 9, -2373], // 791 × (9 − 12)
		["buy", 724, 10, 0], // 95 % of 7,625 buys 724 at 10
	]);
	expect(filled[0]?.order.reason).toBe("SMA 2 crossed above SMA 3");
	expect(desk.account).toMatchObject({ cash: 384, equity: 7624, commissions: 3, trades: 3, won: 0, lost: 1 });
});

test("a desk that goes on with another's books does what the other would have done", () => {
	const closes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 60 });
	fc.assert(
		fc.property(closes, fc.nat(), (prices, cut) => {
			const bars = prices.map((close, i) => [day(i), { close }] as const);
			const whole = new Desk(1, options);
			const steps = bars.map(([date, bar]) => whole.step(date, bar));

			const at = prices.length === 0 ? 0 : cut % prices.length;
			const first = new Desk(1, options);
			const before = bars.slice(0, at).map(([date, bar]) => first.step(date, bar));
			const { account, position, strategy } = first;
			const second = new Desk(1, options, { account, position, date: strategy.date });
			const after = bars.flatMap(([date, bar]) => second.step(date, bar) ?? []);
			expect([...before, ...after]).toEqual(steps);
			expect(second.account).toEqual(whole.account);
			expect(second.strategy).toEqual(whole.strategy);
		}),
	);
});
