/** What stands in Redis: as little as there is to say, and what was written before is read right. */
import { createStateManager, type Mutation } from "@holdfast/core";
import { add, Client, emit, put, remove, touch } from "@holdfast/core/testing";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { scopeKeys } from "./keys.js";
import { redis } from "./redis.js";
import { withStore } from "./with-store.js";

const { server, store, admin } = await withStore();

beforeEach(async () => void (await admin.flushall()));

const scope = "formats/room/a";
const keys = scopeKeys("hf", scope);

test("the retention that core keeps where nothing else is said is not written down, any other is", async () => {
	const manager = createStateManager({
		backend: redis(server.url, { connectWithin: "1m" }),
		scopes: { room: { changes: { count: 7 } } },
		timeout: "1m",
	});
	manager.on("error", () => {});
	onTestFinished(async () => void (await manager.close()));
	for (const times of [1, 2, 3]) {
		await manager.shared.set("n", times);
		await manager.scope("room", "a").set("n", times);
		expect(await admin.hexists(scopeKeys("hf", "default/shared").entries, '"k')).toBe(0);
		expect(await admin.hget(scopeKeys("hf", "default/room/a").entries, '"k')).toMatch(/^7 /);
	}
});

test("a session of twelve small values takes less than twice what a plain hash takes", async () => {
	const manager = createStateManager({ backend: redis(server.url, { connectWithin: "1m" }), timeout: "1m" });
	manager.on("error", () => {});
	onTestFinished(async () => void (await manager.close()));
	const values = Array.from({ length: 12 }, (_, i) => [`name${i}`, `value ${i}`] as const);
	// A bucket's index is shared by its scopes: some sessions of each.
	const sessions = 512;
	for (let i = 0; i < sessions; i++) {
		await manager.session(`s${i}`).commit((tx) => {
			for (const [key, value] of values) tx.set(key, value);
		});
		await admin.hset(
			`plain:s${i}`,
			Object.fromEntries(values.map(([key, value]) => [key, JSON.stringify(value)])),
		);
	}
	const bytes = async (pattern: string): Promise<number> => {
		const sizes = await Promise.all(
			(await admin.keys(pattern)).map((name) => admin.call("memory", "usage", name)),
		);
		return sizes.reduce((sum: number, size) => sum + Number(size), 0) / sessions;
	};
	expect((await bytes("hf:*")) / (await bytes("plain:*"))).toBeLessThan(2);
	expect(await admin.call("object", "encoding", scopeKeys("hf", "default/session/s1").entries)).toMatch(
		/pack|zip/,
	);
});

test("a scope's first commit is logged by its entries, until a second one writes", async () => {
	const client = new Client(store, scope);
	const first = await client.batch([{ do: [put("b", 1), put("a", { x: [] }), put("é", '"')], origin: "me" }]);
	const answer = await client.send(first);
	const logged = await client.log();
	expect(logged.records).toHaveLength(1);
	expect(logged.records[0]?.changes.map(({ key }) => key)).toEqual(["b", "a", "é"]);
	expect(await admin.exists(keys.changes)).toBe(0);
	expect(await client.send(first)).toEqual(answer);

	// What writes nothing, of this writer or another, leaves it so.
	const other = new Client(store, scope);
	for (const one of [client, other]) {
		await one.commit({ do: [touch("a", 1000)] });
		await one.commit({ do: [remove("none")] });
		await one.send(await one.batch([{ if: [{ key: "a", revision: 1 }], do: [put("a", 2)] }]));
		await one.send(await one.batch([]));
		expect(await client.log()).toEqual({ ...logged, now: expect.any(Number) });
		expect(await admin.exists(keys.changes)).toBe(0);
	}

	await other.commit({ do: [put("a", 3)] });
	const [record, second] = (await client.log()).records;
	expect(record).toEqual(logged.records[0]);
	expect(second?.changes[0]?.entry?.createdRevision).toBe(record?.revision);
	expect(await admin.llen(keys.changes)).toBe(2);
	const { entries } = await client.read("b", "a", "é");
	expect(entries.map((entry) => entry?.revision)).toEqual([
		record?.revision,
		second?.revision,
		record?.revision,
	]);
});

// As the version before this one wrote it: every entry with its revision, every scope with its retention, an order and a log.
async function writeAsBefore(): Promise<{
	readonly first: number;
	readonly head: number;
	readonly now: number;
}> {
	const [seconds] = await admin.time();
	const now = Number(seconds) * 1000;
	const [first, head] = [now * 1000 - 2000, now * 1000];
	const about = '"me",["-1"],0,null';
	await admin.hset(keys.entries, {
		'"s': `${head} 0 ${now + 60_000} 2`,
		'"k': "10000 3600000 100000 2592000000",
		'"w': `writer\n1\n${now + 30_000}`,
		'"i': about,
		'"a': `[${head},${now},${now + 60_000},[${head}]]`,
		a: `${first} 1`,
		b: `${head}|${first}0 8 {"by":1}"two"`,
		c: `${head}|${first}${now + 60_000} 0 3`,
	});
	await admin.zadd(keys.order, 0, "a", 0, "b", 0, "c");
	await admin.zadd(keys.entries.replace(":e:", ":x:"), now + 60_000, "c");
	await admin.rpush(
		keys.changes,
		`[${first},0,${now - 2},"me",["-0"],0,null,[["a","1"],["b","0"],["c","0"]]]`,
		`[${head},${first},${now},${about},[["b","\\"two\\"",${first},0],["c","3",${first},${now + 60_000}]]]`,
	);
	await admin.zadd(keys.scopes, 0, scope);
	await admin.zadd(keys.due, now + 60_000, scope);
	return { first, head, now };
}

test("a scope of the version before is read, listed, followed and written as it was", async () => {
	const { first, head, now } = await writeAsBefore();
	const client = new Client(store, scope);
	const { entries } = await client.read("a", "b", "c");
	expect(entries).toMatchObject([
		{ revision: first, createdRevision: first, expiresAt: null, metadata: undefined },
		{ revision: head, createdRevision: first, expiresAt: null, metadata: { by: 1 } },
		{ revision: head, createdRevision: first, expiresAt: now + 60_000, metadata: undefined },
	]);
	expect(entries.map((entry) => entry?.value.text)).toEqual(["1", '"two"', "3"]);
	expect(await client.list()).toEqual(entries);
	expect((await client.log()).records.map(({ revision, id }) => [revision, id])).toEqual([
		[first, "me-0"],
		[head, "me-1"],
	]);
	// By each way: alone, a commit of several, and several together.
	const deeds = [[put("a", 2)], [add("c", 1), put("d", 1)], [remove("b")], [put("e", 1), emit("told", 1)]];
	for (const mutations of deeds) await client.commit({ do: mutations });
	await client.send(await client.batch([{ do: [put("f", 1)] }, { do: [put("g", 1, 60_000)] }]));
	expect((await client.list()).map(({ key, value }) => [key, value.text])).toEqual([
		["a", "2"],
		["c", "4"],
		["d", "1"],
		["e", "1"],
		["f", "1"],
		["g", "1"],
	]);
	const { records } = await client.log();
	expect(records).toHaveLength(8);
	expect(records.slice(1).map(({ previous }) => previous)).toEqual(
		records.slice(0, -1).map(({ revision }) => revision),
	);
	await store.drop(scope);
	expect(
		(await admin.keys("hf:*")).filter((name) => !name.endsWith(":floor") && !name.includes(":w:")),
	).toEqual([]);
});

test("what a newer version wrote is refused by every call, and left as it is", async () => {
	const client = new Client(store, scope);
	await client.commit({ do: [put("a", 1), put("b", 1)] });
	await client.commit({ do: [put("a", 2)] });
	const batches = [
		await client.batch([[put("a", 3)]]),
		await client.batch([[put("a", 3)], [put("b", 3)]]),
		await client.batch([[remove("a")], [touch("b", 1000)]]),
		await client.batch([[put("a", 3), emit("told", 3)]]),
		await client.batch([]),
	];
	const state = await admin.hget(keys.entries, '"s');
	await admin.hset(keys.entries, '"s', `v${state}`);
	const before = [await admin.hgetall(keys.entries), await admin.lrange(keys.changes, 0, -1)];
	const refused = { failed: "refused", message: expect.stringContaining("newer version") };
	expect(await Promise.all(store.read([{ scope, keys: ["a"] }]))).toMatchObject([refused]);
	for (const batch of batches) expect(await client.send(batch)).toMatchObject(refused);
	const calls = [
		() => store.list(scope, { from: "", to: null, limit: 9, bytes: 999 }),
		() => store.log(scope, 0, { of: "changes", limit: 9, bytes: 999 }),
		() => store.drop(scope),
	];
	for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "failed" });
	expect([await admin.hgetall(keys.entries), await admin.lrange(keys.changes, 0, -1)]).toEqual(before);
	// Scopes that it shares a call with are none of its business.
	const other = new Client(store, "formats/room/b");
	const [late, ...rest] = await Promise.all(
		store.commit([await other.batch([[put("a", 1)]]), ...batches.slice(0, 1)]),
	);
	expect(late).toMatchObject({ outcomes: [{ ok: true }] });
	expect(rest).toMatchObject([refused]);
});

const lastGoes: Record<string, Mutation[][]> = {
	"alone, deleted": [[remove("b")]],
	"alone, given a deadline": [[put("b", 1, 60_000)]],
	"together with another": [[put("a", 2, 60_000)], [remove("b")]],
	"in a commit of several": [[put("a", 2, 60_000), remove("b")]],
};

test.each(Object.entries(lastGoes))(
	"its last lasting entry %s: all keys of the scope get an end",
	async (_, deeds) => {
		const client = new Client(store, scope);
		await client.commit({ do: [put("b", 0)] });
		await client.commit({ do: [put("a", 1, 60_000), emit("told", 1)] });
		const own = async () => (await admin.keys(`*:${scope}`)).filter((name) => !name.includes(":w:"));
		const ends = async () => Promise.all((await own()).map((name) => admin.pttl(name)));
		expect(await own()).toHaveLength(4);
		// The log goes by itself.
		expect((await ends()).filter((end) => end !== -1)).toHaveLength(1);
		await client.send(await client.batch(deeds.map((mutations) => ({ do: mutations }))));
		for (const end of await ends()) expect(end).toBeGreaterThan(0);
	},
);
