import { createStateManager, isHoldfastError } from "@holdfast/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redis } from "./redis.js";
import { durable, RedisServer } from "./redis-server.js";

const commits = 10_000;
const atOnce = 200;

let server: RedisServer;

beforeAll(async () => {
	server = await RedisServer.start(durable);
});

afterAll(() => server.stop());

test("a server that is killed among 10,000 commits has every one that it answered, and none twice", async () => {
	const manager = createStateManager({
		backend: redis(server.url, { connectWithin: "10s" }),
		timeout: "20s",
	});
	const { shared } = manager;
	const sure = new Set<string>();
	const unsure = new Set<string>();
	let next = 0;
	let restarted: Promise<void> | undefined;
	const restart = async (): Promise<void> => {
		await server.kill();
		await server.run();
	};
	const write = async (): Promise<void> => {
		while (next < commits) {
			const key = `done/${next++}`;
			try {
				await shared.commit((tx) => {
					tx.set(key, 1);
					tx.increment("count");
				});
				sure.add(key);
			} catch (error) {
				if (!isHoldfastError(error)) throw error;
				if (error.code === "outcome-unknown") unsure.add(key);
			}
			if (sure.size === commits / 2) restarted ??= restart();
		}
	};
	await Promise.all(Array.from({ length: atOnce }, write));
	await restarted;

	const found = new Set<string>();
	for await (const { key } of shared.list("done/*")) found.add(key);
	for (const key of sure) expect(found).toContain(key);
	for (const key of found) expect(sure.has(key) || unsure.has(key)).toBe(true);
	expect(await shared.get("count"), "each counted once").toBe(found.size);
	// The batch in flight was asked for again, and recognised if it had been applied.
	expect(sure.size).toBe(commits);
	await manager.close();
}, 60_000);
