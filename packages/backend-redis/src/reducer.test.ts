/** What the scripts do, by the short way and the long one, is what core's reducer does. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Clock,
	type Entry,
	type Failure,
	type LogRecord,
	type Mutation,
	memory,
	type Value,
} from "@holdfast/core";
import { add, Client, type Draft, emit, put, remove, seal, touch } from "@holdfast/core/testing";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { redis } from "./redis.js";
import { RedisServer } from "./redis-server.js";

let server: RedisServer;
let store: Backend;
let admin: Redis;
let offset = 0;

beforeAll(async () => {
	server = await RedisServer.start();
	admin = new Redis(server.url);
	store = redis(server.url, { clockOffset: () => offset });
});

afterAll(async () => {
	await store.close();
	admin.disconnect();
	await server.stop();
});

// Above the clock's microseconds, so that revisions follow from the batches alone and are the same on both sides.
const floor = 2e15;

const anyKey = fc.constantFrom("a", "a/b", "b\\", "é", "!/lock/l");
const anyTtl = fc.option(fc.integer({ min: 1, max: 5 }).map((minutes) => minutes * 60_000));
const anyAmount = fc.option(
	fc.oneof(fc.integer({ min: -20, max: 20 }), fc.record({ now: fc.integer({ min: -9, max: 9 }) })),
	{ nil: undefined },
);
const anyData = fc.oneof(
	fc.integer({ min: -9, max: 9 }),
	fc.double({ noNaN: true, noDefaultInfinity: true }),
	fc.constantFrom("", "12", 'é\n"', null, [], { a: [1, {}] }),
);

const given = <T extends object>(options: T): T =>
	Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

const anyPlain: fc.Arbitrary<Mutation> = fc.oneof(
	fc.tuple(anyKey, anyData, anyTtl).map(([key, data, ttl]) => put(key, data, ttl)),
	anyKey.map(remove),
	fc.tuple(anyKey, fc.integer({ min: 1, max: 9 })).map(([key, minutes]) => touch(key, minutes * 60_000)),
	fc
		.tuple(
			anyKey,
			fc.oneof(fc.integer({ min: -9, max: 9 }), fc.double({ min: -10, max: 10, noNaN: true })),
			fc.record({
				base: anyAmount,
				min: anyAmount,
				max: anyAmount,
				ttl: anyTtl.map((ttl) => ttl ?? undefined),
			}),
		)
		.map(([key, by, options]) => add(key, by, given(options) as object)),
);
const anyOther: fc.Arbitrary<Mutation> = fc.oneof(
	fc.integer({ min: 1, max: 5 }).map((minutes) => touch(null, minutes * 60_000)),
	anyData.map((data) => emit("told", data)),
);

/** A condition that may or may not hold, said by what is known when the commit is made. */
const anyWish = fc.record({ key: anyKey, holds: fc.boolean(), listing: fc.constantFrom(false, false, true) });

const anyCommit = fc.record({
	wishes: fc.oneof(fc.constant([]), fc.constant([]), fc.array(anyWish, { maxLength: 2 })),
	do: fc.oneof(
		{ weight: 6, arbitrary: anyPlain.map((one) => [one]) },
		{
			weight: 2,
			arbitrary: fc.uniqueArray(fc.oneof(anyPlain, anyOther), {
				minLength: 1,
				maxLength: 4,
				selector: (mutation) => ("key" in mutation ? mutation.key : mutation),
			}),
		},
		{ weight: 1, arbitrary: fc.constantFrom([seal({ to: "elsewhere" })], [seal(null)], [seal(null)]) },
	),
	about: fc.record(
		{ origin: fc.constant("me"), metadata: fc.constantFrom({ by: "é" }, "x", 1), quiet: fc.boolean() },
		{ requiredKeys: [] },
	),
});
/** A put of the shortest way. */
const anyPut = fc
	.tuple(anyKey, anyData)
	.map(([key, value]) => ({ wishes: [], do: [put(key, value)], about: {} }));
const anyCount = fc.constantFrom(0, 2, 10_000, 10_000);
const anyStep = fc.record({
	commits: fc.oneof(
		{ weight: 3, arbitrary: fc.array(anyCommit, { maxLength: 4 }) },
		{ weight: 1, arbitrary: fc.array(anyPut, { minLength: 1, maxLength: 4 }) },
	),
	minutes: fc.constantFrom(0, 0, 0, 1, 3),
	step: fc.integer({ min: 1, max: 4096 }),
});

// Numbers may be spelled in several ways: 1e-9 is 1e-09.
const data = ({ text }: Value): unknown => JSON.parse(text);
const entry = (one: Entry | null) =>
	one === null ? null : { ...one, value: data(one.value), metadata: one.metadata ?? null };
const answer = (one: BatchAnswer | Failure) =>
	"failed" in one
		? one
		: {
				...one,
				outcomes: one.outcomes.map((outcome) =>
					outcome.ok ? outcome : { ...outcome, entry: entry(outcome.entry) },
				),
			};
const record = (one: LogRecord) => ({
	...one,
	metadata: one.metadata ?? null,
	changes: one.changes
		.map((change) => ({ ...change, entry: entry(change.entry) }))
		// What comes due at the same instant has no order.
		.sort((a, b) => (a.type === "expire" && b.type === "expire" ? (a.key < b.key ? -1 : 1) : 0)),
	events: one.events.map(({ type, payload }) => ({ type, payload: data(payload) })),
	// Of others it means nothing, and is not kept.
	previousEvents: one.events.length > 0 ? one.previousEvents : undefined,
});

async function contents(client: Client) {
	return {
		entries: (await client.list()).map(entry),
		locks: (await client.list("!/")).map(entry),
		changes: (await client.log()).records.map(record),
		events: (await client.log(0, { of: "events" })).records.map(record),
	};
}

let runs = 0;

test("random batches end alike in Redis and in memory: answers, entries, logs", {
	timeout: 60_000,
}, async () => {
	const property = fc.asyncProperty(anyCount, fc.array(anyStep, { maxLength: 12 }), async (count, steps) => {
		// A bucket's floor of an earlier run would be above this one's.
		await admin.flushall();
		let now = 0;
		const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} };
		const scope = `reducer/room/${++runs}`;
		const [real, model] = [new Client(store, scope), new Client(memory({ clock }), scope)];
		real.keep = { ...real.keep, changes: { ...real.keep.changes, count } };
		for (const { commits, minutes, step } of steps) {
			offset += minutes * 60_000;
			const drafts: Draft[] = [];
			for (const { wishes, do: mutations, about } of commits) {
				const conditions = [];
				for (const { key, holds, listing } of wishes) {
					const { entries } = await real.read(key);
					if (listing) conditions.push({ under: key, count: holds ? 0 : 1, sum: 0 });
					else conditions.push({ key, revision: (entries[0]?.revision ?? 0) + (holds ? 0 : 1) });
				}
				drafts.push({ ...about, if: conditions, do: mutations });
			}
			const batch: Batch = await real.batch(drafts, { floor: Math.max(floor, real.floor), step });
			const told = await real.send(batch);
			now = told.now ?? 0;
			expect(answer(told)).toEqual(answer(await model.send(batch)));
			expect(await contents(real)).toEqual(await contents(model));
		}
	});
	await fc.assert(property, { numRuns: 200, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false });
});
