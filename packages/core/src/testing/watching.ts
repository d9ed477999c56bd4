/** Promise 6, of the store: a log that any cursor can go on from or is refused by, and signals to who watches. */
import { expect } from "vitest";
import type { LogRecord } from "../backend.js";
import { resumes } from "../resume.js";
import { type Check, check } from "./check.js";
import { anyScope, type Client, emit, put, remove, usualRetention } from "./client.js";
import { Follower } from "./follower.js";
import { pick, seeded } from "./random.js";

const revisionsOf = (records: readonly LogRecord[]): readonly number[] =>
	records.map(({ revision }) => revision);

const shown = ({ revision, previous, id, quiet, changes, events }: LogRecord): unknown => ({
	revision,
	previous,
	id,
	quiet,
	changes: changes
		.map(({ type, key, entry }) => [type, key, entry?.value.text, entry?.revision, entry?.createdRevision])
		.sort(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
	events: events.map(({ type, payload }) => [type, payload.text]),
});

/** Commits of all sorts, some with events only. */
async function randomHistory(client: Client, length: number): Promise<void> {
	const random = seeded(length);
	const keys = ["a", "b", "c", "d"];
	for (let i = 0; i < length; i++) {
		const [first, second] = [pick(random, keys), pick(random, keys)];
		const kind = random();
		if (kind < 0.5) await client.apply(put(first, i));
		else if (kind < 0.7) await client.apply(remove(first));
		else if (kind < 0.85) await client.apply(emit("tick", i));
		else if (first !== second) await client.apply(put(first, i), put(second, i), emit("tock", i));
	}
}

export const watching: readonly Check[] = [
	check(
		6,
		"from every revision of a random history, the log gives what came after, and nothing else",
		async (trial) => {
			const client = await trial.client();
			await randomHistory(client, 60);
			const { records, head } = await client.log();
			const reader = await trial.client();
			for (const [i, cursor] of [0, ...revisionsOf(records)].entries()) {
				const page = await reader.log(cursor);
				expect(resumes(page, cursor, "changes"), `whether cursor ${cursor} holds`).toBe(true);
				expect(page.records.map(shown), `what came after ${cursor}`).toEqual(records.slice(i).map(shown));
				expect(page.head).toBe(head);
			}
		},
	),

	check(6, "a cursor that is no revision of the scope does not hold", async (trial) => {
		const client = await trial.client();
		await randomHistory(client, 20);
		const { records, head } = await client.log();
		for (const cursor of [
			...revisionsOf(records).map((revision) => revision - 1),
			head + 1,
			head + 10_000_000,
		])
			expect(resumes(await client.log(cursor), cursor, "changes"), `whether cursor ${cursor} holds`).toBe(
				false,
			);
		const other = await trial.client(`${anyScope}-other`);
		expect(resumes(await other.log(head), head, "changes"), "in a scope that does not exist").toBe(false);
		expect(resumes(await other.log(0), 0, "changes"), "0 in a scope that does not exist").toBe(true);
	}),

	check(
		6,
		"pages of a log are bounded by count and bytes, and follow one another; the newest can be had alone",
		async (trial) => {
			const client = await trial.client();
			for (let i = 0; i < 30; i++) await client.apply(put(`k${i}`, "x".repeat(1000)), emit("tick", i));
			const { records } = await client.log();
			for (const limit of [1, 7, 30, 31]) {
				const follower = new Follower(client, limit);
				await follower.follow();
				expect(revisionsOf(follower.records), `in pages of ${limit}`).toEqual(revisionsOf(records));
				expect(follower.resets).toBe(0);
				const page = await client.log(0, { limit });
				expect(page.records.length, "the length of a page").toBe(Math.min(limit, 30));
				expect(page.more, `whether there is more than ${limit}`).toBe(limit < 30);
			}
			const small = await client.log(0, { bytes: 5000 });
			expect(small.records.length, "records in about 5,000 bytes").toBeLessThan(12);
			expect(small.records.length, "records in about 5,000 bytes").toBeGreaterThan(0);
			expect(small.more).toBe(true);
			expect(
				(await client.log(0, { bytes: 1 })).records,
				"records in a byte: one, or nobody would get on",
			).toHaveLength(1);
			const newest = await client.log(0, { limit: 4, newest: true });
			expect(revisionsOf(newest.records), "the newest four").toEqual(revisionsOf(records.slice(-4)));
			const [, , , fourth] = records;
			const between = await client.log(fourth?.revision, { limit: 100, newest: true });
			expect(revisionsOf(between.records), "the newest after a cursor").toEqual(
				revisionsOf(records.slice(4)),
			);
			const events = await client.log(0, { of: "events", limit: 4, newest: true });
			expect(revisionsOf(events.records), "the newest four with events").toEqual(
				revisionsOf(records.slice(-4)),
			);
		},
	),

	check(6, "events have a log of their own, with a chain of its own", async (trial) => {
		const client = await trial.client();
		await randomHistory(client, 40);
		const { records, head } = await client.log();
		const facts = records.filter(({ events }) => events.length > 0);
		expect(records.length, "records with and without events").toBeGreaterThan(facts.length);
		const log = await client.log(0, { of: "events" });
		expect(log.records.map(({ revision, events }) => [revision, events.map(({ type }) => type)])).toEqual(
			facts.map(({ revision, events }) => [revision, events.map(({ type }) => type)]),
		);
		expect(log.head, "the head of the events' log").toBe(facts.at(-1)?.revision);
		expect(
			log.records.map(({ previousEvents }) => previousEvents),
			"the chain of records with events",
		).toEqual([0, ...revisionsOf(facts).slice(0, -1)]);
		for (const cursor of [0, ...revisionsOf(records), head + 5]) {
			const page = await client.log(cursor, { of: "events" });
			expect(resumes(page, cursor, "events"), `whether cursor ${cursor} holds for events`).toBe(true);
			expect(revisionsOf(page.records)).toEqual(revisionsOf(facts).filter((revision) => revision > cursor));
		}
	}),

	check(
		6,
		"a log keeps as many commits as it is told, and cursors behind them do not hold",
		async (trial) => {
			const client = await trial.client();
			client.keep = { changes: { count: 5, age: 3_600_000 }, events: { count: 3, age: 3_600_000 } };
			for (let i = 0; i < 20; i++) await client.apply(put("a", i), emit("tick", i));
			const made = revisionsOf((await client.log(0, { of: "changes" })).records);
			// A store may trim in steps, but not keep twice as much.
			expect(made.length, "changes that are kept").toBeGreaterThanOrEqual(5);
			expect(made.length, "changes that are kept").toBeLessThanOrEqual(10);
			const page = await client.log(0);
			expect(resumes(page, 0, "changes"), "whether the start still holds").toBe(false);
			for (const cursor of made)
				expect(resumes(await client.log(cursor), cursor, "changes"), `whether ${cursor} holds`).toBe(true);
			const events = await client.log(0, { of: "events" });
			expect(events.records.length, "events that are kept").toBeGreaterThanOrEqual(3);
			expect(events.records.length, "events that are kept").toBeLessThanOrEqual(6);
			expect(resumes(events, 0, "events"), "whether the start of the events still holds").toBe(false);
			expect(await client.text("a"), "the state that a reset would hand over").toBe("19");
		},
	),

	check(6, "a scope that keeps no log has none; its revisions and signals are as ever", async (trial) => {
		const client = await trial.client();
		client.keep = { changes: { count: 0, age: 0 }, events: { count: 0, age: 0 } };
		const ear = await client.watch();
		const { revision } = await client.apply(put("a", 1), emit("tick", 1));
		expect(await client.log(), "its log").toMatchObject({ records: [], head: revision, more: false });
		expect((await client.log(0, { of: "events" })).records, "its events").toEqual([]);
		expect(resumes(await client.log(revision), revision, "changes"), "its head holds").toBe(true);
		await client.apply(put("a", 2));
		expect(resumes(await client.log(revision), revision, "changes"), "an older revision").toBe(false);
		await trial.eventually("watchers are signalled", () => expect(ear.signals).not.toEqual([]));
		client.keep = usualRetention;
		const { revision: kept } = await client.apply(put("a", 3));
		expect(revisionsOf((await client.log()).records), "the log once it is kept").toEqual([kept]);
	}),

	check(
		6,
		"a log keeps nothing that is older than it is told",
		async (trial) => {
			const client = await trial.client();
			client.keep = { changes: { count: 1000, age: 60_000 }, events: { count: 1000, age: 600_000 } };
			const { revision: old } = await client.apply(put("a", 1), emit("tick", 1));
			await trial.advance(90_000);
			const { revision } = await client.apply(put("a", 2), emit("tick", 2));
			expect(revisionsOf((await client.log()).records), "changes").toEqual([revision]);
			expect(resumes(await client.log(0), 0, "changes"), "whether the start holds").toBe(false);
			expect(revisionsOf((await client.log(0, { of: "events" })).records), "events").toEqual([old, revision]);
			await trial.advance(600_000);
			await client.apply(put("b", 1));
			const events = await client.log(0, { of: "events" });
			expect(events, "events").toMatchObject({ records: [], head: revision });
			expect(resumes(events, old, "events"), "whether a cursor behind lost events holds").toBe(false);
			expect(resumes(events, revision, "events"), "whether one after them does").toBe(true);
		},
		"advance",
	),

	check(6, "who watches is signalled of each commit, by whichever handle it came", async (trial) => {
		const writers = [await trial.client(), await trial.client()];
		const watchers = [await trial.client(), ...writers];
		const ears = await Promise.all(watchers.map((watcher) => watcher.watch()));
		for (let i = 0; i < 10; i++) {
			const heard = ears.map(({ signals }) => signals.length);
			await pick(seeded(i), writers).apply(put("a", i));
			for (const [j, ear] of ears.entries())
				await trial.eventually(`watcher ${j} is signalled of commit ${i}`, () =>
					expect(ear.signals.length).toBeGreaterThan(heard[j] ?? 0),
				);
		}
		const logged = new Map(
			(await (writers[0] as Client).log()).records.map((record) => [record.revision, shown(record)]),
		);
		for (const ear of ears)
			for (const record of ear.records)
				expect(shown(record), "a record as it was pushed").toEqual(logged.get(record.revision));
	}),

	check(6, "who stopped watching hears nothing more, and stopping twice is no harm", async (trial) => {
		const client = await trial.client();
		const [gone, still] = [await client.watch(), await client.watch()];
		gone.stop();
		gone.stop();
		await client.apply(put("a", 1));
		await trial.eventually("the other watcher is signalled", () => expect(still.signals).not.toEqual([]));
		expect(gone.signals).toEqual([]);
	}),

	check(6, "a scope that was dropped has neither entries nor logs, and tells who watches", async (trial) => {
		const client = await trial.client();
		await client.apply(put("a", 1, 600_000), emit("tick", 1));
		const { revision } = await client.apply(put("b", 1));
		const ear = await (await trial.client()).watch();
		await client.backend.drop(client.scope);
		await trial.eventually("who watches is signalled", () => expect(ear.signals).not.toEqual([]));
		expect(await client.read("a", "b")).toMatchObject({ head: 0, next: null, entries: [null, null] });
		expect(await client.list()).toEqual([]);
		expect(await client.log()).toMatchObject({ records: [], head: 0 });
		expect(await client.log(0, { of: "events" })).toMatchObject({ records: [], head: 0 });
		expect(resumes(await client.log(revision), revision, "changes"), "whether an old cursor holds").toBe(
			false,
		);
		expect((await client.backend.scopes({ prefix: client.scope, after: null, limit: 10 })).scopes).toEqual(
			[],
		);
		await client.backend.drop(client.scope);
		const born = await client.apply(put("c", 1));
		expect(born.revision, "revisions go on above what the writer saw").toBeGreaterThan(revision);
		expect((await client.log()).records.map(({ previous }) => previous)).toEqual([0]);
		expect(resumes(await client.log(revision), revision, "changes"), "an old cursor in the next life").toBe(
			false,
		);
	}),

	check(
		6,
		"no cursor of before holds in a store that lost everything, nor one of a lost end in a store that came back older",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("a", 1));
			const { revision: kept } = await client.apply(put("a", 2));
			const restore = await trial.harness.save?.();
			const lost: number[] = [];
			for (let i = 0; i < 5; i++) lost.push((await client.apply(put("a", i))).revision);
			await restore?.();
			const other = await trial.client();
			const went: number[] = [];
			for (let i = 0; i < 5; i++) went.push((await other.apply(put("a", -i))).revision);
			expect(resumes(await other.log(kept), kept, "changes"), "a cursor that both histories share").toBe(
				true,
			);
			// By chance, a step apart, the two histories may share a number: then what follows it is what tells.
			for (const cursor of lost.filter((revision) => !went.includes(revision)))
				expect(resumes(await other.log(cursor), cursor, "changes"), `lost cursor ${cursor}`).toBe(false);
		},
		"save",
	),

	check(
		6,
		"followers that come and go, over four handles, end with the same state and tell it the same way",
		async (trial) => {
			const writers = await Promise.all(Array.from({ length: 4 }, () => trial.client()));
			const followers = await Promise.all(
				Array.from({ length: 4 }, async (_, i) => new Follower(await trial.client(), 3 + i)),
			);
			let running = true;
			const writing = Promise.all(
				writers.map(async (writer, i) => {
					for (let j = 0; j < 25; j++) {
						await writer.apply(
							put(`k${(i * 7 + j) % 9}`, `${i}.${j}`),
							...(j % 5 === 0 ? [remove(`k9${i}`)] : []),
						);
						if (j % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
					}
				}),
			).finally(() => {
				running = false;
			});
			const following = followers.map(async (follower) => {
				while (running) {
					await follower.follow();
					await new Promise((resolve) => setTimeout(resolve, 0));
				}
				await follower.follow();
			});
			await Promise.all([writing, ...following]);
			const [{ state, records }] = followers as [Follower];
			expect(records).toHaveLength(100);
			for (const follower of followers) {
				expect(follower.resets, "resets without a reason").toBe(0);
				expect(follower.state).toEqual(state);
				expect(revisionsOf(follower.records)).toEqual(revisionsOf(records));
			}
			const listed = await (writers[0] as Client).list();
			expect(new Map(listed.map(({ key, value }) => [key, value.text]))).toEqual(state);
		},
	),
];
