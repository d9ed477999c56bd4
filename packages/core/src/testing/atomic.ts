/** Promise 1: a commit applies whole or not at all. */
import { expect } from "vitest";
import type { Mutation } from "../backend.js";
import { type Check, check } from "./check.js";
import { add, anyScope, Client, emit, put, remove, touch } from "./client.js";

/** Mutations that refuse the commit that holds them, by why they do. */
const poison: Record<string, Mutation> = {
	"a Touch of an absent key": touch("absent", 1000),
	"an Add past its maximum": add("number", 1, { max: 10 }),
	"an Add below its minimum": add("number", -11, { min: 0 }),
	"an Add to text": add("text", 1),
	"an Add to infinity": add("huge", Number.MAX_VALUE),
};

export const atomic: readonly Check[] = [
	check(1, "all that a commit does has one revision, and one record", async (trial) => {
		const client = await trial.client();
		await client.apply(put("old", 1), put("counted", 1));
		const before = (await client.read()).head;
		const done = await client.apply(
			put("new", { a: 1 }),
			remove("old"),
			add("counted", 2),
			emit("happened", "x"),
		);
		const { head, entries } = await client.read("new", "old", "counted");
		expect(head, "the head after the commit").toBe(done.revision);
		expect(
			entries.map((entry) => entry?.revision ?? null),
			"the revisions of what was written",
		).toEqual([done.revision, null, done.revision]);
		expect(done.changes, "how many keys it changed").toBe(3);
		expect(done.numbers, "the sums of its Adds").toEqual([3]);
		const { records } = await client.log(before);
		expect(records, "the records after the first commit").toHaveLength(1);
		expect(records[0], "the record").toMatchObject({ revision: done.revision, previous: before });
		expect(records[0]?.changes.map(({ type, key }) => `${type} ${key}`).sort(), "its changes").toEqual([
			"delete old",
			"set counted",
			"set new",
		]);
		expect(
			records[0]?.events.map(({ type }) => type),
			"its events",
		).toEqual(["happened"]);
	}),

	...Object.entries(poison).map(([what, mutation]) =>
		check(1, `of a commit that ${what} refuses, nothing is written`, async (trial) => {
			const client = await trial.client();
			await client.apply(
				put("text", "text"),
				put("number", 10),
				put("huge", Number.MAX_VALUE),
				put("victim", 1, 600_000),
			);
			const before = await client.read("victim", "number");
			const ear = await client.watch();
			const refused = await client.refuse([
				put("new", 1),
				remove("victim"),
				add("counted", 1),
				emit("happened", null),
				mutation,
			]);
			expect(refused.index, "which mutation is at fault").toBe(4);
			const after = await client.read("victim", "number", "new", "counted");
			expect(after.head, "the head").toBe(before.head);
			expect(
				after.entries.map((entry) => entry?.revision),
				"what is there after the refusal",
			).toEqual([...before.entries.map((entry) => entry?.revision), undefined, undefined]);
			expect((await client.log(before.head)).records, "records of the refused commit").toEqual([]);
			expect((await client.log(0, { of: "events" })).records, "events of the refused commit").toEqual([]);
			expect(ear.records, "what watchers heard of the refused commit").toEqual([]);
		}),
	),

	check(1, "a Touch before a refusal extends nothing", async (trial) => {
		const client = await trial.client();
		await client.apply(put("timed", 1, 60_000));
		const before = await client.entry("timed");
		await client.refuse([touch("timed", 600_000), touch("absent", 1000)]);
		expect((await client.entry("timed"))?.expiresAt, "the deadline").toBe(before?.expiresAt);
	}),

	check(
		1,
		"one failing commit of a batch fails alone, and those behind it see those before it",
		async (trial) => {
			const client = await trial.client();
			const outcomes = await client.commit(
				[put("a", 1)],
				{ if: [{ key: "a", revision: 0 }], do: [put("b", 1)] },
				[add("a", 1)],
				[touch("absent", 1), put("c", 1)],
				[put("d", 1)],
			);
			expect(
				outcomes.map(({ ok }) => ok),
				"which commits were applied",
			).toEqual([true, false, true, false, true]);
			expect((await client.list()).map(({ key, value }) => `${key}=${value.text}`)).toEqual(["a=2", "d=1"]);
		},
	),

	check(1, "reads and listings see both sides of a transfer or none", async (trial) => {
		const client = await trial.client();
		await client.apply(put("from", 1000), put("to", 0));
		const reader = await trial.client();
		let running = true;
		const transfers = (async () => {
			try {
				for (let i = 0; i < 60; i++) await client.apply(add("from", -1), add("to", 1));
			} finally {
				running = false;
			}
		})();
		const look = async (): Promise<void> => {
			while (running) {
				const { entries } = await reader.read("from", "to");
				const sum = entries.reduce((total, entry) => total + Number(entry?.value.text), 0);
				expect(sum, "the sum of both accounts, as read").toBe(1000);
				const listed = await reader.list();
				const total = listed.reduce((so, { value }) => so + Number(value.text), 0);
				expect(total, "the sum of both accounts, as listed").toBe(1000);
				// An answer that is there at once would keep the transfers from ever running.
				await new Promise((resolve) => setTimeout(resolve, 0));
			}
		};
		await Promise.all([transfers, look(), look()]);
		expect(await reader.text("to")).toBe("60");
	}),

	check(1, "a commit of a thousand mutations is one commit", async (trial) => {
		const client = await trial.client();
		const puts = Array.from({ length: 999 }, (_, i) => put(`many/${i}`, i));
		await client.refuse([...puts, touch("absent", 1)]);
		expect(await client.list(), "entries of the refused commit").toEqual([]);
		const done = await client.apply(...puts, put("last", true));
		expect(done.changes).toBe(1000);
		const entries = await client.list();
		expect(entries).toHaveLength(1000);
		expect(new Set(entries.map(({ revision }) => revision)), "their revisions").toEqual(
			new Set([done.revision]),
		);
	}),

	check(
		1,
		"what was answered is there after a restart, whole, and revisions go on",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("a", "one"), put("b", "two", 600_000), emit("happened", 1));
			const done = await client.apply(put("a", "three"), remove("b"), put("c", "four", 600_000));
			const expiresAt = (await client.entry("c"))?.expiresAt;
			await trial.harness.restart?.();
			const after = new Client(await trial.backend(), anyScope);
			const { head } = await after.read();
			expect(head, "the head after the restart").toBe(done.revision);
			expect((await after.list()).map(({ key, value }) => `${key}=${value.text}`)).toEqual([
				'a="three"',
				'c="four"',
			]);
			expect((await after.entry("c"))?.expiresAt, "a deadline after the restart").toBe(expiresAt);
			expect((await after.log()).records, "the records after the restart").toHaveLength(2);
			expect((await after.log(0, { of: "events" })).records, "the events after the restart").toHaveLength(1);
			expect((await after.apply(put("d", 1))).revision).toBeGreaterThan(done.revision);
		},
		"restart",
	),
];
