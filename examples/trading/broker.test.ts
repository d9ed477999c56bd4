import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	applyTrade,
	fill,
	flat,
	mark,
	type Order,
	openAccount,
	type Position,
	settle,
	value,
} from "./broker.ts";

const costs = { slippage: 10, commission: 1.5 };
const order = (side: Order["side"], quantity: number): Order => ({
	id: "1",
	symbol: "X",
	side,
	quantity,
	date: "2000-01-03",
	reason: "",
});

describe("computed by hand", () => {
	test("an order is filled at the close, a tenth of a percent worse", () => {
		expect(fill(order("buy", 10), 200, flat("X", 200), costs).price).toBe(200.2);
		expect(fill(order("sell", 10), 200, flat("X", 200), costs).price).toBe(199.8);
	});

	test("a round trip: 10 at 100.10, 10 more at 110.11, 16 sold at 119.88", () => {
		let account = openAccount(10_000);
		let position = flat("X", 100);
		for (const [side, quantity, close] of [
			["buy", 10, 100],
			["buy", 10, 110],
			["sell", 16, 120],
		] as const) {
			const trade = fill(order(side, quantity), close, position, costs);
			position = mark(applyTrade(position, trade), close);
			account = value(settle(account, trade), [position]);
		}
		expect(position).toMatchObject({ quantity: 4, price: 120 });
		expect(position.averagePrice).toBeCloseTo(105.105, 10);
		expect(position.realised).toBe(236.4); // 16 × (119.88 − 105.105)
		expect(position.unrealised).toBe(59.58); // 4 × (120 − 105.105)
		expect(account.cash).toBe(9811.48); // 10,000 − 1,001 − 1,101.10 + 1,918.08 − 3 × 1.50
		expect(account).toMatchObject({ commissions: 4.5, trades: 3, won: 1, lost: 0, equity: 10_291.48 });
	});

	test("selling more than is held turns the position, and only what was held is realised", () => {
		const long: Position = { ...flat("X", 100), quantity: 4, averagePrice: 100 };
		const trade = fill(order("sell", 10), 90, long, { slippage: 0, commission: 0 });
		expect(trade.realised).toBe(-40);
		expect(applyTrade(long, trade)).toMatchObject({
			quantity: -6,
			averagePrice: 90,
			realised: -40,
			unrealised: 0,
		});
	});
});

test("the books balance: equity is what was there, plus both kinds of profit, minus commissions", () => {
	const step = fc.record({
		side: fc.constantFrom("buy" as const, "sell" as const),
		quantity: fc.integer({ min: 1, max: 500 }),
		close: fc.integer({ min: 100, max: 400_000 }).map((cents) => cents / 100),
	});
	fc.assert(
		fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
			let account = openAccount(1_000_000);
			let position = flat("X", 100);
			for (const { side, quantity, close } of steps) {
				const trade = fill(order(side, quantity), close, position, costs);
				position = mark(applyTrade(position, trade), close);
				account = value(settle(account, trade), [position]);
				const profit = position.realised + position.unrealised - account.commissions;
				// Each trade and each mark is rounded to the cent.
				expect(Math.abs(account.equity - (account.startingCash + profit))).toBeLessThan(
					0.02 * (steps.length + 1),
				);
			}
		}),
	);
});
