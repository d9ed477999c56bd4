/** Batches of many scopes that go to the server together: each has an answer of its own. */
import type { BatchAnswer } from "@holdfast/core";
import { Client, put } from "@holdfast/core/testing";
import { expect, test } from "vitest";
import { scopeKeys } from "./keys.js";
import { packed } from "./wire.js";
import { withStore } from "./with-store.js";

const { store, admin } = await withStore();

const clientsOf = (name: string, count: number): Client[] =>
	Array.from({ length: count }, (_, i) => new Client(store, `${name}/room/${i}`));

test("what goes wrong with one scope goes wrong with no other, and nothing is done twice", async () => {
	const clients = clientsOf("broken", 100);
	for (const client of clients) await client.commit({ do: [put("n", 0)] });
	const { changes } = scopeKeys("hf", "broken/room/40");
	await admin.set(changes, "no list");
	const batches = await Promise.all(clients.map((client, i) => client.batch([{ do: [put("n", i)] }])));
	expect(packed(batches).length).toBeLessThan(10);
	const answers = await Promise.all(store.commit(batches));
	const failed = answers.flatMap((answer, i) => ("failed" in answer ? [[i, answer.failed]] : []));
	expect(failed).toEqual([[40, "unknown"]]);
	for (const [i, client] of clients.entries()) {
		if (i === 40) continue;
		const { head } = answers[i] as BatchAnswer;
		const log = await store.log(client.scope, 0, { of: "changes", limit: 9, bytes: 9999 });
		expect(log.records.map(({ revision }) => revision).at(-1)).toBe(head);
		expect(log.records).toHaveLength(2);
	}
	expect(await Promise.all(store.commit(batches.filter((_, i) => i !== 40)))).toEqual(
		answers.filter((_, i) => i !== 40),
	);
});

test("a scope may be in a call under two writers, in order, beside batches of any kind and size", async () => {
	const [ada, bob] = [new Client(store, "twice/room/a"), new Client(store, "twice/room/a")];
	const large = new Client(store, "twice/room/b");
	const batches = [
		await ada.batch([{ do: [put("n", 1)] }]),
		await large.batch(Array.from({ length: 200 }, (_, i) => ({ do: [put(`k${i}`, i)] }))),
		await bob.batch([{ do: [put("n", 2, 60_000)] }]),
		await large.batch([{ do: [] }]),
		await ada.batch([{ do: [put("n", 3), put("m", 3)] }]),
	];
	const answers = (await Promise.all(store.commit(batches))) as BatchAnswer[];
	expect(answers.map(({ outcomes }) => outcomes.length)).toEqual([1, 200, 1, 1, 1]);
	expect(answers.flatMap(({ outcomes }) => outcomes).every(({ ok }) => ok)).toBe(true);
	const heads = [answers[0], answers[2], answers[4]].map((answer) => answer?.head as number);
	expect(heads).toEqual([...heads].sort((a, b) => a - b));
	const { entries } = await ada.read("n", "m");
	expect(entries.map((entry) => entry?.value.text)).toEqual(["3", "3"]);
});
