import fc from "fast-check";
import { expect, test } from "vitest";
import type { Backend, BatchAnswer, Entry, LogPage, Mutation, ReadAnswer, Signal } from "./backend.js";
import { type Clock, systemClock } from "./clock.js";
import { memory } from "./memory.js";
import { nearCache } from "./near-cache.js";
import { isLive } from "./reducer.js";
import { around } from "./testing/around.js";
import { put, remove, touch, usualRetention } from "./testing/client.js";

const scope = "app/shared";
const maxAge = 1000;

/** What the store held while it had this head. */
interface Epoch {
	readonly head: number;
	readonly since: number;
	/** Whether it came by itself: a scope past its deadline. */
	readonly ended: boolean;
	entries: ReadonlyMap<string, Entry>;
}

interface Process {
	readonly backend: Backend;
	/** The newest epoch that it saw or made. */
	seen: number;
	sequence: number;
}

/** Two processes, each with a cache, on one store whose answers and signals come when the test says so, in any order or never. */
class World {
	now = 1_000_000;
	readonly epochs: Epoch[] = [{ head: 0, since: 0, ended: false, entries: new Map() }];
	readonly processes: Process[];
	hits = 0;
	/** The epoch that the store answered a read in: absence may have been there more than once. */
	readonly #answered = new WeakMap<ReadAnswer, number>();
	readonly #store: Backend;
	#waiting: { readonly signal: boolean; readonly deliver: () => void }[] = [];
	readonly #listeners: ((signal: Signal) => void)[][] = [[], []];

	constructor(options: { readonly maxEntries: number }) {
		const clock: Clock = { ...systemClock, now: () => this.now };
		this.#store = memory({ clock });
		this.processes = [0, 1].map((i) => ({
			backend: nearCache(this.#delayed(i), {
				...options,
				maxAge,
				// An hour behind, and no step of either clock is told to it.
				clock: { ...systemClock, now: () => this.now - 3_600_000, monotonic: () => this.now },
			}),
			seen: 0,
			sequence: 0,
		}));
	}

	/** Lets the nth thing under way arrive; a signal may get lost instead. */
	async deliver(n: number, lose = false): Promise<void> {
		const [one] = this.#waiting.splice(n % Math.max(1, this.#waiting.length), 1);
		if (one !== undefined && !(lose && one.signal)) one.deliver();
		await this.#quiet();
	}

	async deliverAll(): Promise<void> {
		for (let round = 0; round < 100 && this.#waiting.length > 0; round++) await this.deliver(0);
	}

	signal(which: number, type: "lost" | "wake"): void {
		for (const listener of this.#listeners[which] ?? []) listener({ type });
	}

	async commit(which: number, mutations: readonly Mutation[]): Promise<void> {
		const process = this.processes[which] as Process;
		const id = `${which}.${++process.sequence}`;
		const { until, keep } = { until: this.now + 1e6, keep: usualRetention };
		const commits = mutations.length === 0 ? [] : [{ id, do: mutations }];
		const batch = {
			scope,
			writer: `w${which}`,
			sequence: process.sequence,
			until,
			floor: 0,
			step: 7,
			commits,
			keep,
		};
		void process.backend.commit([batch]);
		// Also before the answer: a read sees what was written before it.
		process.seen = this.epochs.length - 1;
		await this.#quiet();
	}

	async drop(which: number): Promise<void> {
		const process = this.processes[which] as Process;
		void process.backend.drop(scope);
		process.seen = this.epochs.length - 1;
		await this.#quiet();
	}

	/** Reads the log as a feed does that was woken. */
	async log(which: number): Promise<void> {
		const { backend, seen } = this.processes[which] as Process;
		void backend.log(scope, this.epochs[seen]?.head ?? 0, { of: "changes", limit: 2, bytes: 1e6 });
		await this.#quiet();
	}

	/** Reads as a manager does: from the cache, else from the store. */
	async read(which: number, keys: readonly string[], age: number | undefined): Promise<void> {
		const process = this.processes[which] as Process;
		this.#look();
		const near = process.backend.peek?.({ scope, keys }, age);
		if (near !== undefined) {
			this.hits++;
			this.#judge(process, keys, near, age ?? maxAge);
			return;
		}
		const answer = Promise.resolve(process.backend.read([{ scope, keys }])[0] as ReadAnswer);
		void answer.then((late) => {
			process.seen = Math.max(process.seen, this.#answered.get(late) ?? 0);
		});
		await this.#quiet();
	}

	#judge(process: Process, keys: readonly string[], { head, entries }: ReadAnswer, age: number): void {
		const at = this.#epochOf(head);
		expect(at, "older than what this process saw or wrote").toBeGreaterThanOrEqual(process.seen);
		const next = this.epochs[at + 1];
		if (next !== undefined) expect(this.now - next.since, "older than maxAge").toBeLessThanOrEqual(age);
		const end = this.epochs.find((epoch, i) => i > at && epoch.head === 0);
		expect(end?.ended ?? false, "past the end of the scope").toBe(false);
		const truth = this.epochs[at]?.entries as ReadonlyMap<string, Entry>;
		for (const [i, key] of keys.entries()) {
			const entry = entries[i] as Entry | null;
			const there = truth.get(key);
			if (entry === null) {
				if (there !== undefined) expect(isLive(there, this.now), "absent though it lives").toBe(false);
				continue;
			}
			expect(isLive(entry, this.now), "past its deadline").toBe(true);
			expect(entry.revision).toBe(there?.revision);
			expect(entry.value.text).toBe(there?.value.text);
		}
		process.seen = at;
	}

	// Only absence has a head twice: it is taken for the latest time.
	#epochOf(head: number): number {
		return this.epochs.findLastIndex((epoch) => epoch.head === head);
	}

	/** Notes what the store holds now. */
	#look(ended = true): void {
		const range = { from: "", to: null, limit: 1000, bytes: 1e9 };
		const { head, entries } = this.#store.list(scope, range) as { head: number; entries: readonly Entry[] };
		const last = this.epochs.at(-1) as Epoch;
		const present = new Map(entries.map((entry) => [entry.key, entry]));
		if (head !== last.head)
			this.epochs.push({ head, since: this.now, ended: ended && head === 0, entries: present });
		else for (const [key, entry] of last.entries) if (!present.has(key)) present.set(key, entry);
		(this.epochs.at(-1) as Epoch).entries = present;
	}

	#delayed(which: number): Backend {
		const store = this.#store;
		const later = <T>(answer: T): Promise<T> => {
			this.#look();
			return new Promise((resolve) => this.#waiting.push({ signal: false, deliver: () => resolve(answer) }));
		};
		return around(store, {
			traits: { reach: "network", durable: false },
			read: (asks) =>
				asks.map((ask) => {
					const answer = store.read([ask])[0] as ReadAnswer;
					const late = later(answer);
					this.#answered.set(answer, this.epochs.length - 1);
					return late;
				}),
			commit: (batches) => batches.map((batch) => later(store.commit([batch])[0] as BatchAnswer)),
			log: (of, after, query) => later(store.log(of, after, query) as LogPage),
			drop: (of) => {
				void store.drop(of);
				this.#look(false);
				return later(undefined);
			},
			watch: (of, listener) => {
				const own = (signal: Signal): void => listener(signal);
				this.#listeners[which]?.push(own);
				return store.watch(of, (signal) => {
					// What it tells of is noted once the call that made it is through.
					const news = this.epochs.length;
					const deliver = (): void => {
						own(signal);
						const process = this.processes[which] as Process;
						process.seen = Math.max(process.seen, Math.min(news, this.epochs.length - 1));
					};
					this.#waiting.push({ signal: true, deliver });
				});
			},
		});
	}

	#quiet(): Promise<void> {
		return new Promise((resolve) => setImmediate(resolve));
	}
}

const keys = ["a", "b", "c"] as const;
const key = fc.constantFrom(...keys);
const which = fc.constantFrom(0, 1);
const ttl = fc.option(fc.integer({ min: 1, max: 800 }), { freq: 2 });

const step = fc.oneof(
	{ weight: 5, arbitrary: fc.record({ do: fc.constant("put" as const), which, key, ttl }) },
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant("session" as const),
			which,
			key,
			ttl: fc.integer({ min: 1, max: 800 }),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), which, key }) },
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant("touch" as const),
			which,
			key,
			ttl: fc.integer({ min: 1, max: 2000 }),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const), which }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), which }) },
	{
		weight: 12,
		arbitrary: fc.record({
			do: fc.constant("read" as const),
			which,
			keys: fc.uniqueArray(key, { minLength: 1 }),
			age: fc.option(fc.integer({ min: 0, max: 800 }), { nil: undefined, freq: 3 }),
		}),
	},
	{
		weight: 14,
		arbitrary: fc.record({
			do: fc.constant("deliver" as const),
			n: fc.nat(6),
			lose: fc.oneof(
				{ weight: 6, arbitrary: fc.constant(false) },
				{ weight: 1, arbitrary: fc.constant(true) },
			),
		}),
	},
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("log" as const), which }) },
	{ weight: 10, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
	{
		weight: 4,
		arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 300 }) }),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant("signal" as const),
			which,
			type: fc.constantFrom("lost" as const, "wake" as const),
		}),
	},
);

test("whatever comes late, twice, in another order or never, nobody reads less than he saw or wrote, nor anything past its age", async () => {
	let hits = 0;
	await fc.assert(
		fc.asyncProperty(
			fc.array(step, { maxLength: 80, size: "max" }),
			fc.constantFrom(1, 2, 100),
			async (steps, maxEntries) => {
				const world = new World({ maxEntries });
				// Read twice each, so that both watch.
				for (const i of [0, 1, 0, 1]) await world.read(i, ["a"], undefined);
				await world.deliverAll();
				for (const one of steps) {
					if (one.do === "put") await world.commit(one.which, [put(one.key, world.now, one.ttl)]);
					else if (one.do === "session")
						await world.commit(one.which, [put(one.key, world.now), touch(null, one.ttl)]);
					else if (one.do === "remove") await world.commit(one.which, [remove(one.key)]);
					else if (one.do === "touch") await world.commit(one.which, [touch(one.key, one.ttl)]);
					else if (one.do === "sweep") await world.commit(one.which, []);
					else if (one.do === "drop") await world.drop(one.which);
					else if (one.do === "log") await world.log(one.which);
					else if (one.do === "read") await world.read(one.which, one.keys, one.age);
					else if (one.do === "deliver") await world.deliver(one.n, one.lose);
					else if (one.do === "settle") await world.deliverAll();
					else if (one.do === "pass") world.now += one.ms;
					else world.signal(one.which, one.type);
				}
				hits += world.hits;
			},
		),
		{ numRuns: 2000 },
	);
	// Otherwise nothing was tested.
	expect(hits).toBeGreaterThan(500);
}, 120_000);
