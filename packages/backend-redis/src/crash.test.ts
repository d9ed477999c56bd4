import { killServer } from "@holdfast/test-servers/kill-server";
import { durable, RedisServer } from "@holdfast/test-servers/redis-server";
import { onTestFinished, test } from "vitest";
import { redis } from "./redis.js";

test("a server that is killed among 10,000 commits has every one that it answered, none twice, and watchers miss nothing", async () => {
	const server = await RedisServer.start(durable);
	onTestFinished(() => server.stop());
	await killServer(server, () => redis(server.url, { connectWithin: "1m" }));
});
