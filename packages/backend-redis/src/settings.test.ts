import { createStateManager } from "@holdfast/core";
import { isRedisSince, RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { redis } from "./redis.js";

/** What managers of one backend are told of a server with these settings, until one of them has been told so much. */
async function told(
	options: readonly string[],
	count: number,
	rules: readonly string[] = [],
): Promise<string[]> {
	const server = await RedisServer.start(options);
	onTestFinished(() => server.stop());
	const admin = new Redis(server.url);
	onTestFinished(() => admin.disconnect());
	const channels = isRedisSince("6.2") ? ["&*"] : [];
	await admin.call("ACL", "SETUSER", "app", "on", ">secret", "~*", ...channels, "+@all", ...rules);
	const backend = redis(server.url.replace("//", "//app:secret@"), { connectWithin: "1m" });
	const managers = [
		createStateManager({ backend, timeout: "1m" }),
		createStateManager({ backend, timeout: "1m" }),
	];
	const problems: string[] = [];
	const enough = Promise.withResolvers<void>();
	for (const manager of managers) {
		manager.on("error", ({ message }) => {
			problems.push(message);
			if (problems.length === count * 2) enough.resolve();
		});
		onTestFinished(async () => void (await manager.close()));
	}
	for (const { shared } of managers) await shared.set("n", 1);
	if (count > 0) await enough.promise;
	return problems.sort();
}

test("a server that keeps what it answers is no problem", async () => {
	expect(await told([], 0)).toEqual([]);
});

test("a server that may evict, and one without a disk, are told once to each manager", async () => {
	const settings = ["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"];
	const [loses, too, evicts, again] = await told(settings, 2);
	expect(evicts).toMatch("may evict what it holds (maxmemory-policy allkeys-lru)");
	expect(again).toBe(evicts);
	expect(loses).toMatch("nothing on disk");
	expect(too).toBe(loses);
});

test("where CONFIG is forbidden, INFO says what it can, and the rest is unknown", async () => {
	const [unknown] = await told(["--appendonly", "no"], 1, ["-config"]);
	expect(unknown).toMatch("hides its settings: whether it keeps it on disk, is unknown");
	const [nothing] = await told([], 1, ["-config", "-info"]);
	expect(nothing).toMatch("whether it may evict what it holds, and whether it keeps it on disk, is unknown");
});

test("options that fit nothing are refused", () => {
	const refused = expect.objectContaining({ code: "invalid-argument" });
	expect(() => redis("redis://localhost", { prefix: "{app}" })).toThrow(refused);
	expect(() => redis("redis://localhost", { nodes: ["redis://localhost"] })).toThrow(refused);
	for (const url of ["localhost:6379", "http://localhost", "", undefined as never])
		expect(() => redis(url)).toThrow(refused);
	expect(() => redis({ sentinels: [{ port: 26379 }], nodes: ["redis://localhost"] })).toThrow(refused);
});
