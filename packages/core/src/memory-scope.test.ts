import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import type { Commit, Entry, EventFact, LogQuery } from "./backend.js";
import { Heap } from "./heap.js";
import { spanUnder } from "./key.js";
import { MemoryScope, type MemoryUse } from "./memory-scope.js";
import type { Deed, Written } from "./reducer.js";
import { givenValue } from "./value.js";

const unbounded = (): MemoryUse => ({
	maxEntries: Number.POSITIVE_INFINITY,
	maxBytes: Number.POSITIVE_INFINITY,
	entries: 0,
	bytes: 0,
});
const entryOf = (key: string, expiresAt: number | null = null, data: unknown = key): Entry => ({
	key,
	value: givenValue(data),
	revision: 1,
	createdRevision: 1,
	expiresAt,
	metadata: undefined,
});
const deedOf = (revision: number, events: readonly EventFact[] = [], written: Written = "k"): Deed => [
	{ id: `c${revision}` },
	revision,
	revision,
	written,
	events,
];
const event = { type: "e", payload: givenValue("told") };
const putOf = (key: string, data: unknown): Commit => ({
	id: "c",
	do: [{ op: "put", key, value: givenValue(data), ttl: null }],
});

const key = fc.constantFrom("a", "b", "!/lock/l");
// Few, so that an instant is met again.
const instant = fc.integer({ min: 1, max: 3 });
const step = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ put: key, expiresAt: fc.option(instant) }) },
	{ weight: 2, arbitrary: fc.record({ remove: key }) },
	{ weight: 2, arbitrary: fc.record({ due: instant, limit: fc.integer({ min: 1, max: 3 }) }) },
	{ weight: 1, arbitrary: fc.constant("clear" as const) },
	{ weight: 2, arbitrary: fc.constant("next" as const) },
);

describe("the deadlines of a scope", () => {
	test("are right after any sequence of writes, touches, deletions and questions", () => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
				const scope = new MemoryScope(unbounded());
				const model = new Map<string, number | null>();
				const timed = (): number[] => [...model.values()].filter((at) => at !== null).sort((a, b) => a - b);
				const next = (): number | null => timed()[0] ?? null;
				for (const step of steps) {
					if (step === "next") expect(scope.next()).toBe(next());
					else if (step === "clear") {
						scope.clear();
						model.clear();
					} else if ("put" in step) {
						scope.put(entryOf(step.put, step.expiresAt));
						model.set(step.put, step.expiresAt);
					} else if ("remove" in step) {
						scope.remove(step.remove);
						model.delete(step.remove);
					} else {
						const due = scope.due(step.due, step.limit);
						const expected = timed().filter((at) => at <= step.due);
						expect(due.map(({ expiresAt }) => expiresAt)).toEqual(expected.slice(0, step.limit));
						expect(new Set(due.map(({ key }) => key)).size).toBe(due.length);
						for (const { key, expiresAt } of due) expect(model.get(key)).toBe(expiresAt);
					}
				}
				expect(scope.next()).toBe(next());
				expect(scope.latest("!/lock/")).toBe(model.get("!/lock/l") ?? 0);
			}),
			{ numRuns: 2000 },
		);
	});

	test("take a bounded number of nodes, whatever is rewritten, renewed or deleted", () => {
		const scope = new MemoryScope(unbounded());
		const pushed = vi.spyOn(Heap.prototype, "push");
		scope.put(entryOf("k0", 1_000_000));
		const [heap] = pushed.mock.contexts as [Heap<unknown>];
		pushed.mockRestore();
		let most = 0;
		const step = (i: number): void => {
			scope.put(entryOf(`k${i % 5}`, i % 2 === 0 ? 500_000 - i : 1_000_000));
			if (i % 3 === 0) scope.next();
			if (i % 7 === 0) scope.remove(`k${(i + 2) % 5}`);
		};
		const backAndForth = (i: number): void => {
			scope.put(entryOf("k0", 1 + i));
			scope.put(entryOf("k0", 1_000_000));
			scope.next();
		};
		for (let i = 1; i < 5000; i++) {
			(i < 2500 ? step : backAndForth)(i);
			most = Math.max(most, heap.size);
		}
		expect(most).toBeLessThanOrEqual(2 * 5 + 64);
	});
});

describe("what a scope holds", () => {
	test("is accounted for, and nothing is left of it after clear", () => {
		fc.assert(
			fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
				const use = unbounded();
				const [other, scope] = [new MemoryScope(use), new MemoryScope(use)];
				other.put(entryOf("other"));
				const before = { ...use };
				const held = new Set<string>();
				for (const [i, step] of steps.entries()) {
					if (typeof step === "string") continue;
					if ("put" in step) {
						scope.put(entryOf(step.put, step.expiresAt, "x".repeat(i)));
						scope.note(...deedOf(i, [], entryOf(step.put)));
						held.add(step.put);
					} else if ("remove" in step) {
						scope.remove(step.remove);
						scope.note(...deedOf(i, [event]));
						held.delete(step.remove);
					}
					expect(use.entries).toBe(held.size + 1);
				}
				scope.clear();
				expect(use).toEqual(before);
				expect(scope).toMatchObject({
					isEmpty: true,
					head: 0,
					eventsHead: 0,
					deadline: null,
					seal: undefined,
				});
				expect([...scope.under(spanUnder(""))]).toEqual([]);
			}),
		);
	});

	test("takes the same bytes when it is written again", () => {
		const use = unbounded();
		const scope = new MemoryScope(use);
		scope.put(entryOf("a", null, "long enough"));
		const { bytes } = use;
		scope.put(entryOf("a", 5, "short"));
		expect(use.bytes).toBeLessThan(bytes);
		scope.put(entryOf("a", null, "long enough"));
		expect(use).toMatchObject({ entries: 1, bytes });
	});
});

describe("a store at its bound", () => {
	test("has no room for another entry, but for a new value of one that it has", () => {
		const scope = new MemoryScope({ ...unbounded(), maxEntries: 1 });
		scope.put(entryOf("a"));
		expect(scope.hasRoom(putOf("b", 1))).toBe(false);
		expect(scope.hasRoom(putOf("a", 1))).toBe(true);
		expect(scope.hasRoom({ id: "c", do: [{ op: "delete", key: "a" }] })).toBe(true);
		expect(scope.get("a")).toBeDefined();
	});

	test("lets the log of changes go before it has no room, and evicts no entry and no event", () => {
		const use = { ...unbounded(), maxBytes: 2000 };
		const scope = new MemoryScope(use);
		scope.put(entryOf("a"));
		scope.note(...deedOf(1, [event]));
		scope.note(...deedOf(2));
		const changes = (): number => scope.log(0, { of: "changes", limit: 9, bytes: 1e6 }, 2).records.length;
		expect(scope.hasRoom(putOf("b", "x".repeat(300)))).toBe(true);
		expect(changes()).toBe(2);
		expect(scope.hasRoom(putOf("b", "x".repeat(1100)))).toBe(true);
		expect(changes()).toBeLessThan(2);
		expect(scope.hasRoom(putOf("b", "x".repeat(5000)))).toBe(false);
		expect(changes()).toBe(0);
		expect(scope.get("a")).toBeDefined();
		expect(scope.log(0, { of: "events", limit: 9, bytes: 1e6 }, 2).records).toHaveLength(1);
		expect(use.entries).toBe(1);
	});

	test("still takes what makes it smaller", () => {
		const use = { ...unbounded(), maxBytes: 1000 };
		const scope = new MemoryScope(use);
		scope.put(entryOf("a", null, "x".repeat(2000)));
		expect(scope.hasRoom(putOf("a", "x"))).toBe(true);
		expect(scope.hasRoom(putOf("a", "x".repeat(3000)))).toBe(false);
	});
});

describe("a log", () => {
	const filled = (): MemoryScope => {
		const scope = new MemoryScope(unbounded());
		for (let revision = 1; revision <= 10; revision++) {
			scope.note(...deedOf(revision, revision % 3 === 0 ? [event] : []));
			scope.head = revision;
			if (revision % 3 === 0) scope.eventsHead = revision;
		}
		return scope;
	};
	const page = (scope: MemoryScope, after: number, query: Partial<LogQuery>): [number[], boolean] => {
		const { records, more } = scope.log(after, { of: "changes", limit: 100, bytes: 1e6, ...query }, 10);
		return [records.map(({ revision }) => revision), more];
	};

	test("gives the records after a cursor, paged by count", () => {
		expect(page(filled(), 0, { limit: 3 })).toEqual([[1, 2, 3], true]);
		expect(page(filled(), 7, { limit: 3 })).toEqual([[8, 9, 10], false]);
		expect(page(filled(), 10, {})).toEqual([[], false]);
		expect(page(filled(), 99, {})).toEqual([[], false]);
	});

	test("gives at least one record, and about as many as the bytes allow", () => {
		expect(page(filled(), 0, { bytes: 1 })).toEqual([[1], true]);
		const [some, more] = page(filled(), 0, { bytes: 600 });
		expect(some.length).toBeGreaterThan(1);
		expect(some.length).toBeLessThan(10);
		expect(more).toBe(true);
	});

	test("gives its newest records, in order all the same", () => {
		expect(page(filled(), 0, { limit: 3, newest: true })).toEqual([[8, 9, 10], false]);
		expect(page(filled(), 9, { limit: 3, newest: true })).toEqual([[10], false]);
	});

	test("of events holds the commits with events, and has a head of its own", () => {
		expect(page(filled(), 0, { of: "events" })).toEqual([[3, 6, 9], false]);
		expect(page(filled(), 3, { of: "events", limit: 1 })).toEqual([[6], true]);
		expect(filled().log(0, { of: "events", limit: 1, bytes: 1 }, 10).head).toBe(9);
		expect(filled().log(0, { of: "changes", limit: 1, bytes: 1 }, 10).head).toBe(10);
	});

	test("gives everything once, whatever the pages", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 900 }), (limit, bytes) => {
				const scope = filled();
				const seen: number[] = [];
				for (let more = true; more; ) {
					const [revisions, left] = page(scope, seen.at(-1) ?? 0, { limit, bytes });
					seen.push(...revisions);
					more = left;
				}
				expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
			}),
		);
	});

	test("keeps the newest of each kind, as many as its retention says", () => {
		const scope = filled();
		scope.keep = { changes: { count: 4, age: 1e6 }, events: { count: 2, age: 1e6 } };
		expect(page(scope, 0, {})).toEqual([[7, 8, 9, 10], false]);
		expect(page(scope, 0, { of: "events" })).toEqual([[6, 9], false]);
	});

	test("keeps nothing older than its retention says, also when nobody writes", () => {
		const scope = filled();
		scope.keep = { changes: { count: 100, age: 2 }, events: { count: 100, age: 5 } };
		expect(page(scope, 0, {})).toEqual([[8, 9, 10], false]);
		expect(page(scope, 0, { of: "events" })).toEqual([[6, 9], false]);
		scope.trim(1000);
		expect(scope.isEmpty).toBe(true);
	});

	test("that keeps none is always empty", () => {
		const use = unbounded();
		const scope = new MemoryScope(use);
		scope.keep = { changes: { count: 0, age: 1e6 }, events: { count: 0, age: 1e6 } };
		scope.note(...deedOf(1, [event]));
		expect([page(scope, 0, {}), page(scope, 0, { of: "events" })]).toEqual([
			[[], false],
			[[], false],
		]);
		expect(use.bytes).toBe(0);
	});
});
