/** What a scope remembers of its writers moves when another writes, and when the scope goes: nothing may be lost on the way. */
import type { Backend, Mutation } from "@holdfast/core";
import { Client, emit, put, remove, touch } from "@holdfast/core/testing";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redis } from "./redis.js";

let server: RedisServer;
let store: Backend;
let offset = 0;

beforeAll(async () => {
	server = await RedisServer.start();
	store = redis(server.url, { connectWithin: "1m", clockOffset: () => offset });
});

afterAll(async () => {
	await store.close();
	await server.stop();
});

// A commit of each way through the script.
const ways: Record<string, Mutation[]> = {
	plain: [put("plain", 1)],
	lean: [put("lean", 1, 60_000)],
	long: [put("long", 1), emit("told", 1)],
};
const combinations = Object.keys(ways).flatMap((first) => Object.keys(ways).map((second) => [first, second]));

test.each(combinations)(
	"%s, then %s by another writer: each is recognised when it is sent again",
	async (first, second) => {
		const scope = `writers/room/${first}-${second}`;
		const [ada, bob, eve] = [new Client(store, scope), new Client(store, scope), new Client(store, scope)];
		await eve.commit({ do: [put("there", 1)] });
		const batches = [
			{ client: ada, batch: await ada.batch([{ do: ways[first] as Mutation[] }]) },
			{ client: bob, batch: await bob.batch([{ do: ways[second] as Mutation[] }]) },
			{ client: ada, batch: await ada.batch([{ do: ways[second] as Mutation[] }]) },
		];
		const answers = [];
		for (const { client, batch } of batches) {
			const answer = await client.send(batch);
			expect(answer).not.toHaveProperty("failed");
			answers.push(answer);
			expect(await client.send(batch)).toEqual(answer);
		}
		const [early, other, late] = batches.map(
			({ client, batch }) =>
				() =>
					client.send(batch),
		);
		const { head } = await eve.read();
		expect(await other?.()).toEqual(answers[1]);
		expect(await late?.()).toEqual(answers[2]);
		expect(await early?.()).toMatchObject({ failed: "superseded" });
		expect((await eve.read()).head).toBe(head);

		await store.drop(scope);
		expect(await other?.()).toEqual(answers[1]);
		expect(await late?.()).toEqual(answers[2]);
		expect((await eve.read()).head).toBe(0);
	},
);

test("a scope that ends by its deadline, or holds nothing any more, leaves what it remembers of its writers until their time is over", async () => {
	const admin = new Redis(server.url);
	await admin.flushall();
	const scope = "writers/session/s";
	const [ada, bob] = [new Client(store, scope), new Client(store, scope)];
	const batch = await ada.batch([{ do: [touch(null, 1000), put("a", 1)] }]);
	const answer = await ada.send(batch);
	offset += 2000;
	// Nothing is left to delete: the scope is absent again.
	await bob.commit({ do: [remove("a")] });
	expect(await admin.keys("*:e:*")).toEqual([]);
	expect(await ada.send(batch)).toEqual(answer);
	const [writers] = await admin.keys("*:w:*");
	const left = await admin.pttl(writers as string);
	expect(left).toBeGreaterThan(30_000);
	expect(left).toBeLessThan(120_000);
	admin.disconnect();
});

test("a scope that new writers write to all the time forgets those whose time is over, and no other", async () => {
	const admin = new Redis(server.url);
	await admin.flushall();
	const clients = () => Array.from({ length: 200 }, () => new Client(store, "writers/room/busy"));
	for (let round = 0; round < 5; round++) {
		offset += 300_000;
		for (const client of clients()) await client.commit({ do: [put("n", round)] });
	}
	const [writers] = await admin.keys("*:w:*");
	expect(await admin.hlen(writers as string)).toBeLessThan(500);
	admin.disconnect();

	const sent = [];
	for (const client of clients()) {
		const batch = await client.batch([{ do: [put("m", 1)] }]);
		sent.push({ client, batch, answer: await client.send(batch) });
	}
	for (const { client, batch, answer } of sent) expect(await client.send(batch)).toEqual(answer);
});
