import { readFileSync } from "node:fs";
import { createStateManager } from "@holdfast/core";
import { selfSigned } from "@holdfast/test-servers/certificate";
import { freePort } from "@holdfast/test-servers/free-port";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { redis } from "./redis.js";
import { userRules } from "./user-rules.js";

let server: RedisServer;
let admin: Redis;
let tls: number;
let ca: string;

beforeAll(async () => {
	server = await RedisServer.start();
	admin = new Redis(server.url);
	const { certificate, key } = selfSigned(server.folder);
	ca = readFileSync(certificate, "utf8");
	tls = await freePort();
	await admin.config(
		"SET",
		"tls-cert-file",
		certificate,
		"tls-key-file",
		key,
		"tls-ca-cert-file",
		certificate,
	);
	await admin.config("SET", "tls-auth-clients", "no", "tls-port", String(tls));
});

afterAll(async () => {
	admin.disconnect();
	await server.stop();
});

test("a user of the namespace's keys and channels can do all, and reaches nothing else", async () => {
	await admin.call("ACL", "SETUSER", "app", "reset", "on", ">secret", ...userRules);
	await admin.set("other", "secret");
	const url = server.url.replace("//", "//app:secret@");
	const manager = createStateManager({ backend: redis(url) });
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

	const user = new Redis(url);
	onTestFinished(() => user.disconnect());
	for (const [command, ...args] of [
		["get", "other"],
		["set", "other", "x"],
		["del", "other"],
		["publish", "other", "x"],
		["subscribe", "other"],
		["eval", "return redis.call('GET', 'other')", "0"],
		["keys", "*"],
		["scan", "0"],
		["flushall"],
		["config", "get", "*"],
	] as [string, ...string[]][])
		await expect(user.call(command, args), command).rejects.toThrow(/NOPERM|ACL|permission|access/i);
});

test("TLS: a server of a trusted certificate is used, another one is unavailable", async () => {
	const url = `rediss://127.0.0.1:${tls}`;
	const trusting = createStateManager({ backend: redis(url, { connection: { tls: { ca } } }) });
	onTestFinished(async () => void (await trusting.close()));
	const heard = Promise.withResolvers<unknown>();
	await trusting.shared.subscribe("tls", ({ value }) => heard.resolve(value)).ready;
	await trusting.shared.set("tls", true);
	expect(await heard.promise).toBe(true);
	const doubting = createStateManager({ backend: redis(url, { connectWithin: 500 }) });
	onTestFinished(async () => void (await doubting.close()));
	await expect(doubting.ready()).rejects.toMatchObject({ code: "unavailable" });
});
