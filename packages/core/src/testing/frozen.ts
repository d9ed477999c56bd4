/** Promise 8: what is stored is a copy that nobody can change. */
import { expect } from "vitest";
import type { Entry, Value } from "../backend.js";
import { jsonCodec } from "../codec.js";
import { type Check, check } from "./check.js";
import { emit, put } from "./client.js";

const sample = (): {
	list?: unknown;
	map: unknown;
	set: unknown;
	date: unknown;
	url: unknown;
	nothing: null;
} => ({
	list: [1, { deep: [2] }],
	map: new Map([["a", { b: 1 }]]),
	set: new Set([{ c: 1 }]),
	date: new Date(0),
	url: new URL("https://example.org/a?b=c"),
	nothing: null,
});

/** Names the first part of a value that is not frozen. */
function thawed(value: unknown, path = "it"): string | undefined {
	if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
	if (!Object.isFrozen(value)) return path;
	const parts: [string, unknown][] =
		value instanceof Map
			? [...value].map(([key, member]) => [String(key), member])
			: value instanceof Set
				? [...value].map((member, i) => [String(i), member])
				: Object.entries(value);
	for (const [name, member] of parts) {
		const found = thawed(member, `${path}.${name}`);
		if (found !== undefined) return found;
	}
	return undefined;
}

const expectFrozen = (value: unknown, what: string): void =>
	expect(thawed(value), `what of ${what} can be changed`).toBeUndefined();

const dataOf = (entry: { readonly value: Value } | null | undefined): unknown => {
	const data = entry?.value.data(jsonCodec);
	expect(data, "the data of an entry").toBeDefined();
	expect(entry?.value.data(jsonCodec), "the data of the same value, again").toBe(data);
	return data;
};

/** Everything that could change a value, with what it is tried on. */
const attempts: Record<string, (value: ReturnType<typeof sample>) => unknown> = {
	"setting a property": (value) => Object.assign(value, { list: 1 }),
	"adding a property": (value) => Object.assign(value, { more: 1 }),
	"deleting a property": (value) => {
		delete value.list;
	},
	"pushing to an array": ({ list }) => (list as unknown[]).push(1),
	"setting deep inside": ({ list }) => Object.assign((list as { deep: unknown }[])[1] as object, { deep: 1 }),
	"Map.set": ({ map }) => (map as Map<unknown, unknown>).set("a", 1),
	"Map.delete": ({ map }) => (map as Map<unknown, unknown>).delete("a"),
	"Map.clear": ({ map }) => (map as Map<unknown, unknown>).clear(),
	"setting in a Map's member": ({ map }) =>
		Object.assign((map as Map<string, object>).get("a") as object, { b: 2 }),
	"Set.add": ({ set }) => (set as Set<unknown>).add(1),
	"Set.clear": ({ set }) => (set as Set<unknown>).clear(),
	"Date.setTime": ({ date }) => (date as Date).setTime(1),
	"Date.setFullYear": ({ date }) => (date as Date).setFullYear(1),
	"URL.href": ({ url }) => {
		(url as URL).href = "https://example.com";
	},
	"URL.searchParams": ({ url }) => (url as URL).searchParams.set("b", "d"),
};

export const frozen: readonly Check[] = [
	check(
		8,
		"whatever way an entry comes, its data is deeply frozen, and the same at each look",
		async (trial) => {
			const client = await trial.client();
			const ear = await client.watch();
			await client.apply(put("a", sample()), emit("happened", sample()));
			await trial.eventually("the commit is signalled", () => expect(ear.signals).not.toEqual([]));
			const listed = await client.list();
			const log = await client.log();
			const events = await client.log(0, { of: "events" });
			const refused = await client.refuse({ if: [{ key: "a", revision: 0 }], do: [put("a", 1)] });
			const ways: Record<string, Entry | { value: Value } | null | undefined> = {
				"a read": await client.entry("a"),
				"a listing": listed[0],
				"the log": log.records[0]?.changes[0]?.entry,
				"a refusal": refused.entry,
			};
			for (const record of ear.records) ways["a signal"] = record.changes[0]?.entry;
			for (const payload of events.records.flatMap(({ events: facts }) => facts.map((fact) => fact.payload)))
				ways["the log of events"] = { value: payload };
			for (const [way, entry] of Object.entries(ways)) {
				expectFrozen(dataOf(entry), `the data that came by ${way}`);
				expect(dataOf(entry), `the data that came by ${way}`).toEqual(sample());
			}
		},
	),

	check(8, "what `set` is given is copied: changing it later changes nothing", async (trial) => {
		const { shared } = await trial.manager();
		const given = sample();
		await shared.set("a", given);
		(given.list as unknown[]).push("later");
		(given.map as Map<string, unknown>).set("later", 1);
		(given.date as Date).setTime(99);
		expect(await shared.get("a")).toEqual(sample());
		expect(await (await trial.manager()).shared.get("a"), "what another manager reads").toEqual(sample());
	}),

	...Object.entries(attempts).map(([name, attempt]) =>
		check(8, `what is read can't be changed by ${name}`, async (trial) => {
			const [writer, reader] = [await trial.manager(), await trial.manager()];
			await writer.shared.set("a", sample());
			for (const { shared } of [writer, reader]) {
				const value = await shared.get("a");
				expect(() => attempt(value), name).toThrow(TypeError);
				expect(await shared.get("a"), `what is read after ${name}`).toEqual(sample());
			}
		}),
	),

	check(
		8,
		"listings, changes, events, mirrors and transactions hand out what is frozen, too",
		async (trial) => {
			const { shared } = await trial.manager();
			const heard: unknown[] = [];
			await shared.subscribe("a", ({ value }) => heard.push(value)).ready;
			await shared.events.on("happened", ({ payload }) => heard.push(payload)).ready;
			const mirror = shared.mirror();
			await mirror.ready;
			await shared.commit((tx) => {
				tx.set("a", sample());
				tx.emit("happened", sample());
			});
			await trial.eventually("the change and the event are heard", () => expect(heard).toHaveLength(2));
			for (const value of heard) expectFrozen(value, "what a listener hears");
			for await (const entry of shared.list()) expectFrozen(entry.value, "a listed value");
			await trial.eventually("the mirror shows it", () => expect(mirror.size).toBe(1));
			expectFrozen(mirror.list(), "a mirror's list");
			expectFrozen(mirror.get("a"), "a mirror's value");
			await shared.commit(async (tx) => {
				expectFrozen(await tx.get("a"), "what a transaction reads");
			});
			await shared.update("a", (value) => {
				expectFrozen(value, "what an update is given");
				return value;
			});
		},
	),

	check(8, "what is read stays the same reference until the entry changes", async (trial) => {
		const [writer, reader] = [await trial.manager(), await trial.manager()];
		await writer.shared.set("a", sample());
		for (const { shared } of [writer, reader]) {
			const first = await shared.get("a");
			expect(await shared.get("a"), "read again").toBe(first);
			expect((await shared.entry("a"))?.value, "read as an entry").toBe(first);
			await shared.set("b", 1);
			expect(await shared.get("a"), "read after another key was written").toBe(first);
		}
		const before = await reader.shared.get("a");
		await writer.shared.set("a", { other: true });
		expect(await reader.shared.get("a")).not.toBe(before);
	}),

	check(8, "a mirror keeps the reference of a value that was written again as it was", async (trial) => {
		const [writer, watcher] = [await trial.manager(), await trial.manager()];
		await writer.shared.set("a", { deep: [1] });
		await writer.shared.set("b", { deep: [2] });
		const mirror = watcher.shared.mirror();
		await mirror.ready;
		const [list, a, b] = [mirror.list(), mirror.get("a"), mirror.get("b")];
		const same = await writer.shared.set("a", { deep: [1] });
		await trial.within("the mirror", mirror.at(same));
		expect(mirror.get("a"), "an equal value").toBe(a);
		expect(mirror.list(), "the list of equal values").toBe(list);
		expect(mirror.entry("a")?.revision, "its revision").toBe(same);
		const other = await writer.shared.set("a", { deep: [3] });
		await trial.within("the mirror", mirror.at(other));
		expect(mirror.get("a"), "another value").not.toBe(a);
		expect(mirror.list()).not.toBe(list);
		expect(mirror.get("b"), "the value of another key").toBe(b);
	}),

	check(
		8,
		"bytes can't be frozen, but what a holder writes into them never reaches the store",
		async (trial) => {
			const [writer, reader] = [await trial.manager(), await trial.manager()];
			const given = new Uint8Array([1, 2, 3]);
			await writer.shared.set("a", given);
			given[0] = 99;
			const read: Uint8Array = await reader.shared.get("a");
			expect(read).toEqual(new Uint8Array([1, 2, 3]));
			read[1] = 99;
			expect(await (await trial.manager()).shared.get("a"), "what another manager reads").toEqual(
				new Uint8Array([1, 2, 3]),
			);
		},
	),
];
