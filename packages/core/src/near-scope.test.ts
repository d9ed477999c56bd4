import { describe, expect, test } from "vitest";
import type { Batch, Entry, LogPage, LogRecord, Mutation, ReadAnswer } from "./backend.js";
import { type NearEntry, NearScope } from "./near-scope.js";
import { Sieve } from "./sieve.js";
import { givenValue } from "./value.js";

const entryOf = (key: string, revision: number, expiresAt: number | null = null): Entry => ({
	key,
	value: givenValue(`${key} of ${revision}`),
	revision,
	createdRevision: revision,
	expiresAt,
	metadata: undefined,
});

const recordOf = (
	revision: number,
	previous: number,
	entries: readonly Entry[] = [],
	time = 0,
): LogRecord => ({
	revision,
	previous,
	id: `${revision}`,
	time,
	origin: undefined,
	metadata: undefined,
	quiet: false,
	changes: entries.map((entry) => ({ type: "set", key: entry.key, entry })),
	events: [],
	previousEvents: 0,
});

const answerOf = (
	head: number,
	entries: readonly (Entry | null)[] = [],
	{ now = 1000, next = null as number | null } = {},
): ReadAnswer => ({ head, now, next, entries });

const pageOf = (head: number, records: readonly LogRecord[], more = false): LogPage => ({
	records,
	more,
	head,
	now: 1000,
});

const batchOf = (...mutations: readonly Mutation[]): Batch => ({
	scope: "a/shared",
	writer: "w",
	sequence: 1,
	until: 0,
	floor: 0,
	step: 1,
	commits: [{ id: "c", do: mutations }],
	keep: { changes: { count: 1, age: 1 }, events: { count: 1, age: 1 } },
});

/** A scope of which `a` is known, written and confirmed at revision 10, at 1000 by the store's clock. */
function known(room = 100) {
	const near: NearScope = new NearScope(
		new Sieve<NearEntry>(room, Number.POSITIVE_INFINITY, (entry) => entry.near.forget(entry)),
	);
	const read = (
		keys: readonly string[],
		answer: ReadAnswer,
		{ asked = near.ask(), at = 0 }: { asked?: ReturnType<NearScope["ask"]>; at?: number } = {},
	): void => near.answered(asked, keys, answer, at);
	const push = (...records: readonly LogRecord[]): void => near.hear({ type: "records", records });
	/** The revisions of entries, as they are believed; nothing if they are not. */
	const look = (keys: readonly string[], now = 1000, maxAge = 1000) =>
		near.look(keys, maxAge, now)?.entries.map((entry) => entry?.revision ?? null);
	read(["a"], answerOf(10, [entryOf("a", 10)]));
	expect(look(["a"])).toEqual([10]);
	return { near, read, push, look };
}

describe("time", () => {
	test("a confirmation is believed for maxAge, and a push is one", () => {
		const { near, push, look } = known();
		expect([look(["a"], 1010, 10), look(["a"], 1011, 10)]).toEqual([[10], undefined]);
		push(recordOf(11, 10, [], 5000));
		expect([look(["a"], 5010, 10), look(["a"], 5011, 10)]).toEqual([[10], undefined]);
		// Unless something may not have been heard.
		near.doubt();
		push(recordOf(12, 11, [], 9000));
		expect(look(["a"], 9000, 10)).toBeUndefined();
	});

	test("nothing is believed from a deadline on, the scope's or an entry's, of an answer or of a push", () => {
		const { read, push, look } = known();
		read(["b"], answerOf(10, [entryOf("b", 10, 1500)], { next: 1800 }));
		expect([look(["b"], 1499), look(["b"], 1500), look(["a"], 1799), look(["a"], 1800)]).toEqual([
			[10],
			undefined,
			[10],
			undefined,
		]);
		push(recordOf(11, 10, [entryOf("c", 11, 1700)]), recordOf(12, 11, [entryOf("d", 12, 1900)]));
		expect([look(["a"], 1699), look(["a"], 1700)]).toEqual([[10], undefined]);
	});
});

describe("what is held", () => {
	test("is what was looked at lately", () => {
		const { read, look } = known(2);
		read(["b"], answerOf(10, [null]));
		look(["a"]);
		read(["c"], answerOf(10, [null]));
		expect([look(["a"]), look(["b"]), look(["c"])]).toEqual([[10], undefined, [null]]);
	});

	test("is of one instant, also where an answer was ahead of the pushes", () => {
		const { read, push, look } = known();
		read(["b"], answerOf(12, [entryOf("b", 12)]));
		expect(look(["a"])).toBeUndefined();
		push(recordOf(12, 10, [entryOf("b", 12)]));
		expect(look(["a", "b"])).toEqual([10, 12]);
	});

	test("is nothing once it was cleared", () => {
		const { near, read, look } = known();
		near.clear();
		expect(look([])).toBeUndefined();
		read([], answerOf(10));
		expect([look([]), look(["a"])]).toEqual([[], undefined]);
	});

	test("goes where the pushes up to an answer don't come", () => {
		const { read, look } = known();
		for (const at of [0, 250]) {
			read(["b"], answerOf(12, [entryOf("b", 12)]), { at });
			expect(look(["b"])).toBeUndefined();
		}
		read(["b"], answerOf(12, [entryOf("b", 12)]), { at: 251 });
		expect([look(["b"]), look(["a"])]).toEqual([[12], undefined]);
	});

	test("stays where a read confirms it after a doubt, and where an own write is pushed", () => {
		const { near, read, push, look } = known();
		near.doubt();
		expect(look(["a"])).toBeUndefined();
		read(["b"], answerOf(10, [null]));
		expect(look(["a", "b"])).toEqual([10, null]);
		near.committed(near.ask(), batchOf({ op: "put", key: "a", value: givenValue(1), ttl: null }), 11);
		expect(look(["a"])).toBeUndefined();
		push(recordOf(11, 10, [entryOf("a", 11)]));
		expect(look(["a"])).toEqual([11]);
	});

	test("is not believed with a touch of this process that an answer may have missed", () => {
		const { near, read, look } = known();
		const asked = near.ask();
		const touches = ["a", "unknown", null].map((key): Mutation => ({ op: "touch", key, ttl: 1000 }));
		near.committed(near.ask(), batchOf(...touches), 10);
		expect(look(["a"])).toBeUndefined();
		read(["a"], answerOf(10, [entryOf("a", 10, 1500)]), { asked });
		expect(look(["a"])).toBeUndefined();
		read(["a"], answerOf(10, [entryOf("a", 10, 2000)]));
		expect(look(["a"], 1600)).toEqual([10]);
	});
});

describe("a gap", () => {
	test("and a birth end all that was held", () => {
		for (const previous of [11, 0]) {
			const { read, push, look } = known();
			push(recordOf(12, previous));
			read([], answerOf(12));
			expect([look([]), look(["a"])]).toEqual([[], undefined]);
		}
	});

	test("a time without signals is one, whatever comes after it", () => {
		const { near, read, push, look } = known();
		near.hear({ type: "lost" });
		read([], answerOf(10));
		expect(look(["a"])).toBeUndefined();
		push(recordOf(11, 10));
		expect(look(["a"])).toBeUndefined();
		read([], answerOf(11));
		expect(look(["a"])).toEqual([10]);
	});

	test("is closed by a page of the log, for which answers wait", () => {
		const { near, read, look } = known();
		near.hear({ type: "wake" });
		expect(look(["a"])).toBeUndefined();
		const take = near.page(10);
		read(["b"], answerOf(12, [entryOf("b", 12)]));
		take(pageOf(12, [recordOf(12, 10, [entryOf("b", 12)])]));
		expect(look(["a", "b"])).toEqual([10, 12]);
	});

	test("is not closed by a page that is not the last, was asked before, failed, or begins too late", () => {
		const more = known();
		more.near.doubt();
		more.near.page(10)(pageOf(11, [recordOf(11, 10)], true));
		expect(more.look(["a"])).toBeUndefined();

		const before = known();
		const take = before.near.page(10);
		before.near.doubt();
		take(pageOf(10, []));
		expect(before.look(["a"])).toBeUndefined();

		const failed = known();
		failed.near.doubt();
		failed.near.page(10)(undefined);
		failed.read(["b"], answerOf(12, [null]));
		expect([failed.look(["b"]), failed.look(["a"])]).toEqual([[null], undefined]);

		const late = known();
		late.near.page(11)(pageOf(12, [recordOf(12, 11)]));
		expect(late.look(["a"]), "12 was seen").toBeUndefined();
		late.near.doubt();
		late.near.page(11)(pageOf(12, [recordOf(12, 11)]));
		late.push(recordOf(11, 10), recordOf(12, 11));
		expect(late.look(["a"])).toBeUndefined();
		late.read([], answerOf(12));
		expect(late.look(["a"])).toEqual([10]);
	});
});

describe("a store that went back", () => {
	test("is believed as it is now, and what was asked of it before is not", () => {
		const { near, read, push, look } = known();
		const asked = near.ask();
		read(["b"], answerOf(5, [entryOf("b", 5)]));
		expect([look(["b"]), look(["a"])]).toEqual([[5], undefined]);
		read(["a"], answerOf(10, [entryOf("a", 10)]), { asked });
		push(recordOf(12, 5));
		expect([look(["b"]), look(["a"])]).toEqual([[5], undefined]);
	});

	test("is suspected where an answer has less than was seen before it was asked, whatever was pushed since", () => {
		const { near, read, push, look } = known();
		const asked = near.ask();
		push(recordOf(12, 10));
		read([], answerOf(10), { asked });
		expect(look(["a"]), "older, as answers may be").toEqual([10]);
		read(["b"], answerOf(5, [entryOf("b", 5)]), { asked });
		expect([look(["a"]), look(["b"])]).toEqual([undefined, undefined]);

		const listed = known();
		listed.near.saw(listed.near.ask(), 10);
		expect(listed.look(["a"])).toEqual([10]);
		listed.near.saw(listed.near.ask(), 5);
		expect(listed.look(["a"])).toBeUndefined();
	});

	test("is suspected where a scope is absent that was born meanwhile", () => {
		const { near, read, push, look } = known();
		near.clear();
		const before = near.ask();
		push(recordOf(12, 0));
		const after = near.ask();
		read([], answerOf(0), { asked: before });
		read(["a"], answerOf(12, [entryOf("a", 12)]), { asked: after });
		expect(look(["a"])).toBeUndefined();
		read(["a"], answerOf(12, [entryOf("a", 12)]));
		expect(look(["a"])).toEqual([12]);
	});
});
