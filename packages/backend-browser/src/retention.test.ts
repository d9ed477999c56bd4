/** What a store of rows lets go of: reads show nothing past retention either way, so only the rows tell. */
import { type Batch, type BatchAnswer, givenValue, type Mutation } from "@holdfast/core";
import { TestClock } from "@holdfast/core/testing";
import { expect, onTestFinished, test } from "vitest";
import type { LogRow } from "./records.js";
import { Room } from "./room.js";
import { RowBackend } from "./row-backend.js";
import type { ScopeRow } from "./scope-row.js";
import { SessionStore } from "./session-store.js";

const minute = 60_000;
const scope = "a/1";

/** Rows that remember writers, as where an answer can get lost. */
class Rows extends SessionStore {
	override readonly losesAnswers = true;
}

function openStore(count: number) {
	const room = new Room();
	const clock = new TestClock();
	const backend = new RowBackend({
		traits: { reach: "device", durable: true },
		clock,
		open: () => ({ rows: new Rows(room, "p "), channel: crypto.randomUUID() }),
	});
	onTestFinished(() => backend.close());
	const rows = <T>(table: string): T[] =>
		[...room.items].filter(([item]) => item.startsWith(`p ${table} `)).map(([, text]) => JSON.parse(text));
	const records = (table: "l" | "v"): number => rows<LogRow>(table).reduce((sum, row) => sum + row.count, 0);
	let writer = crypto.randomUUID();
	let sequence = 0;
	let last: Batch | undefined;
	const send = async (batch: Batch): Promise<BatchAnswer> => {
		last = batch;
		const [answer] = await Promise.all(backend.commit([batch]));
		return answer as BatchAnswer;
	};
	const commit = async (...commits: readonly (readonly Mutation[])[]): Promise<BatchAnswer> => {
		sequence++;
		return send({
			scope,
			writer,
			sequence,
			until: clock.now() + minute,
			floor: 0,
			step: 1,
			commits: commits.map((mutations, i) => ({ id: `${sequence} ${i}`, do: mutations })),
			keep: { changes: { count, age: 10 * minute }, events: { count: count / 2, age: 20 * minute } },
		});
	};
	return {
		clock,
		rows,
		records,
		commit,
		/** Sends the last batch again, as where its answer was lost. */
		again: () => send(last as Batch),
		/** From here on it is another manager that writes. */
		change: () => {
			writer = crypto.randomUUID();
		},
		row: () => rows<ScopeRow>("m")[0],
		tidy: () => backend.scopes({ prefix: "", after: null, limit: 10, due: true }),
		drop: () => backend.drop(scope),
	};
}

const put = (key: string, text: string): Mutation => ({ op: "put", key, value: givenValue(text), ttl: null });
const fact: Mutation = { op: "emit", type: "done", payload: givenValue(1) };
const long = "x".repeat(700);

test("logs let go of records beyond their count, a little late", async () => {
	const { commit, records, row, rows } = openStore(32);
	for (let i = 0; i < 100; i++) await commit([put("k", long), fact]);
	// A sixteenth more before it is trimmed, and up to three commits in a row.
	const changes = records("l") + (row()?.tail?.count ?? 0);
	expect(changes).toBeGreaterThanOrEqual(32);
	expect(changes).toBeLessThanOrEqual(32 + 2 + 3);
	expect(records("v")).toBeGreaterThanOrEqual(16);
	expect(records("v")).toBeLessThanOrEqual(16 + 1);
	expect(row()).toMatchObject({ changes: { total: 100 }, events: { total: 100 } });
	// What has gone is what was oldest.
	expect(rows<LogRow>("v").map(({ at }) => at)).toContain(99);
	const [first = 0] = rows<LogRow>("l").map(({ at }) => at);
	expect(first).toBe(100 - changes);
});

test("a log that keeps few records stays in its scope's row until they are many", async () => {
	const { commit, row, rows } = openStore(32);
	for (let i = 0; i < 3; i++) await commit([put("k", "short")]);
	expect([rows("l"), row()?.tail?.count]).toEqual([[], 3]);
	await commit([put("k", long.repeat(4))]);
	expect([rows<LogRow>("l").map(({ at, count }) => [at, count]), row()?.tail]).toEqual([[[0, 4]], null]);
});

test("what is past its age goes though nobody writes, what waits in the scope's row too", async () => {
	const { clock, commit, records, row, tidy } = openStore(1000);
	for (let i = 0; i < 10; i++) await commit([put("k", long), fact]);
	expect([records("l") + (row()?.tail?.count ?? 0), records("v")]).toEqual([10, 10]);
	clock.jump(5 * minute);
	await tidy();
	expect([records("l") + (row()?.tail?.count ?? 0), records("v")]).toEqual([10, 10]);
	clock.jump(6 * minute);
	await tidy();
	expect([records("l"), row()?.tail, records("v")]).toEqual([0, null, 10]);
	expect(row()?.changes).toEqual({ total: 10, first: 10, oldest: null });
	// Beyond its age by the sixteenth at which it is trimmed.
	clock.jump(12 * minute);
	await tidy();
	expect([records("v"), row()?.events.oldest, row()?.tidyAt]).toEqual([0, null, null]);
});

test("a log begins with what is left of it", async () => {
	const { clock, commit, row, tidy } = openStore(32);
	// In one row, which stays as long as any of it is within the count.
	await commit(...Array.from({ length: 40 }, () => [put("k", long)]));
	expect(row()?.changes).toMatchObject({ total: 40, first: 8 });
	clock.jump(9 * minute);
	await commit([put("k", long.repeat(4)), fact]);
	clock.jump(2 * minute);
	await tidy();
	expect(row()?.changes).toMatchObject({ total: 41, first: 40 });
	// What is written right now has no row yet, and may stay without one.
	clock.jump(20 * minute);
	await commit([put("k", long.repeat(4))]);
	expect(row()?.changes).toMatchObject({ total: 42, first: 41, oldest: expect.any(Number) });
	clock.jump(20 * minute);
	await commit([put("k", "short")]);
	expect(row()).toMatchObject({
		changes: { total: 43, first: 42, oldest: expect.any(Number) },
		events: { total: 1, first: 1, oldest: null },
	});
});

test("what is over its log's count at once leaves no trace but the count", async () => {
	const { commit, row, rows } = openStore(4);
	for (const text of ["first", "second"]) await commit([put("k", text)]);
	const { outcomes } = await commit(
		...Array.from({ length: 10 }, (_, i) => [put(`k${i}`, "v"), ...(i % 5 === 0 ? [fact] : [])]),
	);
	expect(row()).toMatchObject({
		changes: { total: 12 },
		tail: { at: 8, count: 4 },
		// Of what went before this, entries have their rows.
		trimmed: outcomes[5]?.ok === true && outcomes[5].revision,
		events: { total: 2 },
	});
	const [facts] = rows<LogRow>("v");
	expect([facts?.count, JSON.parse(facts?.text ?? "").length], "none without a fact").toEqual([2, 2]);
});

test("more rows than one transaction takes go in several", async () => {
	const { clock, commit, records, row, tidy } = openStore(2000);
	await commit([put("k", "v")]);
	for (let i = 0; i < 502; i++) await commit([fact]);
	clock.jump(30 * minute);
	await tidy();
	expect([records("v"), row()?.events]).toEqual([2, { total: 502, first: 500, oldest: expect.any(Number) }]);
	clock.jump(2 * minute);
	await tidy();
	expect([records("v"), row()?.events.oldest]).toEqual([0, null]);
});

test("a long answer is given again, of a row of its own, until its writer asks for something else or its time is over", async () => {
	const { again, change, clock, commit, row, rows, tidy } = openStore(1000);
	const many = Array.from({ length: 100 }, (_, i) => [put(`k${i}`, "v")]);
	const answer = await commit(...many);
	expect([Object.keys(row()?.writers ?? {}).length, rows("w").length]).toEqual([1, 1]);
	expect(await again()).toEqual(answer);
	expect(await commit([put("k", "v")])).toEqual(await again());
	expect(rows("w"), "another answer, which is short").toEqual([]);
	await commit(...many);
	change();
	await commit([put("k", "v")]);
	expect([Object.keys(row()?.writers ?? {}).length, rows("w").length]).toEqual([2, 1]);
	clock.jump(2 * minute);
	await commit(...many);
	expect(
		[Object.keys(row()?.writers ?? {}).length, rows("w").length],
		"the other one's time is over",
	).toEqual([1, 1]);
	clock.jump(11 * minute);
	await tidy();
	expect([row()?.writers, rows("w").length, rows("e").length]).toEqual([{}, 0, 101]);
});

test.each(["deleted", "dropped"])(
	"a scope goes once all of it was %s, and nobody may ask for its answers",
	async (how) => {
		const { clock, commit, drop, row, rows, tidy } = openStore(0);
		await commit([put("k", "v")]);
		if (how === "dropped") await drop();
		else await commit([{ op: "delete", key: "k" }]);
		expect([row()?.tail, rows("l"), rows("e")]).toEqual([null, [], []]);
		await tidy();
		expect(row()).toBeDefined();
		clock.jump(2 * minute);
		await tidy();
		clock.jump(2 * minute);
		await tidy();
		expect(rows("m")).toEqual([]);
	},
);
