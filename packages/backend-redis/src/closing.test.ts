/** After `close` a backend answers `closed` to every call, and makes no connection any more, whatever it was made of. */
import { createStateManager, isHoldfastError } from "@holdfast/core";
import { Client, put } from "@holdfast/core/testing";
import { RedisCluster } from "@holdfast/test-servers/redis-cluster";
import { RedisSentinel } from "@holdfast/test-servers/redis-sentinel";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type RedisOptions, redis } from "./redis.js";

let server: RedisServer;
let sentinel: RedisSentinel;
let cluster: RedisCluster;

beforeAll(async () => {
	server = await RedisServer.start();
	sentinel = await RedisSentinel.watching(server);
	cluster = await RedisCluster.start({ replicas: false });
}, 60_000);

afterAll(async () => {
	await cluster?.stop();
	await sentinel?.stop();
	await server?.stop();
});

const patience = { timeout: 30_000, interval: 50 };

const ways: Record<string, () => RedisOptions | string> = {
	"a URL": () => server.url,
	"a client": () => ({ client: new Redis(server.url) }),
	Sentinels: () => ({
		sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
		name: RedisSentinel.primary,
	}),
	"a client of Sentinels": () => ({
		client: new Redis({
			sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
			name: RedisSentinel.primary,
		}),
	}),
	"nodes of a cluster": () => ({ nodes: cluster.nodes }),
	"a Cluster": () => ({ client: new Cluster(cluster.nodes) }),
};

/**
 * The connections that the servers have of a backend: all but this test's and the servers' own. Beside a client that was passed in, which has
 * some of its own, a backend has those that it hears by.
 */
async function connections(admins: readonly Redis[], isPassed: boolean): Promise<string[]> {
	const lists = await Promise.all(admins.map(async (admin) => String(await admin.client("LIST"))));
	return lists
		.flatMap((list) => list.trim().split("\n"))
		.filter((line) => !/ name=(admin|sentinel-\S+) /.test(line))
		.filter((line) => !isPassed || / s?sub=[1-9]/.test(line));
}

const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
	answer.then(
		() => "answered",
		(error) => (isHoldfastError(error) ? error.code : error),
	);

const refused = expect.objectContaining({
	failed: "refused",
	cause: expect.objectContaining({ code: "closed" }),
});

for (const [way, optionsOf] of Object.entries(ways))
	test(`made of ${way}`, async () => {
		const servers = way.toLowerCase().includes("cluster") ? cluster.servers : [server];
		const admins = servers.map(({ url }) => new Redis(url, { connectionName: "admin" }));
		onTestFinished(() => {
			for (const admin of admins) admin.disconnect();
		});
		const options = optionsOf();
		const passed = typeof options === "string" ? undefined : options.client;
		onTestFinished(() => passed?.disconnect());
		const backend = redis(options as RedisOptions);
		const client = new Client(backend, "closing/room/a");
		await client.apply(put("a", 1));
		await backend.watch("closing/room/a", () => {});
		await backend.watch("closing/room/b", () => {});
		const batch = await client.batch([[put("a", 2)]]);
		const open = (): Promise<string[]> => connections(admins, passed !== undefined);
		expect(await open()).not.toEqual([]);

		await backend.close();
		await backend.close();
		await vi.waitFor(async () => expect(await open()).toEqual([]), patience);
		expect(await Promise.all(backend.read([{ scope: client.scope, keys: ["a"] }]))).toEqual([refused]);
		expect(await client.send(batch)).toEqual(refused);
		const calls: Record<string, () => unknown> = {
			list: () => backend.list(client.scope, { from: "", to: null, limit: 1, bytes: 1 }),
			log: () => backend.log(client.scope, 0, { of: "changes", limit: 1, bytes: 1 }),
			watch: () => backend.watch(client.scope, () => {}),
			"watch of another": () => backend.watch("closing/room/c", () => {}),
			scopes: () => backend.scopes({ prefix: "", after: null, limit: 1 }),
			drop: () => backend.drop(client.scope),
		};
		for (const [name, call] of Object.entries(calls))
			expect(await codeOf(Promise.resolve(call())), name).toBe("closed");
		const manager = createStateManager({ backend });
		const { shared } = manager;
		expect(await codeOf(shared.get("a")), "a manager's read").toBe("closed");
		expect(await codeOf(shared.set("a", 1)), "a manager's commit").toBe("closed");
		await manager.close();
		expect(await open()).toEqual([]);
		if (passed !== undefined) expect(await passed.set("passed", "1")).toBe("OK");
	});

test("who waits for a subscription in a cluster that is out of reach is told at once", async () => {
	const backend = redis({ nodes: [{ host: "127.0.0.1", port: 1 }], connectWithin: "1h" });
	const watching = codeOf(Promise.resolve(backend.watch("closing/room/a", () => {})));
	await backend.close();
	expect(await watching).toBe("unavailable");
});
