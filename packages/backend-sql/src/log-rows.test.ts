/** What a batch adds to a log comes back as it was, however it is split into rows. */
import { type Change, type LogRecord, storedValue } from "@holdfast/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { logColumns, logRows, parseRecords } from "./log-rows.js";
import type { Row } from "./statement.js";

const age = Number.POSITIVE_INFINITY;
const keeping = (count: number) => ({ changes: { count, age }, events: { count, age } });

const rowOf = (values: readonly unknown[]): Row =>
	Object.fromEntries(logColumns.map((column, i) => [column, values[i]]));

const anyText = fc.string({ unit: "binary", maxLength: 12 });
const anyJson = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)));
const anyValue = fc.oneof(
	anyText,
	fc.constantFrom("-0", '{"b":1,"a":1e400}', "x".repeat(5000), "x".repeat(9000)),
);
const anyChange = fc.oneof(
	fc.record({ type: fc.constantFrom("delete", "expire"), key: anyText }),
	fc.record({
		key: anyText,
		value: anyValue,
		isNew: fc.boolean(),
		expiresAt: fc.option(fc.integer({ min: 0, max: 2e12 })),
	}),
);
const anyDraft = fc.record({
	step: fc.integer({ min: 1, max: 4096 }),
	id: fc.option(fc.oneof(anyText, fc.constantFrom("me.7", "me.", ".7", "me.7.8", "undefined.7"))),
	origin: fc.option(fc.oneof(fc.constant("me"), anyText), { nil: undefined }),
	metadata: fc.option(anyJson, { nil: undefined }),
	quiet: fc.boolean(),
	changes: fc.array(anyChange, { maxLength: 3 }),
	events: fc.array(fc.record({ type: anyText, payload: anyValue }), { maxLength: 1 }),
});

/** A chain of records, as one batch makes it. */
function chainOf(
	drafts: readonly (typeof anyDraft extends fc.Arbitrary<infer T> ? T : never)[],
	head: number,
	eventsHead: number,
): LogRecord[] {
	let previous = head;
	let previousEvents = eventsHead;
	return drafts.map(({ step, id, origin, metadata, quiet, changes, events }) => {
		const revision = previous + step;
		const record: LogRecord = {
			revision,
			previous,
			previousEvents,
			id: id ?? `${origin}.${revision}`,
			time: 1.7e12,
			origin,
			metadata,
			quiet,
			changes: changes.map((change): Change => {
				if ("type" in change)
					return { type: change.type as "delete" | "expire", key: change.key, entry: null };
				const { key, value, isNew, expiresAt } = change;
				const createdRevision = isNew ? revision : 1;
				const entry = { key, value: storedValue(value), revision, createdRevision, expiresAt, metadata };
				return { type: "set", key, entry };
			}),
			events: events.map(({ type, payload }) => ({ type, payload: storedValue(payload) })),
		};
		previous = revision;
		if (events.length > 0) previousEvents = revision;
		return record;
	});
}

test("the newest records that are kept, in few rows, which tell all of them", () => {
	fc.assert(
		fc.property(
			fc.array(anyDraft, { maxLength: 40 }),
			fc.constantFrom(0, 1, 2, 17, 100, 10_000, Number.POSITIVE_INFINITY),
			fc.constantFrom(0, 1.75e15),
			(drafts, count, head) => {
				const records = chainOf(drafts, head, head / 2);
				for (const of of ["changes", "events"] as const) {
					const logged = of === "changes" ? records : records.filter(({ events }) => events.length > 0);
					const total = 1000 + logged.length;
					const scope = { id: 7, keep: keeping(count), changesTotal: total, eventsTotal: total };
					const rows = logRows(of, scope, records).map(rowOf);
					const held = rows.map(parseRecords);
					expect(held.flat()).toEqual(count === 0 ? [] : logged.slice(-count));
					let ordinal = total - held.flat().length;
					for (const [i, of] of held.entries()) {
						ordinal += of.length;
						const [first, last] = [of[0] as LogRecord, of.at(-1) as LogRecord];
						expect(rows[i]).toMatchObject({
							scope_id: 7,
							revision: last.revision,
							previous: first.previous,
							previous_events: first.previousEvents,
							time: 1.7e12,
							total: ordinal,
						});
						expect(of.length).toBeLessThanOrEqual(Math.max(1, Math.min(64, count / 8)));
						if (of.length > 1) expect(String(rows[i]?.records).length).toBeLessThan(8000);
					}
				}
			},
		),
		{ numRuns: 200 },
	);
});

test("what is usual is short", () => {
	const value = storedValue('{"price":1}');
	const record = (previous: number, revision: number): LogRecord => ({
		revision,
		previous,
		previousEvents: 0,
		id: revision === 5 ? "me.5" : "me.2",
		time: 9,
		origin: "me",
		metadata: undefined,
		quiet: false,
		changes: [
			{
				type: "set",
				key: "k",
				entry: {
					key: "k",
					value,
					revision,
					createdRevision: revision,
					expiresAt: null,
					metadata: undefined,
				},
			},
		],
		events: [],
	});
	const change = '{"type":"set","key":"k","value":"{\\"price\\":1}"}';
	expect(
		logRows("changes", { id: 1, keep: keeping(100), changesTotal: 2, eventsTotal: 0 }, [
			record(0, 5),
			record(5, 8),
		]),
	).toEqual([
		[
			...[1, 8, 0, 0, 9, 2],
			`[{"revision":5,"origin":"me","changes":[${change}]},{"revision":8,"nth":"2","changes":[${change}]}]`,
		],
	]);
});
