/** What the scripts do, by the short way and the long one, is what core's reducer does. */
import type { Backend } from "@holdfast/core";
import { agreesWithMemory } from "@holdfast/core/testing";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll, test } from "vitest";
import { redis } from "./redis.js";

let server: RedisServer;
let store: Backend;
let admin: Redis;
let offset = 0;

beforeAll(async () => {
	server = await RedisServer.start();
	admin = new Redis(server.url);
	store = redis(server.url, { connectWithin: "1m", clockOffset: () => offset });
});

afterAll(async () => {
	await store.close();
	admin.disconnect();
	await server.stop();
});

test("random batches end alike in Redis and in memory: answers, entries, logs", () =>
	agreesWithMemory(store, {
		runs: 600,
		advance: (ms) => {
			offset += ms;
		},
		// A bucket's floor of an earlier run would be above this one's.
		forget: () => admin.flushall(),
	}));
