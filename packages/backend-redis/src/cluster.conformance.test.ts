import { conformance } from "@holdfast/core/testing";
import { RedisCluster } from "@holdfast/test-servers/redis-cluster";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { redis } from "./redis.js";
import { forget, save } from "./redis-dump.js";

let cluster: RedisCluster;
let primaries: Redis[];

beforeAll(async () => {
	// Written before it is answered, though not on the disk yet: enough for the end of a process.
	cluster = await RedisCluster.start({ replicas: false, options: ["--appendfsync", "no"] });
	primaries = cluster.servers.map(({ url }) => new Redis(url));
	for (const admin of primaries) admin.on("error", () => {});
});

afterAll(async () => {
	for (const admin of primaries) admin.disconnect();
	await cluster.stop();
});

conformance("redis, as a cluster", async () => {
	await forget(primaries);
	let offset = 0;
	return {
		create: () => redis({ nodes: cluster.nodes, connectWithin: "20s", clockOffset: () => offset }),
		advance: (ms) => {
			offset += ms;
		},
		losesAnswers: true,
		restart: () => cluster.restart(),
		reconnects: true,
		forget: () => forget(primaries),
		save: () => save(primaries),
		dispose: async () => {},
	};
});
