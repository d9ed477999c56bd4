/** A scope's keys in order: looked for among all where there are few, kept beside them where there are many, and the same to who asks. */
import { memory } from "@holdfast/core";
import { Client, put, remove, touch } from "@holdfast/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { scopeKeys } from "./keys.js";
import { unorderedEntries } from "./order-script.js";
import { redis } from "./redis.js";
import { withStore } from "./with-store.js";

const { server, store, admin } = await withStore();

let scopes = 0;
const newScope = (): string => `growing/room/${++scopes}`;
const isOrdered = async (scope: string): Promise<boolean> =>
	(await admin.exists(scopeKeys("hf", scope).order)) === 1;
const names = (from: number, to: number): string[] =>
	Array.from({ length: to - from }, (_, i) => `key/${from + i}`);

// How a scope that is there gets one entry more, by each way through the script.
const ways: Record<string, (client: Client, key: string) => Promise<unknown>> = {
	"a put alone": (client, key) => client.commit({ do: [put(key, 1)] }),
	"puts together": async (client, key) =>
		client.send(await client.batch([{ do: [put(key, 1)] }, { do: [put(key, 2)] }])),
	"commits of all kinds together": async (client, key) =>
		client.send(await client.batch([{ do: [put(key, 1, 60_000)] }, { do: [put("key/0", 2)] }])),
	"a commit of several": (client, key) => client.commit({ do: [put(key, 1), put("key/0", 2)] }),
};

test.each(Object.entries(ways))(
	"%s takes a scope over the bound, and nothing is missing in its order",
	async (_, add) => {
		const client = new Client(store, newScope());
		const keys = ["key/0"];
		await client.commit({ do: [put("key/0", 1)] });
		for (const key of names(1, unorderedEntries + 12)) {
			await add(client, key);
			keys.push(key);
			expect((await client.list()).map((entry) => entry.key)).toEqual([...keys].sort());
			if (keys.length < unorderedEntries) expect(await isOrdered(client.scope)).toBe(false);
		}
		expect(await isOrdered(client.scope)).toBe(true);
		expect((await admin.zrange(scopeKeys("hf", client.scope).order, "0", "-1")).sort()).toEqual(
			[...keys].sort(),
		);
	},
);

test("one commit of many keys is ordered at once; emptied, the scope leaves nothing but its end", async () => {
	const client = new Client(store, newScope());
	const keys = names(0, 500);
	await client.commit({ do: keys.map((key) => put(key, 1)) });
	expect(await isOrdered(client.scope)).toBe(true);
	expect((await client.list()).map((entry) => entry.key)).toEqual([...keys].sort());
	await client.commit({ do: keys.map(remove) });
	expect(await client.list()).toEqual([]);
	expect(await isOrdered(client.scope)).toBe(false);
	await client.commit({ do: [put("again", 1)] });
	expect((await client.list()).map((entry) => entry.key)).toEqual(["again"]);
});

const anyKey = fc.integer({ min: 0, max: 99 }).map((i) => `${["a", "é", "z/", "\u{1F600}"][i % 4]}${i}`);
const anyMutation = fc.oneof(
	{ weight: 4, arbitrary: anyKey.map((key) => put(key, 1)) },
	{ weight: 1, arbitrary: anyKey.map((key) => put(key, 1, 600_000)) },
	{ weight: 2, arbitrary: anyKey.map(remove) },
);
const anyCommit = fc.uniqueArray(anyMutation, {
	minLength: 1,
	maxLength: 40,
	selector: (mutation) => ("key" in mutation ? mutation.key : null),
});

test("whatever comes and goes, the listing of a scope is that of memory, in pages of any size", async () => {
	const property = fc.asyncProperty(
		fc.array(anyCommit, { maxLength: 12 }),
		fc.nat(30),
		async (commits, size) => {
			const scope = newScope();
			const [real, model] = [new Client(store, scope), new Client(memory(), scope)];
			for (const mutations of commits) {
				await real.commit({ do: mutations });
				await model.commit({ do: mutations });
				const expected = (await model.list()).map(({ key }) => key);
				expect((await real.list()).map(({ key }) => key)).toEqual(expected);
				const range = { from: "b", to: "\u{1F601}", limit: size + 1, bytes: 1e6 };
				const page = await store.list(scope, range);
				const wanted = await model.backend.list(scope, range);
				expect([page.next, page.entries.map(({ key }) => key)]).toEqual([
					wanted.next,
					wanted.entries.map(({ key }) => key),
				]);
			}
		},
	);
	await fc.assert(property, { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false });
});

test("a live lock holds a large scope open past its deadline as it does a small one", async () => {
	let offset = 0;
	const late = redis(server.url, { connectWithin: "1m", clockOffset: () => offset });
	for (const count of [1, unorderedEntries + 1]) {
		const client = new Client(late, newScope());
		await client.commit({ do: [touch(null, 1000), ...names(0, count).map((key) => put(key, 1))] });
		await client.commit({ do: [put("!/lock/l", 1, 10_000)] });
		offset += 2000;
		expect(await client.list()).toHaveLength(count);
		expect((await client.read("key/0")).entries[0]).not.toBeNull();
		offset += 20_000;
		expect(await client.list()).toEqual([]);
		expect((await client.read("key/0")).entries[0]).toBeNull();
	}
	await late.close();
});
