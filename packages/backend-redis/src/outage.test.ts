import { once } from "node:events";
import { createStateManager, isHoldfastError, type StateManager } from "@holdfast/core";
import { Client, put } from "@holdfast/core/testing";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type RedisOptions, redis } from "./redis.js";

const patience = { timeout: 60_000, interval: 50 };

let server: RedisServer;

beforeEach(async () => {
	server = await RedisServer.start();
});

afterEach(() => server.stop());

function manager(options: RedisOptions = {}): StateManager {
	const made = createStateManager({
		backend: redis(server.url, { connectWithin: "1m", ...options }),
		timeout: "1m",
	});
	onTestFinished(async () => void (await made.close({ timeout: 100 })));
	return made;
}

const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
	answer.then(
		() => "done",
		(error) => (isHoldfastError(error) ? error.code : error),
	);

/** Watches a key; what it answers resolves once the key has this value. */
async function until(
	scope: StateManager["shared"],
	key: string,
	value: unknown,
): Promise<() => Promise<void>> {
	const { promise, resolve } = Promise.withResolvers<void>();
	await vi.waitFor(async () => {
		const watching = scope.subscribe(key, (change) => {
			if (change.value === value) resolve();
		});
		await watching.ready.catch((error: unknown) => {
			watching.stop();
			throw error;
		});
	}, patience);
	return () => promise;
}

test("a server that is down is `unavailable` after a stated time, and is found again without a restart", async () => {
	const { shared } = manager({ connectWithin: 300 });
	await vi.waitFor(() => shared.set("n", 1), patience);
	const heard = await until(shared, "n", 3);
	await server.kill();
	// Not `timeout`, which the manager would say after a minute.
	expect(await codeOf(shared.get("n"))).toBe("unavailable");
	expect(await codeOf(shared.set("n", 2))).toBe("unavailable");
	expect(await codeOf(shared.count())).toBe("unavailable");
	await server.run();
	const other = manager();
	await other.shared.set("n", 3);
	await heard();
	await vi.waitFor(async () => expect(await shared.get("n")).toBe(3), patience);
});

test("a call that waits for a connection goes through once there is one", async () => {
	const { shared } = manager({ connectWithin: "1m" });
	await shared.set("n", 1);
	await server.kill();
	const asked = shared.increment("n");
	await server.run();
	expect(await asked).toBe(2);
});

test("what waits for Redis is bounded", async () => {
	await server.kill();
	const backend = redis(server.url, { connectWithin: 200, unanswered: 3 });
	const asks = ["a", "b", "c"].map((id) => ({ scope: `bound/room/${id}`, keys: [] }));
	const full = await Promise.all(backend.read(asks));
	expect(full.map((answer) => "failed" in answer && answer.failed)).toEqual(["busy", "busy", "busy"]);
	const fits = await Promise.all(backend.read(asks.slice(1)));
	expect(fits.map((answer) => "failed" in answer && answer.failed)).toEqual(["unavailable", "unavailable"]);
	await backend.close();
});

test("calls to a server that is frozen settle, what was handed over as unknown, and close settles", async () => {
	const backend = redis(server.url, { answerWithin: 300, connectWithin: "1m" });
	const made = createStateManager({ backend, timeout: "1m" });
	const { shared } = made;
	await shared.set("n", 1);
	server.freeze();
	const given = [shared.set("n", 2, { timeout: 2000 }), shared.get("n", { timeout: 2000 })].map(codeOf);
	expect(await Promise.all(given)).toEqual(["outcome-unknown", expect.stringMatching(/timeout|unavailable/)]);
	await made.close({ timeout: 500 });
	server.thaw();
});

test("a frozen server that thaws goes on, and a watcher misses nothing", async () => {
	const { shared } = manager({ answerWithin: 200, connectWithin: "1m" });
	await shared.set("n", 0);
	const told: unknown[] = [];
	const watching = shared.subscribe("n", (change) => told.push(change.value));
	onTestFinished(() => watching.stop());
	await watching.ready;
	const last = await until(shared, "n", 2);
	server.freeze();
	const asked = codeOf(shared.set("n", 1));
	expect(await codeOf(shared.get("n", { timeout: 400 }))).toMatch(/timeout|unavailable/);
	server.thaw();
	expect(await asked).toBe("done");
	await shared.set("n", 2);
	await last();
	expect(told.slice(-2)).toEqual([1, 2]);
});

test("scripts that the server forgot are sent again", async () => {
	const { shared } = manager();
	await shared.set("n", 1);
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	await admin.script("FLUSH");
	await Promise.all([shared.increment("n"), shared.get("n"), shared.count()]);
	expect(await shared.get("n")).toBe(2);
});

test("who watches a server that was emptied is told a reset", async () => {
	const { shared } = manager();
	await shared.set("n", 1);
	const reset = Promise.withResolvers<void>();
	const watching = shared.subscribe("n", () => {}, { onReset: () => reset.resolve() });
	onTestFinished(() => watching.stop());
	await watching.ready;
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	await admin.flushall();
	await shared.set("m", 1);
	await reset.promise;
	expect(await shared.get("n")).toBeUndefined();
});

test("a client that was passed in is shared, stays open, and loses our listeners with the last manager", async () => {
	const client = new Redis(server.url);
	onTestFinished(() => client.disconnect());
	await once(client, "ready");
	const listeners = () => client.eventNames().map((name) => [name, client.listenerCount(name)]);
	const before = listeners();
	const backend = redis({ client, connectWithin: "1m" });
	const [one, two] = [
		createStateManager({ backend, timeout: "1m" }),
		createStateManager({ backend, timeout: "1m" }),
	];
	await one.shared.set("n", 1);
	await two.shared.subscribe("n", () => {}).ready;
	await one.close();
	expect(await two.shared.get("n")).toBe(1);
	await two.close();
	expect(listeners()).toEqual(before);
	expect(await client.ping()).toBe("PONG");
	// The server notices a moment later that a connection has ended.
	await vi.waitFor(async () => {
		const clients = (await client.client("LIST")) as string;
		expect(clients.trim().split("\n")).toHaveLength(1);
	}, patience);
});

test("a passed client may put a prefix before all keys: watchers hear, and nothing is written beside it", async () => {
	const client = new Redis(server.url, { keyPrefix: "app:" });
	const admin = new Redis(server.url);
	onTestFinished(() => {
		client.disconnect();
		admin.disconnect();
	});
	const made = createStateManager({ backend: redis({ client, connectWithin: "1m" }), timeout: "1m" });
	const heard = await until(made.shared, "n", 2);
	await made.shared.set("n", 1, { ttl: "1h" });
	await made.shared.set("n", 2);
	await heard();
	expect(await made.shared.get("n")).toBe(2);
	const names = await admin.keys("*");
	expect(names.length).toBeGreaterThan(0);
	expect(names.filter((name) => !name.startsWith("app:hf:{"))).toEqual([]);
	await made.close();
});

test("a passed client without a connection holds calls no longer than stated", async () => {
	const client = new Redis(server.url);
	client.on("error", () => {});
	onTestFinished(() => client.disconnect());
	const shared = createStateManager({ backend: redis({ client, connectWithin: 200 }), timeout: "1m" }).shared;
	await vi.waitFor(() => shared.set("n", 1), patience);
	await server.kill();
	if (client.status === "ready") await once(client, "close");
	expect(await codeOf(shared.set("n", 2))).toBe("unavailable");
	// ioredis has one of its own while it tries to connect.
	await vi.waitFor(() => expect(client.listenerCount("ready")).toBe(0), patience);
});

test("a server out of memory refuses as `full`, and deleting makes room", async () => {
	const { shared } = manager();
	await shared.set("n", "x".repeat(1000));
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	await admin.config("SET", "maxmemory", "1");
	expect(await codeOf(shared.set("m", 1))).toBe("full");
	expect(await shared.get("m")).toBeUndefined();
	await shared.delete("n");
	await admin.config("SET", "maxmemory", "0");
	await shared.set("m", 1);
});

test("what a user may not do is `failed`, a script that broke off is unknown", async () => {
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	await admin.call("ACL", "SETUSER", "weak", "on", ">secret", "~nothing:*", "+@all");
	const weak = new URL(server.url);
	weak.username = "weak";
	weak.password = "secret";
	const refused = createStateManager({ backend: redis(weak.href, { connectWithin: "1m" }), timeout: "1m" });
	expect(await codeOf(refused.shared.get("n"))).toBe("failed");
	await refused.close();

	const client = new Client(redis(server.url, { connectWithin: "1m" }));
	onTestFinished(() => client.backend.close());
	await client.apply(put("a", 1));
	await client.apply(put("a", 2));
	const [log] = await admin.keys("*:c:*");
	await admin.del(log as string);
	await admin.set(log as string, "not a list");
	const answer = await client.send(await client.batch([[put("b", 1)]]));
	expect(answer).toMatchObject({ failed: "unknown" });
});

test("hundreds of scopes are one write and one answer each", async () => {
	const backend = redis(server.url, { connectWithin: "1m" });
	onTestFinished(() => backend.close());
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	const asks = Array.from({ length: 300 }, (_, i) => ({ scope: `many/room/${i}`, keys: ["a"] }));
	await Promise.all(backend.read(asks));
	const reads = async () => Number(/total_reads_processed:(\d+)/.exec(await admin.info("stats"))?.[1]);
	const before = await reads();
	await Promise.all(backend.read(asks));
	expect((await reads()) - before).toBeLessThan(20);
});
