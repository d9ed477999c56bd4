import { createStateManager, memory } from "@holdfast/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Desk } from "./desk.ts";
import { lead } from "./leader.ts";
import { type Manager, state } from "./state.ts";
import { trade } from "./trader.ts";

const options = {
	symbol: "X",
	fast: 2,
	slow: 3,
	startingCash: 10_000,
	stake: 0.95,
	slippage: 0,
	commission: 1,
};
const closes = [10, 9, 8, 12, 13, 9, 7, 7, 10, 14, 6, 5, 4];
const day = (i: number): string => `2000-01-${String(i + 1).padStart(2, "0")}`;

let manager: Manager;
beforeEach(() => {
	manager = createStateManager({ backend: memory(), state });
});
afterEach(async () => {
	await manager.close();
});

/** Starts a trader; answers what ends it. */
function startTrader(): () => Promise<void> {
	const ending = new AbortController();
	const trading = lead(manager.shared, "trader", ending.signal, (lease, signal) =>
		trade(manager.shared, options, lease, signal),
	);
	return () => {
		ending.abort();
		return trading;
	};
}

const storeBars = async (from: number, to: number): Promise<void> => {
	for (let i = from; i < to; i++) await manager.shared.set(`bars/X/${day(i)}`, { close: closes[i] ?? 0 });
};

const seen = (date: string) =>
	expect.poll(async () => (await manager.shared.get("strategy"))?.date).toBe(date);

const tradesOf = async (run: number): Promise<unknown[]> => {
	const trades = [];
	for await (const { payload } of manager.shared.events.history({ type: "trade_executed" }))
		if (payload.run === run) trades.push(payload);
	return trades;
};

function expected(run: number): unknown[] {
	const desk = new Desk(run, options);
	return closes.flatMap((close, i) => {
		const filled = desk.step(day(i), { close })?.filled;
		return filled === undefined ? [] : [{ ...filled.trade, run }];
	});
}

test("trades every bar once, in order, though it is stopped in between and bars go on", async () => {
	await storeBars(0, 3);
	const stop = startTrader();
	await seen(day(2));
	await storeBars(3, 6);
	await seen(day(5));
	await stop();
	await storeBars(6, 9);
	const stopAgain = startTrader();
	await storeBars(9, closes.length);
	await seen(day(closes.length - 1));
	await stopAgain();
	expect(await tradesOf(1)).toEqual(expected(1));
	expect(expected(1).length).toBeGreaterThan(3);
});

test("money, position and the fact change in one commit", async () => {
	const stop = startTrader();
	await storeBars(0, 3);
	await seen(day(2));
	const commits: string[][] = [];
	const following = new AbortController();
	const follow = (async () => {
		for await (const record of manager.shared.changes({ from: 0, signal: following.signal }))
			if (record.type === "commit" && record.events.length > 0)
				commits.push([...record.changes.map(({ key }) => key), ...record.events.map(({ type }) => type)]);
	})().catch(() => {});
	await storeBars(3, 4);
	await expect.poll(() => commits.length).toBe(1);
	following.abort();
	await follow;
	await stop();
	expect(commits[0]?.sort()).toEqual(
		[
			"account",
			`equity/${day(3)}`,
			"order_placed",
			"positions/X",
			"strategy",
			"trade_executed",
			`trades/${day(3)}`,
		].sort(),
	);
});

test("a new run begins with new books", async () => {
	const stop = startTrader();
	await storeBars(0, closes.length);
	await seen(day(closes.length - 1));
	await manager.shared.set("run", 2);
	await expect.poll(async () => (await manager.shared.get("strategy"))?.run).toBe(2);
	expect(await manager.shared.get("account")).toMatchObject({ cash: 10_000, trades: 0 });
	await manager.shared.clear("bars/**");
	await storeBars(0, closes.length);
	await seen(day(closes.length - 1));
	await stop();
	expect(await tradesOf(2)).toEqual(expected(2));
});

test("only one of two traders trades", async () => {
	const stops = [startTrader(), startTrader()];
	await storeBars(0, closes.length);
	await seen(day(closes.length - 1));
	for (const stop of stops) await stop();
	expect(await tradesOf(1)).toEqual(expected(1));
});
