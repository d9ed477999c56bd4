/** Logs whose rows hold several records each: pages that begin and end in the middle of one, and how much is kept. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogPage } from "@holdfast/core";
import { resumes } from "@holdfast/core";
import { Client, emit, put } from "@holdfast/core/testing";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { openSqlite } from "./drivers.js";
import { languageOf } from "./engines.js";
import { readLog } from "./read.js";
import { sql } from "./sql.js";
import { sqliteEngine } from "./sqlite-engine.js";
import type { Bound, Row, Steps } from "./statement.js";

// Far more than a test takes.
const age = 3_600_000;

/** A writer of a new scope in memory, and what puts its clock forward. */
function open() {
	let offset = 0;
	const backend = sql("sqlite::memory:", { clockOffset: () => offset });
	onTestFinished(() => backend.close());
	let scopes = 0;
	return {
		client: () => new Client(backend, `default/room/${++scopes}`),
		advance: (ms: number) => {
			offset += ms;
		},
	};
}

const revisions = ({ records }: LogPage): number[] => records.map(({ revision }) => revision);

test("a page after any cursor has what follows it, as many as were asked for", async () => {
	const { client: newClient } = open();
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 150 }), { minLength: 1, maxLength: 4 }),
			fc.infiniteStream(fc.nat({ max: 999_999 })),
			async (batches, draws) => {
				const client = newClient();
				const logs: Record<"changes" | "events", number[]> = { changes: [], events: [] };
				for (const batch of batches) {
					const outcomes = await client.commit(
						...batch.map((tells, i) => [tells ? emit("told", i) : put(`k/${i % 7}`, i)]),
					);
					for (const [i, outcome] of outcomes.entries()) {
						if (!outcome.ok) throw new Error("refused");
						logs.changes.push(outcome.revision);
						if (batch[i]) logs.events.push(outcome.revision);
					}
				}
				const draw = (below: number): number => (draws.next().value as number) % below;
				for (let tries = 0; tries < 12; tries++) {
					const of = tries % 3 === 0 ? "events" : "changes";
					const all = logs[of];
					const cursor = [0, ...logs.changes][draw(logs.changes.length + 1)] as number;
					const limit = 1 + draw(tries % 2 === 0 ? 5 : 500);
					const rest = all.filter((revision) => revision > cursor);
					const page = await client.log(cursor, { of, limit });
					expect(revisions(page)).toEqual(rest.slice(0, limit));
					expect(page.more).toBe(rest.length > limit);
					expect(resumes(page, cursor, of)).toBe(true);
					const newest = await client.log(cursor, { of, limit, newest: true });
					expect(revisions(newest)).toEqual(rest.slice(-limit));
					expect(newest.more).toBe(false);
				}
				// By bytes: each page has something, and goes on from the one before.
				const told: number[] = [];
				for (let more = true; more; ) {
					const cursor = told.at(-1) ?? 0;
					const page = await client.log(cursor, { bytes: 1 + draw(4000) });
					expect(page.records).not.toHaveLength(0);
					expect(resumes(page, cursor, "changes")).toBe(true);
					told.push(...revisions(page));
					more = page.more;
				}
				expect(told).toEqual(logs.changes);
			},
		),
		{ numRuns: 25 },
	);
});

test("as many records as are kept are there, and little more, however many come at once", async () => {
	const { client: newClient } = open();
	await fc.assert(
		fc.asyncProperty(
			fc.array(
				fc.record({
					// Some come alone, and some are more than are kept.
					size: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 100, max: 300 })),
					tells: fc.boolean(),
					count: fc.constantFrom(undefined, undefined, undefined, 0, 1, 3, 8, 20, 100, 200),
				}),
				{ minLength: 1, maxLength: 12 },
			),
			async (batches) => {
				const client = newClient();
				const made = { changes: 0, events: 0 };
				let row = 1;
				for (const { size, tells, count = client.keep.changes.count } of batches) {
					if (count !== client.keep.changes.count) {
						client.keep = { changes: { count, age }, events: { count, age } };
						// What was not kept before does not come back.
						const there = async (of: "changes" | "events") => (await client.log(0, { of })).records.length;
						made.changes = Math.min(made.changes, await there("changes"));
						made.events = Math.min(made.events, await there("events"));
					}
					row = Math.max(row, Math.min(64, count / 8));
					await client.commit(
						...Array.from({ length: size }, (_, i) => [tells ? emit("t", i) : put("k", i)]),
					);
					made.changes += size;
					if (tells) made.events += size;
					for (const of of ["changes", "events"] as const) {
						// A log is trimmed when something is added to it.
						if (of === "events" && !tells) continue;
						const { length } = (await client.log(0, { of })).records;
						expect(length).toBeGreaterThanOrEqual(Math.min(count, made[of]));
						expect(length).toBeLessThanOrEqual(count + Math.min(64, Math.floor(count / 64)) + row);
					}
				}
			},
		),
		{ numRuns: 40 },
	);
});

test("what is past its age goes by rows, and is out of sight at once", async () => {
	const { client: newClient, advance } = open();
	const client = newClient();
	client.keep = { changes: { count: 1000, age }, events: { count: 1000, age } };
	const batch = async (): Promise<void> =>
		void (await client.commit(...Array.from({ length: 100 }, (_, i) => [put("k", i)])));
	await batch();
	advance(0.8 * age);
	await batch();
	expect((await client.log()).records).toHaveLength(200);
	advance(0.8 * age);
	expect((await client.log()).records).toHaveLength(100);
	expect((await client.log(0, { newest: true })).records).toHaveLength(100);
	await client.apply(put("k", "new"));
	expect((await client.log()).records).toHaveLength(101);
	advance(2 * age);
	expect((await client.log()).records).toEqual([]);
	await client.apply(put("k", "last"));
	expect((await client.log()).records).toHaveLength(1);
});

test("a log that is trimmed while a page is read ends the page, and the next one is a reset", async () => {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const file = join(folder, "state.db");
	const backend = sql(`sqlite:${file}`, { driver: "better-sqlite3" });
	const client = new Client(backend, "default/room/trimmed");
	client.keep = { changes: { count: 200, age }, events: { count: 200, age } };
	for (let i = 0; i < 150; i++) await client.apply(put("k", i));
	const database = await openSqlite(file, "better-sqlite3");
	onTestFinished(async () => {
		database.close();
		await backend.close();
	});
	const query = { of: "changes", limit: 1000, bytes: 2 ** 20 } as const;
	const steps: Steps<LogPage> = readLog(languageOf(sqliteEngine, {}), client.scope, 0, query, 0);
	let asked = 0;
	let answers: readonly (readonly Row[])[] = [];
	let page: LogPage | undefined;
	while (page === undefined) {
		const step = steps.next(answers);
		if (step.done) page = step.value;
		else {
			if (asked++ === 1)
				for (let n = 0; n < 3; n++)
					await client.commit(...Array.from({ length: 75 }, (_, i) => [put("k", i)]));
			answers = step.value.map(({ text, values }) => database.prepare(text).all(values as Bound[]) as Row[]);
		}
	}
	expect(asked).toBe(2);
	expect(page.more).toBe(true);
	expect(page.records).toHaveLength(64);
	expect(page.records[0]?.previous).toBe(0);
	const cursor = page.records.at(-1)?.revision as number;
	expect(resumes(await client.log(cursor), cursor, "changes")).toBe(false);
});
