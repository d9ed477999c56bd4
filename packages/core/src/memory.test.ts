import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type {
	Backend,
	Batch,
	BatchAnswer,
	Commit,
	LogPage,
	LogRecord,
	Mutation,
	ReadAnswer,
	ScopePage,
	Signal,
	Value,
} from "./backend.js";
import { systemClock } from "./clock.js";
import { compareKeys, spanUnder } from "./key.js";
import { type MemoryOptions, memory } from "./memory.js";
import { givenValue } from "./value.js";

const log = { count: 100, age: 1e6 };
const put = (key: string, value: unknown = 1, ttl: number | null = null): Mutation => ({
	op: "put",
	key,
	value: givenValue(value),
	ttl,
});

/** A store with a clock that the test turns. */
class Store {
	now = 1000;
	readonly backend: Backend;

	constructor(options: MemoryOptions = {}) {
		this.backend = memory({ clock: { ...systemClock, now: () => this.now }, ...options });
	}

	send(scope: string, commits: readonly Commit[], batch: Partial<Batch> = {}): BatchAnswer {
		const keep = { changes: log, events: log };
		const [answer] = this.backend.commit([
			{
				scope,
				writer: "w",
				sequence: 1,
				until: Number.MAX_VALUE,
				floor: 0,
				step: 1,
				commits,
				keep,
				...batch,
			},
		]);
		return answer as BatchAnswer;
	}

	do(scope: string, ...mutations: readonly Mutation[]): BatchAnswer {
		return this.send(scope, [{ id: "c", do: mutations }]);
	}

	read(scope: string, ...keys: readonly string[]): ReadAnswer {
		return this.backend.read([{ scope, keys }])[0] as ReadAnswer;
	}

	scopes(range: Partial<Parameters<Backend["scopes"]>[0]> = {}): [string[], boolean] {
		const page = this.backend.scopes({ prefix: "", after: null, limit: 100, ...range }) as ScopePage;
		return [page.scopes.map(({ scope }) => scope), page.more];
	}

	heard(scope: string): Signal[] {
		const signals: Signal[] = [];
		void this.backend.watch(scope, (signal) => signals.push(signal));
		return signals;
	}
}

describe("a listing", () => {
	test("gives every live key of its span once, in order, whatever the pages", async () => {
		const key = fc.string({
			unit: fc.constantFrom("a", "b", "/", "é", "\u{10000}"),
			minLength: 1,
			maxLength: 4,
		});
		await fc.assert(
			fc.asyncProperty(
				fc.uniqueArray(key),
				fc.constantFrom("", "a/"),
				fc.integer({ min: 1, max: 4 }),
				fc.integer({ min: 1, max: 60 }),
				async (keys, under, limit, bytes) => {
					const store = new Store();
					keys.forEach((key, i) => {
						store.do("s", put(key, "x".repeat(i), i % 5 === 4 ? 1 : null));
					});
					store.do("s", put("!/lock/l"));
					store.now += 10;
					const { to, ...span } = spanUnder(under);
					const listed: string[] = [];
					for (let from: string | null = span.from; from !== null; ) {
						const { entries, next } = await store.backend.list("s", { from, to, limit, bytes });
						expect(entries.length).toBeGreaterThanOrEqual(next === null ? 0 : 1);
						expect(entries.length).toBeLessThanOrEqual(limit);
						const sizes = entries.map(({ value }) => value.size);
						if (sizes.length > 1) expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(bytes);
						listed.push(...entries.map(({ key }) => key));
						from = next;
					}
					const live = keys.filter((key, i) => i % 5 !== 4 && key.startsWith(under));
					expect(listed).toEqual(live.sort(compareKeys));
				},
			),
		);
	});

	test("of an absent scope is empty", async () => {
		const page = await new Store().backend.list("s", { from: "", to: null, limit: 1, bytes: 1 });
		expect(page).toMatchObject({ entries: [], next: null, head: 0 });
	});
});

describe("scopes", () => {
	test("are paged in order, each once", () => {
		const ids = ["b/1", "a/2", "a/10", "a/1", "a", "é/1"];
		const store = new Store();
		for (const id of ids) store.do(id, put("k"));
		const paged: string[] = [];
		for (let more = true; more; ) {
			const [scopes, left] = store.scopes({ after: paged.at(-1) ?? null, limit: 2 });
			paged.push(...scopes);
			more = left;
		}
		expect(paged).toEqual(["a", "a/1", "a/10", "a/2", "b/1", "é/1"]);
	});

	test("are those whose id starts with the prefix, also after an id before it", () => {
		const store = new Store();
		for (const id of ["a/1", "a/2", "b/1", "c/1"]) store.do(id, put("k"));
		expect(store.scopes({ prefix: "a/" })).toEqual([["a/1", "a/2"], false]);
		expect(store.scopes({ prefix: "a/", after: "a/1" })).toEqual([["a/2"], false]);
		expect(store.scopes({ prefix: "b/", after: "a/1" })).toEqual([["b/1"], false]);
		expect(store.scopes({ prefix: "b/", after: "c/1" })).toEqual([[], false]);
	});

	test("are due from the instant of a deadline on, until they are swept", () => {
		const store = new Store();
		store.do("later", put("k", 1, 100));
		store.do("never", put("k"));
		store.do("whole", put("k"), { op: "touch", key: null, ttl: 50 });
		expect(store.scopes({ due: true })).toEqual([[], false]);
		store.now += 50;
		expect(store.scopes({ due: true })).toEqual([["whole"], false]);
		expect(store.scopes()).toEqual([["later", "never"], false]);
		store.now += 50;
		expect(store.scopes({ due: true })).toEqual([["later", "whole"], false]);
		for (const scope of ["later", "whole"]) store.send(scope, []);
		expect(store.scopes({ due: true })).toEqual([[], false]);
	});

	test("of which nothing is left go when somebody asks for due ones", () => {
		const store = new Store();
		store.do("s", put("k", 1, 10));
		store.now += 10;
		store.send("s", []);
		expect(store.scopes()[0]).toEqual(["s"]);
		store.now += 2e6;
		store.scopes({ due: true });
		expect(store.scopes()[0]).toEqual([]);
	});

	test("that a refused commit names are not there", () => {
		const store = new Store();
		store.send("s", [{ id: "c", if: [{ key: "k", revision: 5 }], do: [put("k")] }]);
		store.send("s", []);
		expect(store.scopes()[0]).toEqual([]);
	});

	test("do not reach one another", () => {
		const store = new Store();
		store.do("a", put("k", "a"));
		store.do("a/b", put("k", "b"));
		void store.backend.drop("a");
		expect(store.read("a", "k")).toMatchObject({ head: 0, entries: [null] });
		expect(store.read("a/b", "k").entries[0]?.value.text).toBe('"b"');
	});
});

describe("who watches a scope", () => {
	test("hears its records until the watch ends", () => {
		const store = new Store();
		const signals: Signal[] = [];
		const end = store.backend.watch("s", (signal) => signals.push(signal)) as () => void;
		store.do("s", put("k"));
		store.do("other", put("k"));
		store.do("s", { op: "delete", key: "absent" });
		end();
		end();
		store.do("s", put("k"));
		expect(signals).toMatchObject([{ type: "records", records: [{ revision: 1_000_000, previous: 0 }] }]);
	});

	test("is woken when it is dropped, and hears its next life", () => {
		const store = new Store();
		store.do("s", put("k"));
		const signals = store.heard("s");
		void store.backend.drop("s");
		void store.backend.drop("s");
		expect(signals).toEqual([{ type: "wake" }]);
		store.do("s", put("k"));
		expect(signals).toMatchObject([{ type: "wake" }, { type: "records", records: [{ previous: 0 }] }]);
	});

	test("is woken when it is over", () => {
		const store = new Store();
		store.do("s", put("k"), { op: "touch", key: null, ttl: 10 });
		const signals = store.heard("s");
		store.now += 10;
		expect(store.read("s", "k")).toMatchObject({ head: 0, next: null, entries: [null] });
		expect(signals).toEqual([]);
		expect(store.send("s", [])).toMatchObject({ head: 0, next: null });
		expect(signals).toEqual([{ type: "wake" }]);
	});

	test("hears of all that a batch did at once, after being woken where the scope was over", () => {
		const store = new Store();
		store.do("s", put("k"), { op: "touch", key: null, ttl: 10 });
		const signals = store.heard("s");
		store.now += 10;
		store.send("s", [
			{ id: "c1", do: [put("a")] },
			{ id: "c2", do: [put("b")] },
		]);
		store.do("s", put("c"));
		expect(signals).toMatchObject([
			{ type: "wake" },
			{ type: "records", records: [{ id: "c1", previous: 0 }, { id: "c2" }] },
			{ type: "records", records: [{ id: "c" }] },
		]);
	});

	test("hears what expires", () => {
		const store = new Store();
		store.do("s", put("k", 1, 10));
		const signals = store.heard("s");
		store.now += 10;
		expect(store.read("s", "k").entries).toEqual([null]);
		store.send("s", []);
		expect(signals).toMatchObject([{ records: [{ changes: [{ type: "expire", key: "k", entry: null }] }] }]);
	});
});

test("a clock that is set back stands still: what has expired stays expired", () => {
	const store = new Store();
	store.do("s", put("k", 1, 10));
	store.now += 10;
	expect(store.read("s", "k").entries).toEqual([null]);
	store.now -= 500;
	expect(store.read("s", "k")).toMatchObject({ now: 1010, entries: [null] });
	expect(store.do("s", put("k"))).toMatchObject({ now: 1010 });
});

test("a batch past its time is refused, and nothing of it written", () => {
	const store = new Store();
	const late = store.send("s", [{ id: "c", do: [put("k")] }], { until: 999 });
	expect(late).toMatchObject({ failed: "overdue", now: 1000 });
	expect(store.scopes()[0]).toEqual([]);
});

test("batches of one scope in one call apply in order, each with an answer", () => {
	const store = new Store();
	const keep = { changes: log, events: log };
	const part = { scope: "s", sequence: 1, until: 1e9, floor: 0, step: 1, keep };
	const add = { id: "c", do: [{ op: "add", key: "n", by: 1 }] } as const;
	const answers = store.backend.commit([
		{ ...part, writer: "a", commits: [add] },
		{ ...part, writer: "b", until: 0, commits: [add] },
		{ ...part, writer: "c", commits: [add] },
	]);
	expect(answers).toMatchObject([
		{ outcomes: [{ numbers: [1] }] },
		{ failed: "overdue" },
		{ outcomes: [{ numbers: [2] }] },
	]);
});

test("a full store refuses, evicts nothing, and takes again what there is room for", () => {
	const store = new Store({ maxEntries: 2 });
	store.do("a", put("k"));
	store.do("b", put("k"));
	expect(store.do("a", put("l"), put("k", 2)).outcomes).toMatchObject([
		{ ok: false, why: "full", entry: null },
	]);
	expect(store.do("c", put("k")).outcomes).toMatchObject([{ ok: false, why: "full" }]);
	expect(store.read("a", "k", "l").entries).toMatchObject([{ value: { number: 1 } }, null]);
	expect(store.scopes()[0]).toEqual(["a", "b"]);
	void store.backend.drop("b");
	expect(store.do("a", put("l")).outcomes).toMatchObject([{ ok: true }]);
});

test("what was stored outlives a close, for the managers that come after", async () => {
	const store = new Store();
	store.do("s", put("k"));
	await store.backend.close();
	expect(store.read("s", "k").entries).toMatchObject([{ key: "k" }]);
});

test("a sealed scope has no deadline, keeps its entries, and is there though it is empty", () => {
	const store = new Store();
	store.do("s", put("k", 1, 10));
	expect(store.do("s", { op: "seal", note: { to: "redis" } })).toMatchObject({ next: null });
	store.do("empty", { op: "seal", note: "gone" });
	store.now += 10;
	expect(store.scopes({ due: true })[0]).toEqual([]);
	expect(store.do("s", put("k")).outcomes).toMatchObject([
		{ ok: false, why: "sealed", note: { to: "redis" } },
	]);
	expect(store.do("empty", put("k")).outcomes).toMatchObject([{ why: "sealed", note: "gone" }]);
	store.do("s", { op: "seal", note: null });
	expect(store.do("s", put("l")).outcomes).toMatchObject([{ ok: true }]);
});

test("what is pushed of a commit without an id is named as in the log", () => {
	const { backend } = new Store();
	const pushed: LogRecord[] = [];
	void backend.watch("s", (signal) => {
		if (signal.type === "records") pushed.push(...signal.records);
	});
	const sender = { scope: "s", floor: 0, keep: { changes: log, events: log } };
	const commits: Omit<Commit, "id">[] = [
		{ do: [put("a")] },
		{ do: [put("b")], metadata: "why" },
		{ do: [{ op: "delete", key: "a" }] },
	];
	for (const commit of commits) backend.commitNow?.(sender, { origin: "me", ...commit }, 3);
	const { records } = backend.log("s", 0, { of: "changes", limit: 99, bytes: 1e6 }) as LogPage;
	expect(pushed.map(({ id }) => id)).toEqual(pushed.map(({ revision }) => `me.${revision}`));
	expect(pushed.map(({ id }) => id)).toEqual(records.map(({ id }) => id));
	expect(records).toHaveLength(3);
});

describe("a commit at once", () => {
	const key = fc.constantFrom("a", "b", "c");
	const mutation: fc.Arbitrary<Mutation> = fc.oneof(
		fc.record({ key, ttl: fc.constantFrom(null, 1, 5) }).map(({ key, ttl }) => put(key, 1, ttl)),
		fc.record({ op: fc.constant("delete" as const), key }),
		fc.record({ op: fc.constant("add" as const), key, by: fc.constant(1) }),
		fc.record({ op: fc.constant("touch" as const), key: fc.option(key), ttl: fc.constant(3) }),
		fc.constant<Mutation>({ op: "emit", type: "e", payload: givenValue("told") }),
	);
	const seal = fc.constantFrom("moved", null).map((note): Mutation[] => [{ op: "seal", note }]);
	const commit = fc.record({
		do: fc.oneof(
			{
				weight: 9,
				arbitrary: fc.uniqueArray(mutation, {
					maxLength: 3,
					selector: (each) => ("key" in each ? each.key : each.op),
				}),
			},
			{ weight: 1, arbitrary: seal },
		),
		absent: fc.option(key, { nil: undefined, freq: 4 }),
		part: fc.constantFrom<Partial<Commit>>({}, {}, { quiet: true }, { metadata: "why" }),
		later: fc.constantFrom(0, 1, 4),
		floor: fc.constantFrom(0, 2e6),
	});

	test("does what a batch of one does, tells the same, and leaves the same log", () => {
		fc.assert(
			fc.property(fc.array(commit, { maxLength: 20 }), fc.boolean(), (commits, isWatched) => {
				const [batched, atOnce] = [new Store(), new Store()];
				const heard: [unknown[], unknown[]] = [[], []];
				const plain = (value: unknown): unknown =>
					JSON.parse(
						JSON.stringify(value, function (this: Partial<LogRecord>, name, part) {
							// A commit at once is named by its store; only a record with events knows the one before.
							if (name === "id" || (name === "previousEvents" && this.events?.length === 0)) return undefined;
							return (part as Partial<Value> | null)?.text ?? part;
						}),
					);
				for (const [i, { backend }] of [batched, atOnce].entries())
					if (isWatched) void backend.watch("s", (signal) => heard[i]?.push(plain(signal)));
				for (const { do: mutations, absent, part, later, floor } of commits) {
					batched.now += later;
					atOnce.now += later;
					const draft = {
						do: mutations,
						origin: "me",
						...part,
						...(absent !== undefined && { if: [{ key: absent, revision: 0 }] }),
					};
					const { outcomes } = batched.send("s", [{ id: "c", ...draft }], { floor, step: 3 });
					const sender = { scope: "s", floor, keep: { changes: log, events: log } };
					expect(plain(atOnce.backend.commitNow?.(sender, draft, 3))).toEqual(plain(outcomes[0]));
					expect(atOnce.read("s").head).toBe(batched.read("s").head);
				}
				expect(heard[1]).toEqual(heard[0]);
				const state = ({ backend }: Store) =>
					plain([
						backend.list("s", { ...spanUnder(""), limit: 99, bytes: 1e6 }),
						...(["changes", "events"] as const).map((of) =>
							backend.log("s", 0, { of, limit: 99, bytes: 1e6 }),
						),
					]);
				expect(state(atOnce)).toEqual(state(batched));
			}),
		);
	});
});
