import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createStateManager } from "@holdfast/core";
import { selfSigned } from "@holdfast/test-servers/certificate";
import { freePort } from "@holdfast/test-servers/free-port";
import { isRedisSince, RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { redis } from "./redis.js";
import { userRules } from "./user-rules.js";

let server: RedisServer;
let admin: Redis;
let folder: string;
let url: string;
let tls: number;
let ca: string;

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
	const { certificate, key } = selfSigned(folder);
	ca = readFileSync(certificate, "utf8");
	tls = await freePort();
	server = await RedisServer.start([
		...["--tls-port", String(tls), "--tls-auth-clients", "no"],
		...["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate],
	]);
	admin = new Redis(server.url);
	await admin.call("ACL", "SETUSER", "app", "reset", "on", ">secret", ...userRules);
	url = server.url.replace("//", "//app:secret@");
});

afterAll(async () => {
	admin.disconnect();
	await server.stop();
	rmSync(folder, { recursive: true, force: true });
});

const isDenied = /NOPERM|ACL|permission|access/i;

/** The user of the namespace, by a connection of its own. */
function user(): Redis {
	const client = new Redis(url);
	onTestFinished(() => client.disconnect());
	return client;
}

test("a user of the namespace's keys and channels can do all, and reaches nothing else", async () => {
	await admin.set("other", "secret");
	const manager = createStateManager({ backend: redis(url, { connectWithin: "1m" }), timeout: "1m" });
	manager.on("error", () => {});
	onTestFinished(async () => void (await manager.close()));
	const { shared } = manager;
	const heard = Promise.withResolvers<unknown>();
	await shared.subscribe("a/*", ({ value }) => heard.resolve(value)).ready;
	await shared.commit((tx) => {
		tx.set("a/b", 1, { ttl: "1m" });
		tx.set("c", 1);
		tx.emit("told", 1);
	});
	expect(await heard.promise).toBe(1);
	await shared.lock("lock", async (lease) => shared.set("c", 2, { fence: lease }));
	await shared.increment("n");
	await shared.delete("c");
	expect(await shared.count()).toBe(2);
	const session = manager.session("s", { ttl: "1m" });
	await session.set("a", 1);
	expect(await session.get("a")).toBe(1);
	await session.drop();

	for (const [command, ...args] of [
		["get", "other"],
		["set", "other", "x"],
		["del", "other"],
		["eval", "return redis.call('GET', 'other')", "0"],
		["keys", "*"],
		["scan", "0"],
		["flushall"],
		["config", "get", "*"],
	] as [string, ...string[]][])
		await expect(user().call(command, args), command).rejects.toThrow(isDenied);
});

// https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/#how-pubsub-acls-work
test.skipIf(!isRedisSince("6.2"))(
	"a user of the namespace has no other channels (Redis 6.2 or newer)",
	async () => {
		await expect(user().call("publish", "other", "x")).rejects.toThrow(isDenied);
		await expect(user().call("subscribe", "other")).rejects.toThrow(isDenied);
	},
);

test.skipIf(!isRedisSince("6.2"))(
	"a watcher that loses its right to a channel does not connect in haste, and hears again when it has it (Redis 6.2 or newer)",
	async () => {
		const setUser = (...rules: string[]) => admin.call("ACL", "SETUSER", "watcher", ...rules);
		await setUser("reset", "on", ">secret", ...userRules);
		const manager = createStateManager({
			backend: redis(url.replace("app:", "watcher:"), { connectWithin: "1m" }),
			timeout: "1m",
		});
		manager.on("error", () => {});
		onTestFinished(async () => void (await manager.close()));
		const heard = Promise.withResolvers<unknown>();
		await manager.shared.subscribe("again", ({ value }) => heard.resolve(value)).ready;
		const connections = async () =>
			Number(/total_connections_received:(\d+)/.exec(await admin.info("stats"))?.[1]);
		const before = await connections();
		const began = performance.now();
		// Redis ends the connections of who has subscribed to what it may not any more.
		await setUser("resetchannels");
		await delay(2000);
		const made = (await connections()) - before;
		// Some at first, then two a second at most: in haste it would be hundreds, however long this took.
		expect(made).toBeLessThan(12 + (performance.now() - began) / 400);
		await setUser(...userRules);
		await manager.shared.set("again", 1);
		expect(await heard.promise).toBe(1);
	},
);

test("TLS: a server of a trusted certificate is used, another one is unavailable", async () => {
	const secure = `rediss://127.0.0.1:${tls}`;
	const trusting = createStateManager({
		backend: redis(secure, { connectWithin: "1m", connection: { tls: { ca } } }),
		timeout: "1m",
	});
	onTestFinished(async () => void (await trusting.close()));
	const heard = Promise.withResolvers<unknown>();
	await trusting.shared.subscribe("tls", ({ value }) => heard.resolve(value)).ready;
	await trusting.shared.set("tls", true);
	expect(await heard.promise).toBe(true);
	const doubting = createStateManager({ backend: redis(secure, { connectWithin: 500 }), timeout: "1m" });
	onTestFinished(async () => void (await doubting.close()));
	await expect(doubting.ready()).rejects.toMatchObject({ code: "unavailable" });
});
