import { createStateManager, memory } from "@holdfast/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { childrenOf } from "./browser/children.ts";
import { index, type Market, readMarket } from "./datasets.ts";
import { ingest } from "./ingest.ts";
import { lead } from "./leader.ts";
import { type Manager, state } from "./state.ts";

const hour = 3_600_000;

let manager: Manager;
beforeEach(async () => {
	manager = createStateManager({ backend: memory(), state });
	await manager.shared.set("pace", { speed: 1000, paused: false });
});
afterEach(async () => {
	await manager.close();
});

/** Starts the feed and what brings it into the store; answers what ends both. */
function startIngest(options: { readonly rest: number }): () => Promise<void> {
	const ending = new AbortController();
	const work = lead(manager.shared, "ingest", ending.signal, (lease, signal) =>
		ingest(manager.shared, { capacity: 10_000, ...options }, lease, signal),
	);
	return () => {
		ending.abort();
		return work;
	};
}

/** Has the replay go on where so many days are still to come. */
async function leave(days: number): Promise<Market["days"]> {
	const all = (await readMarket()).days;
	const left = all.slice(-days);
	const [first = "", last = "", date = ""] = [all[0], all.at(-1), left[0]].map((one) => one?.date);
	const day = all.length - days;
	await manager.shared.set("replay", { status: "running", date, day, days: all.length, first, last });
	return left;
}

const dayOf = async (): Promise<number> => (await manager.shared.get("replay"))?.day ?? 0;
const slowly = { timeout: 40_000, interval: 20 };

describe.skipIf(process.platform !== "linux")("with the feed's process", { timeout: 60_000 }, () => {
	test("a feed that dies is started again, and no bar is missed", async () => {
		const left = await leave(1500);
		const before = await dayOf();
		const told: unknown[] = [];
		await manager.shared.subscribe("pipeline", ({ value }) => told.push(value?.feed)).ready;
		const stop = startIngest({ rest: hour });
		await expect.poll(dayOf, slowly).toBeGreaterThan(before + 100);
		const [feed] = childrenOf(process.pid);
		process.kill(feed ?? 0, "SIGKILL");
		await expect.poll(() => told, slowly).toContain("lost");
		await expect.poll(async () => (await manager.shared.get("replay"))?.status, slowly).toBe("finished");
		expect(await manager.shared.count(`bars/${index}/*`)).toBe(left.length);
		expect(await manager.shared.count("bars/*/*")).toBe(left.flatMap(({ ticks }) => ticks).length);
		await stop();
		expect(childrenOf(process.pid)).not.toContain(feed);
	});

	test("at its end the replay starts again with an empty past, and says so", async () => {
		await leave(300);
		await manager.shared.set("bars/OLD/1999-12-31", { close: 1 });
		const stop = startIngest({ rest: 0 });
		const told = async (): Promise<string[]> => {
			const types: string[] = [];
			for await (const { type } of manager.shared.events.history()) types.push(type);
			return types;
		};
		await expect.poll(told, slowly).toEqual(["replay_finished", "replay_restarted", "replay_started"]);
		await stop();
		expect(await manager.shared.get("run")).toBe(2);
		expect(await manager.shared.has("bars/OLD/1999-12-31")).toBe(false);
		expect(await manager.shared.get(`bars/${index}/2000-01-03`)).toBeDefined();
	});
});
