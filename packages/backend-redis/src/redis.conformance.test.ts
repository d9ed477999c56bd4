import { conformance } from "@holdfast/core/testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { redis } from "./redis.js";
import { durable, RedisServer } from "./redis-server.js";

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
		forget: async () => {
			await admin.flushall();
		},
		save: async () => {
			const names = await admin.keys("*");
			const dumps = await Promise.all(names.map((name) => admin.dumpBuffer(name)));
			return async () => {
				await admin.flushall();
				for (const [i, name] of names.entries()) if (dumps[i]) await admin.restore(name, 0, dumps[i]);
			};
		},
		dispose: async () => {},
	};
});
