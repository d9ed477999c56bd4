/** A failover by a real Sentinel, to a replica that lost what was answered last. */
import { setTimeout as delay } from "node:timers/promises";
import { createStateManager, isHoldfastError, type StateManager } from "@holdfast/core";
import { RedisSentinel } from "@holdfast/test-servers/redis-sentinel";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { type RedisOptions, redis } from "./redis.js";

const patience = { timeout: 90_000, interval: 50 };

/** A primary, a replica that follows it through a proxy, and a Sentinel that knows both. */
async function start() {
	const primary = await RedisServer.start();
	onTestFinished(() => primary.stop());
	const between = await TcpProxy.to(primary.port);
	onTestFinished(() => between.close());
	const replica = await RedisServer.start([
		...[
			"--replicaof",
			"127.0.0.1",
			String(between.port),
			"--repl-diskless-sync-delay",
			"0",
			"--maxmemory-policy",
			"allkeys-lru",
		],
	]);
	onTestFinished(() => replica.stop());
	const caughtUp = async (): Promise<void> => {
		const offset = async (server: RedisServer, name: string): Promise<string | undefined> =>
			new RegExp(`${name}:(\\d+)`).exec(String(await server.ask("info", "replication")))?.[1];
		await vi.waitFor(async () => {
			expect(String(await replica.ask("info", "replication"))).toContain("master_link_status:up");
			expect(await offset(replica, "slave_repl_offset")).toBe(await offset(primary, "master_repl_offset"));
		}, patience);
	};
	await caughtUp();
	const sentinel = await RedisSentinel.watching(primary);
	onTestFinished(() => sentinel.stop());
	await vi.waitFor(async () => expect(await sentinel.replicas()).toBe(1), patience);
	return { primary, replica, between, sentinel, caughtUp };
}

const ways = {
	options: ({ port }) => ({ sentinels: [{ host: "127.0.0.1", port }], name: RedisSentinel.primary }),
	client: ({ port }) => {
		const client = new Redis({ sentinels: [{ host: "127.0.0.1", port }], name: RedisSentinel.primary });
		client.on("error", () => {});
		onTestFinished(() => client.disconnect());
		return { client };
	},
} satisfies Record<string, (sentinel: RedisSentinel) => RedisOptions>;

for (const [way, options] of Object.entries(ways))
	test(`given ${way}: after a failover that lost a suffix, watchers are reset to what is there, and all goes on`, async () => {
		const { primary, replica, between, sentinel, caughtUp } = await start();
		const problems: string[] = [];
		const open = (): StateManager => {
			const backend = redis({ ...options(sentinel), connectWithin: "20s" });
			const manager = createStateManager({ backend, timeout: "1m" });
			onTestFinished(async () => void (await manager.close({ timeout: 100 })));
			manager.on("error", ({ message }) => message.includes("maxmemory-policy") && problems.push(message));
			return manager;
		};
		const [writer, watcher] = [open(), open()];
		const { shared } = writer;
		const resets = vi.fn();
		const watching = watcher.shared.subscribe("done/*", () => {}, { onReset: resets });
		await watching.ready;
		const mirror = watcher.shared.mirror();
		await mirror.ready;

		const answered: string[] = [];
		const write = (key: string): Promise<unknown> =>
			shared.commit((tx) => {
				tx.set(`done/${key}`, 1);
				tx.increment("count");
			});
		for (let i = 0; i < 20; i++) await write(`kept-${i}`);
		await caughtUp();
		// A connection that it opened anew would bring it all.
		between.blackHole();
		const lost = ["lost-0", "lost-1", "lost-2"];
		for (const key of lost) await write(key);
		const before = await shared.lock("lock", async ({ token }) => token);
		await mirror.at(before);
		expect(mirror.get("done/lost-2")).toBe(1);

		let stop = false;
		let lastUnsure = "";
		const writing = (async () => {
			for (let i = 0; !stop; i++) {
				try {
					await write(`during-${i}`);
					answered.push(`during-${i}`);
				} catch (error) {
					if (!isHoldfastError(error)) throw error;
					lastUnsure = error.code;
				}
				await delay(10);
			}
		})();
		await vi.waitFor(() => expect(answered.length).toBeGreaterThan(0), patience);
		await primary.kill();
		const answeredBefore = answered.length;
		await sentinel.hurry();
		await vi.waitFor(async () => expect(await sentinel.primaryPort()).toBe(replica.port), patience);
		await vi.waitFor(() => expect(answered.length).toBeGreaterThan(answeredBefore + 5), patience);
		stop = true;
		await writing;

		// What was in flight was sent again, and is there once; what was answered by the new primary is there.
		const found = new Set<string>();
		for await (const { key } of shared.list("done/*")) found.add(key.slice("done/".length));
		for (let i = 0; i < 20; i++) expect(found).toContain(`kept-${i}`);
		for (const key of lost) expect(found).not.toContain(key);
		for (const key of answered.slice(answeredBefore + 1)) expect(found).toContain(key);
		expect(await shared.get("count"), "each is counted once").toBe(found.size);
		expect(["", "unavailable", "outcome-unknown"]).toContain(lastUnsure);

		await vi.waitFor(() => expect(resets).toHaveBeenCalled(), patience);
		const head = await shared.set("end", true);
		await mirror.at(head);
		const mirrored = mirror.list().map(({ key }) => key);
		expect(mirrored.sort()).toEqual(["count", "end", ...Array.from(found, (key) => `done/${key}`)].sort());

		const ofReplica = expect.stringContaining(`127.0.0.1:${replica.port} may evict`);
		await vi.waitFor(() => expect(problems).toEqual([ofReplica, ofReplica]), patience);

		for (const { shared: later } of [writer, open()])
			expect(await later.lock("lock", async ({ token }) => token)).toBeGreaterThan(before);
	});
