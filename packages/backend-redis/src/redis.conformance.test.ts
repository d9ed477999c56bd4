import { conformance } from "@holdfast/core/testing";
import { durable, RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { redis } from "./redis.js";
import { forget, save } from "./redis-dump.js";

let server: RedisServer;
let admin: Redis;

beforeAll(async () => {
	server = await RedisServer.start(durable);
	admin = new Redis(server.url);
	admin.on("error", () => {});
});

afterAll(async () => {
	admin.disconnect();
	await server.stop();
});

conformance("redis", async () => {
	await admin.flushall();
	let offset = 0;
	return {
		create: () =>
			redis(server.url, {
				clockOffset: () => offset,
				connectWithin: "20s",
				connection: { retryStrategy: () => 50 },
			}),
		advance: (ms) => {
			offset += ms;
		},
		losesAnswers: true,
		restart: async () => {
			await server.kill();
			await server.run();
		},
		reconnects: true,
		forget: () => forget([admin]),
		save: () => save([admin]),
		dispose: async () => {},
	};
});
