/** A scope at rest is its entries alone: its log goes by itself once all of it is older than is kept, and no sooner. */
import { type Mutation, resumes } from "@holdfast/core";
import { Client, emit, put, remove } from "@holdfast/core/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import { scopeKeys } from "./keys.js";
import { redis } from "./redis.js";
import { withStore } from "./with-store.js";

const { server, store, admin } = await withStore();

let scopes = 0;
const newScope = (): string => `resting/session/${++scopes}`;
const logOf = (scope: string): string => scopeKeys("hf", scope).changes;

const age = 3_600_000;

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
	await vi.waitFor(async () => expect(await admin.exists(log)).toBe(0));

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
