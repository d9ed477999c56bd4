import { conformance } from "@holdfast/core/testing";
import { afterAll, beforeAll } from "vitest";
import { redis } from "./redis.js";
import { RedisCluster } from "./redis-cluster.js";
import { durable } from "./redis-server.js";

let cluster: RedisCluster;

beforeAll(async () => {
	cluster = await RedisCluster.start({ options: durable });
}, 60_000);

afterAll(() => cluster.stop());

let trial = 0;

conformance("redis, as a cluster", () => {
	let offset = 0;
	const prefix = `t${++trial}`;
	return {
		create: () => redis({ nodes: cluster.nodes, prefix, clockOffset: () => offset }),
		advance: (ms) => {
			offset += ms;
		},
		losesAnswers: true,
		restart: () => cluster.restart(),
		reconnects: true,
		patience: 15_000,
		dispose: async () => {},
	};
});
