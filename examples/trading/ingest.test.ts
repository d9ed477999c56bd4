import { createStateManager, memory } from "@holdfast/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { childrenOf } from "./browser/children.ts";
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

const dayOf = async (): Promise<number> => (await manager.shared.get("replay"))?.day ?? 0;
const slowly = { timeout: 40_000, interval: 20 };

describe.skipIf(process.platform !== "linux")("with the feed's process", { timeout: 60_000 }, () => {
	test("a feed that dies is started again, and no bar is missed", async () => {
		const stop = startIngest({ rest: hour });
		await expect.poll(dayOf, slowly).toBeGreaterThan(500);
		const [feed] = childrenOf(process.pid);
		process.kill(feed ?? 0, "SIGKILL");
		await expect.poll(async () => (await manager.shared.get("pipeline"))?.feed, slowly).toBe("lost");
		await expect.poll(async () => (await manager.shared.get("replay"))?.status, slowly).toBe("finished");
		expect(await manager.shared.count("bars/SP500/*")).toBe(5105);
		expect(await manager.shared.count("bars/*/*")).toBe(5105 + 4 * 123 + 68);
		await stop();
		expect(childrenOf(process.pid)).not.toContain(feed);
	});

	test("at its end the replay starts again with an empty past, and says so", async () => {
		const stop = startIngest({ rest: 0 });
		await expect.poll(() => manager.shared.get("run"), slowly).toBe(2);
		await expect.poll(async () => (await manager.shared.get("replay"))?.status, slowly).toBe("running");
		expect(await manager.shared.count("bars/SP500/*")).toBeLessThan(5000);
		await stop();
		const told = [];
		for await (const { type } of manager.shared.events.history()) told.push(type);
		expect(told).toEqual(["replay_started", "replay_finished", "replay_restarted", "replay_started"]);
	});
});
