/** A test file's own server, a backend on it, and a connection of the test's beside: all end with the file. */
import type { Backend } from "@holdfast/core";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll } from "vitest";
import { redis } from "./redis.js";

export async function withStore(): Promise<{
	readonly server: RedisServer;
	readonly store: Backend;
	readonly admin: Redis;
}> {
	const server = await RedisServer.start();
	const store = redis(server.url, { connectWithin: "1m" });
	const admin = new Redis(server.url);
	afterAll(async () => {
		await store.close();
		admin.disconnect();
		await server.stop();
	});
	return { server, store, admin };
}
