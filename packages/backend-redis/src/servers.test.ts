import { once } from "node:events";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { Link } from "./link.js";
import { hearFailures, OneServer, type Servers } from "./servers.js";

test("why there is no connection is known once one has failed", async () => {
	const client = hearFailures(new Redis({ host: "127.0.0.1", port: 1, retryStrategy: () => null }));
	onTestFinished(() => client.disconnect());
	await once(client, "error");
	expect(new OneServer(client).failure).toBe("connect ECONNREFUSED 127.0.0.1:1");
});

test("a call that finds no connection says why", async () => {
	const away: Servers = {
		connectionTo: () => undefined,
		isPassing: () => false,
		redirection: () => undefined,
		doubt() {},
		ended: false,
		failure: "getaddrinfo ENOTFOUND redis.example",
		release() {},
	};
	const link = new Link(away, { connectWithin: 1, answerWithin: 60_000, unanswered: 1 });
	onTestFinished(() => link.close());
	const [answer] = link.run([{ command: "ping", args: [] }]);
	await expect(answer).rejects.toThrow(
		"Redis is out of reach: no connection within 1 ms (getaddrinfo ENOTFOUND redis.example)",
	);
});
