/** A scope at rest is its entries alone: its log goes by itself once all of it is older than is kept, and no sooner. */
import { type Mutation, resumes } from "@holdfast/core";
import { Client, emit, put, remove, touch } from "@holdfast/core/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { scopeKeys } from "./keys.js";
import { redis } from "./redis.js";
import { withStore } from "./with-store.js";

const { server, store, admin } = await withStore();

let scopes = 0;
const newScope = (): string => `resting/session/${++scopes}`;
const logOf = (scope: string): string => scopeKeys("hf", scope).changes;

const age = 3_600_000;
const patience = { timeout: 30_000 };

// A commit by each way through the script.
const ways: Record<string, Mutation[][]> = {
	"a put alone": [[put("a", 1)]],
	"a put alone with a deadline": [[put("a", 1, 60_000)]],
	"puts together": [[put("a", 1)], [put("b", 1)]],
	"commits of all kinds together": [[put("a", 1, 60_000)], [put("b", 2)]],
	"a commit of several": [[put("a", 1), emit("told", 1)]],
};

test.each(Object.entries(ways))(
	"%s keeps the log for as long as is kept, however old it is",
	async (_, deeds) => {
		let offset = 0;
		const late = redis(server.url, { clockOffset: () => offset });
		onTestFinished(() => late.close());
		const client = new Client(late, newScope());
		const log = logOf(client.scope);
		const commit = async () => client.send(await client.batch(deeds));
		await client.commit({ do: [put("first", 0), put("lasting", 0)] });
		for (let round = 0; round < 4; round++) {
			await commit();
			// As it is long after: Redis itself counts by its own clock, which no test moves.
			await admin.pexpire(log, Math.max(1, (await admin.pttl(log)) - age));
			offset += age;
			await commit();
			expect(await admin.pttl(log)).toBeGreaterThan(age);
			expect(await admin.pttl(log)).toBeLessThanOrEqual(2 * age + 60_000);
		}
	},
);

test("once it has gone nothing else has: who follows the scope is told a reset, and the log begins anew", async () => {
	const client = new Client(store, newScope());
	const log = logOf(client.scope);
	await client.commit({ do: [put("a", 1), put("b", 1)] });
	const { head: first } = await client.read();
	const batch = await client.batch([[put("a", 2), remove("b"), put("c", 2)]]);
	const answer = await client.send(batch);
	const listed = await client.list();
	await admin.pexpire(log, 1);
	await vi.waitFor(async () => expect(await admin.exists(log)).toBe(0), patience);

	expect(await client.list()).toEqual(listed);
	const { head } = await client.read();
	const page = await store.log(client.scope, first, { of: "changes", limit: 9, bytes: 9999 });
	expect(page).toMatchObject({ records: [], more: false, head });
	expect(resumes(page, first, "changes")).toBe(false);
	expect(resumes(page, head, "changes")).toBe(true);
	expect(await client.send(batch)).toEqual(answer);

	await client.commit({ do: [put("a", 3)] });
	const { records } = await client.log(head);
	expect(records).toMatchObject([{ previous: head }]);
	expect(await admin.pttl(log)).toBeGreaterThan(age);
});

test("a session of twelve small values that was written again takes no more than twice a hash once it rests", async () => {
	const values = Array.from({ length: 12 }, (_, i) => [`name${i}`, `value ${i}`] as const);
	const client = new Client(store, newScope());
	for (let times = 0; times < 3; times++)
		await client.commit({ do: values.map(([key, value]) => put(key, `${value}${times}`)) });
	await admin.hset(
		"plain",
		Object.fromEntries(values.map(([key, value]) => [key, JSON.stringify(`${value}0`)])),
	);
	const bytes = async (name: string) => Number(await admin.call("memory", "usage", name));
	expect((await bytes(scopeKeys("hf", client.scope).entries)) / (await bytes("plain"))).toBeLessThanOrEqual(
		2,
	);
	const { entries } = await client.read("name0", "name11");
	expect(entries.map((entry) => entry?.value.text)).toEqual(['"value 02"', '"value 112"']);
});

const endings: Record<string, Mutation[][]> = {
	"all of whose entries have a deadline": [[put("a", 1, 60_000), put("b", 1, 90_000)]],
	"with a deadline of its own": [[touch(null, 60_000), put("a", 1)]],
	"that was emptied": [[put("a", 1)], [remove("a")]],
	"that was emptied beside facts": [[put("a", 1), emit("told", 1)], [remove("a")]],
	"that once had a lasting entry": [[put("a", 1, 60_000)], [put("b", 1)], [remove("b")]],
	"of locks alone": [
		[put("!/lock/l", 1, 15_000)],
		[remove("!/lock/l")],
		[put("!/lock/l", 1, 15_000)],
		[put("!/lock/m", 1, 15_000)],
		[remove("!/lock/l")],
	],
	"of locks that were let go of": [
		[put("!/lock/l", 1, 15_000)],
		[remove("!/lock/l")],
		[put("!/lock/l", 1, 15_000)],
		[remove("!/lock/l")],
	],
};

test.each(Object.entries(endings))(
	"a scope %s has an end, and leaves nothing once it is swept",
	async (_, deeds) => {
		let offset = 0;
		const late = redis(server.url, { clockOffset: () => offset });
		onTestFinished(() => late.close());
		const client = new Client(late, newScope());
		const { scope } = client;
		const { entries, scopes: indexed, due } = scopeKeys("hf", scope);
		for (const mutations of deeds) await client.commit({ do: mutations });
		const own = () => admin.keys(`*:${scope}`);
		for (const name of await own()) {
			// The same end for all: Redis takes them together.
			const before = await admin.pttl(entries);
			const left = await admin.pttl(name);
			expect(left, name).toBeLessThanOrEqual(before);
			expect(left, name).toBeGreaterThanOrEqual(await admin.pttl(entries));
			expect(left, name).toBeGreaterThan(0);
		}
		const end = await admin.pttl(entries);
		for (const name of await own()) await admin.pexpire(name, 1);
		await vi.waitFor(async () => expect(await own()).toEqual([]), patience);
		offset += end + 2000;
		const page = await late.scopes({ prefix: scope, after: null, limit: 9, due: true });
		expect(page.scopes).toEqual([{ scope, head: 0, next: null }]);
		await client.send(await client.batch([]));
		expect(await own()).toEqual([]);
		expect(await admin.zscore(indexed, scope)).toBeNull();
		expect(await admin.zscore(due, scope)).toBeNull();
	},
);

test("a scope that has a lasting entry again has no end, and is not swept for one", async () => {
	const client = new Client(store, newScope());
	const { entries, due } = scopeKeys("hf", client.scope);
	await client.commit({ do: [put("a", 1)] });
	await client.commit({ do: [remove("a")] });
	expect(await admin.zscore(due, client.scope)).not.toBeNull();
	await client.commit({ do: [put("b", 1)] });
	expect(await admin.zscore(due, client.scope)).toBeNull();
	expect(await admin.pttl(entries)).toBe(-1);
});
