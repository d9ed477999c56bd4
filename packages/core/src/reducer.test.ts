import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Amount, Batch, Commit, Condition, Entry, Json, LogRecord, Mutation } from "./backend.js";
import { jsonCodec } from "./codec.js";
import { spanUnder } from "./key.js";
import { MemoryScope } from "./memory-scope.js";
import { addToTally, evaluate, sumModulus, sweepLimit } from "./reducer.js";
import { givenValue } from "./value.js";

const log = { count: 100, age: 1e6 };
const keep = { changes: log, events: log };
const batchOf = (commits: readonly Commit[], floor = 0, step = 1): Batch => ({
	scope: "default/shared",
	writer: "w",
	sequence: 1,
	until: Number.POSITIVE_INFINITY,
	floor,
	step,
	commits,
	keep,
});
const emptyScope = (): MemoryScope =>
	new MemoryScope({
		maxEntries: Number.POSITIVE_INFINITY,
		maxBytes: Number.POSITIVE_INFINITY,
		entries: 0,
		bytes: 0,
	});

const put = (key: string, value: unknown, ttl: number | null = null): Mutation => ({
	op: "put",
	key,
	value: givenValue(value),
	ttl,
});
const commit = (...mutations: readonly Mutation[]): Commit => ({ id: "c", do: mutations });

/** What the tests compare of an entry. */
interface Told {
	readonly data: unknown;
	readonly revision: number;
	readonly created: number;
	readonly expiresAt: number | null;
	readonly metadata: Json | undefined;
}
const tell = (entry: Entry | null): Told | null =>
	entry && {
		data: entry.value.data(jsonCodec),
		revision: entry.revision,
		created: entry.createdRevision,
		expiresAt: entry.expiresAt,
		metadata: entry.metadata,
	};

const tellRecord = ({ revision, previous, previousEvents, changes, events }: LogRecord): object => ({
	revision,
	previous,
	previousEvents,
	changes: changes.map(({ type, key, entry }) => [type, key, tell(entry)]),
	events: events.map(({ type }) => type),
});

/** A scope as the promises describe it, the simplest way: a commit works on a copy, which a refusal throws away. */
class Model {
	entries = new Map<string, Told>();
	head = 0;
	eventsHead = 0;
	deadline: number | null = null;
	seal: Json | undefined = undefined;

	live(key: string, now: number): Told | undefined {
		const entry = this.entries.get(key);
		return entry !== undefined && (entry.expiresAt === null || entry.expiresAt > now) ? entry : undefined;
	}

	tally(under: string, now: number): { count: number; sum: number } {
		const revisions = [...this.entries.keys()]
			.filter((key) => (under === "" ? !key.startsWith("!/") : key.startsWith(under)))
			.flatMap((key) => this.live(key, now)?.revision ?? []);
		return {
			count: revisions.length,
			sum: Number(revisions.reduce((sum, n) => sum + BigInt(n), 0n) % 2n ** 52n),
		};
	}

	get end(): number {
		const locks = [...this.entries].flatMap(([key, { expiresAt }]) =>
			key.startsWith("!/lock/") ? (expiresAt ?? 0) : 0,
		);
		return this.deadline === null ? Number.POSITIVE_INFINITY : Math.max(this.deadline, ...locks);
	}

	get next(): number | null {
		const all = [...this.entries.values()].flatMap(({ expiresAt }) => expiresAt ?? []);
		const next = Math.min(...all, this.end);
		return this.seal !== undefined || next === Number.POSITIVE_INFINITY ? null : next;
	}

	run(batch: Batch, now: number): { outcomes: object[]; records: object[]; ended: boolean } {
		const records: object[] = [];
		let ended = false;
		const record = (changes: unknown[], events: string[]): void => {
			const revision = this.#revision(batch, now);
			records.push({ revision, previous: this.head, previousEvents: this.eventsHead, changes, events });
			this.head = revision;
			if (events.length > 0) this.eventsHead = revision;
		};
		const outcomes: object[] = [];
		for (const commit of [undefined, ...batch.commits]) {
			if (commit !== undefined) outcomes.push(this.#attempt(commit, batch, now, record));
			// A scope ends between batches; within one, only a seal can have kept it.
			if (this.seal !== undefined || (commit !== undefined && commit.do[0]?.op !== "seal")) continue;
			if (now >= this.end) {
				Object.assign(this, new Model());
				records.length = 0;
				ended = true;
			}
			const due = [...this.entries.keys()].filter((key) => this.live(key, now) === undefined);
			for (const key of due) this.entries.delete(key);
			if (due.length > 0)
				record(
					due.map((key) => ["expire", key, null]),
					[],
				);
		}
		return { outcomes, records, ended };
	}

	#revision({ step, floor }: Batch, now: number): number {
		return Math.max(this.head + step, floor + step, Math.floor(now * 1000));
	}

	#attempt(
		{ if: conditions = [], do: mutations, metadata }: Commit,
		batch: Batch,
		now: number,
		record: (changes: unknown[], events: string[]) => void,
	): object {
		const no = (why: string, index: number, entry: Told | null = null): object => ({
			ok: false,
			why,
			index,
			entry,
		});
		const [only] = mutations;
		if (this.seal !== undefined && only?.op !== "seal") return { ...no("sealed", 0), note: this.seal };
		for (const [i, condition] of conditions.entries()) {
			if ("key" in condition) {
				const entry = this.live(condition.key, now);
				if ((entry?.revision ?? 0) !== condition.revision) return no("condition", i, entry ?? null);
			} else {
				const { count, sum } = this.tally(condition.under, now);
				if (count !== condition.count || sum !== condition.sum) return no("condition", i);
			}
		}
		const copy = new Map(this.entries);
		const revision = this.#revision(batch, now);
		const changes: unknown[] = [];
		const events: string[] = [];
		const numbers: number[] = [];
		let { deadline, seal } = this;
		const at = (amount: Amount): number => (typeof amount === "number" ? amount : now + amount.now);
		const write = (key: string, data: unknown, expiresAt: number | null): void => {
			const entry = {
				data,
				revision,
				created: this.live(key, now)?.created ?? revision,
				expiresAt,
				metadata,
			};
			copy.set(key, entry);
			changes.push(["set", key, entry]);
		};
		for (const [i, mutation] of mutations.entries()) {
			const entry = "key" in mutation && mutation.key !== null ? this.live(mutation.key, now) : undefined;
			if (mutation.op === "put")
				write(mutation.key, mutation.value.data(jsonCodec), mutation.ttl && now + mutation.ttl);
			else if (mutation.op === "delete") {
				if (copy.delete(mutation.key)) changes.push(["delete", mutation.key, null]);
			} else if (mutation.op === "emit") events.push(mutation.type);
			else if (mutation.op === "seal") seal = mutation.note ?? undefined;
			else if (mutation.op === "add") {
				if (entry !== undefined && typeof entry.data !== "number") return no("type", i, entry);
				const { by, base, min, max, ttl, key } = mutation;
				const current = (entry?.data as number | undefined) ?? 0;
				const sum = (base === undefined ? current : Math.max(current, at(base))) + by;
				if ((min !== undefined && sum < at(min)) || (max !== undefined && sum > at(max)))
					return no("bound", i, entry ?? null);
				numbers.push(sum);
				write(key, sum, ttl === undefined ? (entry?.expiresAt ?? null) : now + ttl);
			} else if (mutation.key === null) {
				const creates = mutations.some(({ op }) => op === "put" || op === "add" || op === "emit");
				if (this.head === 0 && !creates) return no("absent", i);
				if (this.head === 0 || deadline !== null) deadline = Math.max(deadline ?? 0, now + mutation.ttl);
			} else {
				if (entry === undefined) return no("absent", i);
				if (entry.expiresAt !== null)
					copy.set(mutation.key, { ...entry, expiresAt: Math.max(entry.expiresAt, now + mutation.ttl) });
			}
		}
		Object.assign(this, { entries: copy, deadline, seal });
		if (changes.length + events.length > 0) record(changes, events);
		return { ok: true, revision: this.head, changes: changes.length, numbers };
	}
}

const key = fc.constantFrom("a", "b", "a/x", "a/y", "!/lock/l");
const ttl = fc.integer({ min: 1, max: 40 });
const amount = fc.oneof(
	fc.integer({ min: -3, max: 5 }),
	fc.record({ now: fc.integer({ min: -30, max: 30 }) }),
);
const value = fc.constantFrom(1, 2.5, "text").map((data) => givenValue(data));
const op = <T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name);
const oneOfAKey: fc.Arbitrary<Mutation> = fc.oneof(
	fc.record({ op: op("put"), key, value, ttl: fc.option(ttl) }),
	fc.record({ op: op("delete"), key }),
	fc.record({ op: op("touch"), key: fc.option(key), ttl }),
	fc.record(
		{ op: op("add"), key, by: fc.integer({ min: -2, max: 3 }), base: amount, min: amount, max: amount, ttl },
		{ requiredKeys: ["op", "key", "by"] },
	),
);
const emit: fc.Arbitrary<Mutation> = fc.record({ op: op("emit"), type: fc.constant("e"), payload: value });
const mutations = fc
	.tuple(
		fc.uniqueArray(oneOfAKey, { maxLength: 3, selector: (one) => ("key" in one ? one.key : one) }),
		fc.array(emit, { maxLength: 1 }),
	)
	.map((parts) => parts.flat());
const seal: fc.Arbitrary<Mutation[]> = fc
	.record({ op: op("seal"), note: fc.constantFrom(null, null, "moved", false) })
	.map((seal) => [seal]);
// Whether it is to hold; what it compares with is known only when its batch runs.
const condition = fc.record({
	on: fc.oneof(fc.record({ key }), fc.record({ under: fc.constantFrom("", "a/", "!/lock/") })),
	holds: fc.constantFrom(true, true, false),
});
const commits = fc.array(
	fc.record({
		conditions: fc.array(condition, { maxLength: 2 }),
		mutations: fc.oneof({ weight: 6, arbitrary: mutations }, { weight: 1, arbitrary: seal }),
		metadata: fc.constantFrom(undefined, { by: "ada" }),
	}),
	{ maxLength: 4 },
);
const step = fc.record({
	commits,
	later: fc.constantFrom(0, 0.25, 1, 7, 30),
	ahead: fc.constantFrom(0, 0, 50_000),
	step: fc.integer({ min: 1, max: 3 }),
});

describe("batches do to a scope what the promises say", () => {
	test("at random, against a simpler model", () => {
		fc.assert(
			fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
				const scope = emptyScope();
				const model = new Model();
				let now = 1e6;
				for (const { commits, later, ahead, step } of steps) {
					now += later;
					const resolve = ({
						on,
						holds,
					}: {
						on: { key: string } | { under: string };
						holds: boolean;
					}): Condition =>
						"key" in on
							? { ...on, revision: (model.live(on.key, now)?.revision ?? 0) + (holds ? 0 : 1) }
							: { ...on, ...model.tally(on.under, now), ...(holds ? {} : { count: 9 }) };
					const batch = batchOf(
						commits.map(({ conditions, mutations, metadata }, i) => ({
							id: String(i),
							if: conditions.map(resolve),
							do: mutations,
							...(metadata && { metadata }),
						})),
						ahead && model.head + ahead,
						step,
					);
					const { answer, records, ended } = evaluate(scope, batch, now);
					const expected = model.run(batch, now);

					expect(answer.outcomes.map((one) => (one.ok ? one : { ...one, entry: tell(one.entry) }))).toEqual(
						expected.outcomes,
					);
					const unordered = (told: object[]): object[] =>
						told.map((one) => ({ ...one, changes: new Set((one as { changes: unknown[] }).changes) }));
					expect(unordered(records.map(tellRecord))).toEqual(unordered(expected.records));
					expect(ended).toBe(expected.ended);
					expect(answer).toMatchObject({ head: model.head, now, next: model.next });
					expect(scope).toMatchObject({
						head: model.head,
						eventsHead: model.eventsHead,
						deadline: model.deadline,
						seal: model.seal,
					});
					const stored = [...scope.under({ from: "", to: null })].map((entry) => [entry.key, tell(entry)]);
					expect(new Map(stored as [string, Told][])).toEqual(model.entries);
					for (const under of ["", "a/", "!/lock/"])
						expect(scope.tally(under, now)).toEqual(model.tally(under, now));
				}
			}),
			{ numRuns: 1500 },
		);
	});

	test("in the order of the commits, each seeing those before it, a refused one alone", () => {
		const scope = emptyScope();
		const { answer } = evaluate(
			scope,
			batchOf([
				commit(put("a", 1)),
				{ id: "no", if: [{ key: "a", revision: 0 }], do: [put("b", 1)] },
				{ id: "yes", if: [{ under: "", count: 1, sum: 1_000_000 }], do: [{ op: "add", key: "a", by: 1 }] },
			]),
			1000,
		);
		expect(answer.outcomes).toMatchObject([
			{ ok: true, revision: 1_000_000 },
			{ ok: false, why: "condition", index: 0, entry: { key: "a", revision: 1_000_000 } },
			{ ok: true, revision: 1_000_001, numbers: [2] },
		]);
	});
});

describe("a sweep", () => {
	test("expires at most 1,000 entries and those that the batch names", () => {
		const scope = emptyScope();
		const many = Array.from({ length: sweepLimit + 5 }, (_, i) => put(`k${i}`, 1, 1 + i / 1e6));
		evaluate(scope, batchOf([commit(...many)]), 1000);
		const last = `k${sweepLimit + 4}`;
		const { records } = evaluate(scope, batchOf([commit({ op: "add", key: last, by: 1 })]), 2000);
		expect(records[0]?.changes).toHaveLength(sweepLimit + 1);
		expect(records[1]?.changes).toMatchObject([
			{ type: "set", entry: { expiresAt: null, createdRevision: 2_000_001 } },
		]);
		expect(evaluate(scope, batchOf([]), 2000).records[0]?.changes).toHaveLength(4);
		expect(evaluate(scope, batchOf([]), 2000).records).toEqual([]);
	});

	test("that is all a batch does leaves the retention alone", () => {
		const scope = emptyScope();
		evaluate(scope, batchOf([]), 1000);
		expect(scope.keep).toBeUndefined();
	});
});

describe("an unsealed scope", () => {
	test("has what came due under the seal expired before the batch's next commit", () => {
		const scope = emptyScope();
		evaluate(scope, batchOf([commit(put("a", 5, 10)), commit({ op: "seal", note: "moving" })]), 1000);
		const unseal = commit({ op: "seal", note: null });
		const { answer, records } = evaluate(
			scope,
			batchOf([unseal, commit({ op: "add", key: "a", by: 1 })]),
			2000,
		);
		expect(answer.outcomes).toMatchObject([{ ok: true }, { ok: true, numbers: [1] }]);
		expect(records.map(({ changes }) => changes[0]?.type)).toEqual(["expire", "set"]);
		expect(scope.get("a")?.expiresAt).toBeNull();
	});

	test("that is past its own deadline has ended before the batch's next commit", () => {
		const scope = emptyScope();
		const touch: Mutation = { op: "touch", key: null, ttl: 10 };
		evaluate(scope, batchOf([commit(touch, put("a", 5)), commit({ op: "seal", note: "moving" })]), 1000);
		const unseal = commit({ op: "seal", note: null });
		const { records, ended } = evaluate(scope, batchOf([unseal, commit(put("b", 1))]), 2000);
		expect(ended).toBe(true);
		expect(records).toMatchObject([{ previous: 0, changes: [{ key: "b" }] }]);
		expect([...scope.under(spanUnder(""))].map(({ key }) => key)).toEqual(["b"]);
	});
});

test("a sum past what a double holds is refused as past its bound", () => {
	const scope = emptyScope();
	evaluate(scope, batchOf([commit(put("a", Number.MAX_VALUE))]), 1000);
	const { answer } = evaluate(scope, batchOf([commit({ op: "add", key: "a", by: Number.MAX_VALUE })]), 1000);
	expect(answer.outcomes).toMatchObject([{ ok: false, why: "bound", entry: { key: "a" } }]);
});

test("revisions of a listing are summed exactly, modulo 2^52", () => {
	fc.assert(
		fc.property(fc.array(fc.maxSafeNat()), (revisions) => {
			const { count, sum } = revisions.reduce(addToTally, { count: 0, sum: 0 });
			expect(count).toBe(revisions.length);
			expect(BigInt(sum)).toBe(revisions.reduce((sum, n) => sum + BigInt(n), 0n) % BigInt(sumModulus));
		}),
	);
});
