import { type Backend, type Clock, nearCache, type Soon, systemClock } from "@holdfast/core";
import { around, conformance } from "@holdfast/core/testing";
import { durable, RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { redis } from "./redis.js";

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

/**
 * A handle on the cache, and not on Redis: what a manager or a client reads is answered from memory where it can be. All handles share one cache,
 * as the managers of a process do: so each sees the others' writes at once, which is what the suite is about.
 */
const handle = (cache: Backend): Backend =>
	around(cache, {
		read: (asks) =>
			asks.map(
				(ask) =>
					(ask.keys.length > 0 ? cache.peek?.(ask) : undefined) ?? (cache.read([ask])[0] as Soon<never>),
			),
		close: async () => {},
	});

conformance(
	"redis behind a near cache",
	async () => {
		await admin.flushall();
		let offset = 0;
		const clock: Clock = {
			...systemClock,
			now: () => systemClock.now() + offset,
			monotonic: () => systemClock.monotonic() + offset,
		};
		const connection = { retryStrategy: () => 50 };
		const cache = nearCache(
			redis(server.url, { connectWithin: "20s", clockOffset: () => offset, connection }),
			{ clock },
		);
		return {
			create: () => handle(cache),
			advance: (ms) => {
				offset += ms;
			},
			losesAnswers: true,
			forget: async () => {
				await admin.flushall();
			},
			dispose: () => cache.close({ timeout: 1000 }),
		};
	},
	// What reads, and who is told of what: the rest is Redis's, and tested there.
	{ only: [2, 3, 5, 6, 8, 13] },
);
