/** Random batches on a store and on the memory backend, which runs core's reducer: answers, entries and logs must be alike. */
import fc from "fast-check";
import { expect } from "vitest";
import type {
	Backend,
	Batch,
	BatchAnswer,
	Condition,
	Entry,
	Failure,
	LogRecord,
	Mutation,
	Value,
} from "../backend.js";
import type { Clock } from "../clock.js";
import { memory } from "../memory.js";
import { add, Client, type Draft, emit, put, remove, seal, tallyOf, touch } from "./client.js";

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
const anyWish = fc.oneof(
	fc.record({ key: anyKey, holds: fc.boolean() }),
	fc.record({ key: anyKey, holds: fc.boolean() }),
	fc.record({ under: fc.constantFrom("", "a/", "!/lock/"), holds: fc.boolean() }),
);

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
/** A put by itself: what stores keep a short way for. */
const anyPut = fc
	.tuple(anyKey, anyData)
	.map(([key, value]) => ({ wishes: [], do: [put(key, value)], about: {} }));
/** A commit that goes alone: what a caller waits for, so stores have a way for it too. */
const anyLone = fc
	.tuple(fc.array(fc.record({ key: anyKey, holds: fc.boolean() }), { maxLength: 1 }), anyPlain)
	.map(([wishes, mutation]) => [{ wishes, do: [mutation], about: {} }]);
const anyCount = fc.constantFrom(0, 2, 10_000, 10_000);
const anyStep = fc.record({
	commits: fc.oneof(
		{ weight: 3, arbitrary: fc.array(anyCommit, { maxLength: 4 }) },
		{ weight: 1, arbitrary: fc.array(anyPut, { minLength: 1, maxLength: 4 }) },
		{ weight: 3, arbitrary: anyLone },
	),
	minutes: fc.constantFrom(0, 0, 0, 1, 3),
	step: fc.integer({ min: 1, max: 4096 }),
	drops: fc.constantFrom(false, false, false, false, false, false, false, true),
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

/** What {@link agreesWithMemory} is told. */
export interface DifferentialOptions {
	/** Puts the store's clock forward, in ms. */
	readonly advance: (ms: number) => void;
	/** Makes the store forget all it holds, before each run; needed where what one scope counted shows in another. */
	readonly forget?: () => Promise<unknown>;
	/** How many runs. Default 200. */
	readonly runs?: number;
	/** After how many ms no further run begins. Default 30,000. */
	readonly time?: number;
}

let runs = 0;

/**
 * Fails with the shortest sequence of batches that ends otherwise in a store than in memory: by its answers, its entries or its logs.
 *
 * @example
 * ```ts
 * let offset = 0;
 * const store = myStore(url, { clockOffset: () => offset });
 * await agreesWithMemory(store, { advance: (ms) => (offset += ms) });
 * ```
 */
export async function agreesWithMemory(
	store: Backend,
	{ advance, forget, runs: numRuns = 200, time = 30_000 }: DifferentialOptions,
): Promise<void> {
	const property = fc.asyncProperty(anyCount, fc.array(anyStep, { maxLength: 12 }), async (count, steps) => {
		await forget?.();
		let now = 0;
		const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} };
		const scope = `differential/room/${++runs}`;
		const [real, model] = [new Client(store, scope), new Client(memory({ clock }), scope)];
		real.keep = { ...real.keep, changes: { ...real.keep.changes, count } };
		for (const { commits, minutes, step, drops } of steps) {
			advance(minutes * 60_000);
			if (drops) for (const { backend } of [real, model]) await backend.drop(scope);
			const drafts: Draft[] = [];
			for (const { wishes, do: mutations, about } of commits) {
				const conditions: Condition[] = [];
				for (const wish of wishes)
					if ("under" in wish) {
						const { count, sum } = tallyOf(await real.list(wish.under));
						conditions.push({ under: wish.under, count: count + (wish.holds ? 0 : 1), sum });
					} else {
						const revision = (await real.entry(wish.key))?.revision ?? 0;
						conditions.push({ key: wish.key, revision: revision + (wish.holds ? 0 : 1) });
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
	await fc.assert(property, { numRuns, interruptAfterTimeLimit: time, markInterruptAsFailure: false });
}
