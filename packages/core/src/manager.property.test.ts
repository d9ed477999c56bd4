/** Random programs of everything that an application can call, by two managers on one store, against a model that a child could check. */
import fc from "fast-check";
import { describe, expect } from "vitest";
import { z } from "zod";
import type { Backend, LogRecord } from "./backend.js";
import { jsonCodec } from "./codec.js";
import { isHoldfastError } from "./error.js";
import { field } from "./field.js";
import type { Lease } from "./lock.js";
import type { StateManager } from "./manager.js";
import type { Mirror } from "./mirror.js";
import { compilePattern } from "./pattern.js";
import type { Scope } from "./scope.js";
import type { UntypedFields } from "./state.js";
import type { StateChange, Subscription } from "./subscription.js";
import type { Trial } from "./testing/trial.js";
import { test, untyped } from "./with-trial.js";

const minute = 60_000;
/** Time passes by whole minutes, and what lives a while lives half a minute longer: nothing depends on a clock's last second. */
const half = 30_000;
/** What a clock that stands still may go on by itself in one program. */
const drift = 15_000;

const keys = ["a", "d", "p/a", "p/b", "p/a/x", "t", "é", "{b} c"];
const patterns = ["**", "*", "p/*", "p/**", "p/a", "d"];
const start = 7;
const lifetime = 2 * minute + half;
const state = untyped({
	room: {
		d: field(z.unknown(), { default: start }),
		t: field(z.unknown(), { ttl: lifetime }),
		"**": z.unknown(),
	},
	events: { fact: z.unknown(), other: z.unknown() },
});

interface Plain {
	value: unknown;
	revision: number;
	created: number;
	expiresAt: number | null;
	by: unknown;
}

/** What one commit is to say: of each key the value that it has from now on, or that it is gone. */
interface Says {
	readonly sets?: Readonly<Record<string, unknown>>;
	/** How long what is set lives; absent: what the model says otherwise. */
	readonly ttl?: number | null | "kept";
	readonly deletes?: readonly string[];
	readonly events?: readonly (readonly [type: string, payload: unknown])[];
	readonly quiet?: boolean;
	readonly by?: unknown;
}

interface Told {
	readonly by: number;
	readonly heard: string[];
	expected: string[];
}

interface Listening extends Told {
	readonly matches: (key: string) => boolean;
	readonly own: boolean;
	readonly handle: Subscription;
}

interface Past {
	readonly revision: number;
	readonly previous: number;
	readonly says: readonly string[];
	readonly quiet: boolean;
	readonly by: number;
	readonly events: readonly string[];
}

type Room = Scope<UntypedFields>;

const plainKey = (encoded: string): string =>
	keys.find((key) => compilePattern(key).exact === encoded) ?? encoded;
const matcher = (pattern: string): ((key: string) => boolean) => {
	const { matches } = compilePattern(pattern);
	return (key) => matches(compilePattern(key).exact as string);
};
const inOrder = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const text = (type: string, key: string, value?: unknown): string =>
	`${type} ${key} ${JSON.stringify(value) ?? ""}`.trim();

let programs = 0;

/** Two managers on one store, and what one scope must look like through both. */
class World {
	readonly trial: Trial;
	readonly backend: Backend;
	readonly id = `${++programs}`;
	readonly scopeId = `conformance/room/${this.id}`;
	readonly managers: StateManager[] = [];
	readonly entries = new Map<string, Plain>();
	log: Past[] = [];
	head = 0;
	now = 0;
	listening: Listening[] = [];
	following: (Told & { stop(): void })[] = [];
	hearing: (Told & { stop(): void })[] = [];
	mirrors: {
		readonly by: number;
		readonly pattern: string;
		readonly mirror: Mirror<UntypedFields, string>;
	}[] = [];
	readonly locks = new Map<string, { readonly by: number; readonly lease: Lease }>();
	readonly leases: Lease[] = [];
	/** The keys whose deletion a manager's listeners would be told of after a reset. */
	readonly known: [Set<string>, Set<string>] = [new Set(), new Set()];
	readonly makers = new Map<string, number>();

	constructor(trial: Trial, backend: Backend) {
		this.trial = trial;
		this.backend = backend;
	}

	async open(by: number): Promise<void> {
		this.managers[by] = (await this.trial.manager({ state })) as unknown as StateManager;
		// Its first commit tells the name by which the log knows it.
		const scope = (this.managers[by] as StateManager).scope("room", `${this.id}-names-${by}`);
		const from = await scope.set("a", by);
		const { records } = await this.backend.log(`${this.scopeId}-names-${by}`, 0, {
			of: "changes",
			limit: 100,
			bytes: 1e6,
		});
		const origin = records.find(({ revision }) => revision === from)?.origin;
		this.makers.set(String(origin), by);
	}

	room(by: number): Room {
		return (this.managers[by] as StateManager).scope("room", this.id);
	}

	live(key: string): Plain | undefined {
		const entry = this.entries.get(key);
		return entry !== undefined && (entry.expiresAt === null || this.now < entry.expiresAt)
			? entry
			: undefined;
	}

	value(key: string): unknown {
		const entry = this.live(key);
		return entry === undefined ? (key === "d" ? start : undefined) : entry.value;
	}

	present(pattern = "**"): string[] {
		const matches = matcher(pattern);
		return inOrder.filter((key) => matches(key) && this.live(key) !== undefined);
	}

	async tick(): Promise<void> {
		const [answer] = this.backend.read([{ scope: this.scopeId, keys: [] }]);
		const read = await answer;
		if (read === undefined || "failed" in read) throw new Error("the store does not answer");
		this.now = read.now;
	}

	/** Calls, and compares the answer, or the error's code, and what the log has of it since. */
	async call(expected: unknown, says: readonly Says[], run: () => Promise<unknown>): Promise<void> {
		const answer = await run().catch((error: unknown) => {
			if (!isHoldfastError(error)) throw error;
			expect(error.scope, "the scope that an error names").toBe(`room/${this.id}`);
			return { refused: error.code };
		});
		await this.look(says);
		expect(answer, "the answer").toEqual(expected);
	}

	/** Reads what the log has of what was done, compares it with what it is to say, and lets the model follow. */
	async look(says: readonly Says[] = []): Promise<void> {
		await this.trial.settle();
		await this.tick();
		const { records } = await this.backend.log(this.scopeId, this.head, {
			of: "changes",
			limit: 1000,
			bytes: 1e8,
		});
		const left = [...says];
		for (const record of records) {
			expect(record.previous, "the revision before a record's").toBe(this.head);
			if (this.#isOfLocks(record)) this.#note(record, []);
			else if (record.changes.some(({ type }) => type === "expire")) this.#expire(record);
			else this.#done(record, left.shift());
		}
		expect(left, "what was to be done, and is not in the log").toEqual([]);
	}

	#isOfLocks = ({ changes, events }: LogRecord): boolean =>
		events.length === 0 && changes.every(({ key }) => key.startsWith("!/"));

	#expire(record: LogRecord): void {
		const said: string[] = [];
		for (const { type, key: encoded } of record.changes) {
			expect(type).toBe("expire");
			const key = plainKey(encoded);
			const entry = this.entries.get(key);
			expect(
				entry?.expiresAt ?? Number.POSITIVE_INFINITY,
				`the deadline of ${key}, which expired`,
			).toBeLessThanOrEqual(record.time);
			this.entries.delete(key);
			said.push(text("expire", key));
		}
		this.#note(record, said);
	}

	#done(record: LogRecord, says: Says | undefined): void {
		const { sets = {}, deletes = [], events = [], ttl, quiet = false, by } = says ?? {};
		const found = record.changes.map(({ type, key, entry }) =>
			text(type, plainKey(key), entry?.value.data(jsonCodec)),
		);
		const wanted = [
			...Object.entries(sets).map(([key, value]) => text("set", key, value)),
			...deletes.map((key) => text("delete", key)),
		];
		expect([...found].sort(), "what a commit did").toEqual(wanted.sort());
		const facts = record.events.map(({ type, payload }) => [type, payload.data(jsonCodec)]);
		expect(facts, "its events").toEqual(events);
		expect(record.quiet, "whether it is quiet").toBe(quiet);
		expect(record.metadata, "its metadata").toEqual(by);
		for (const { key: encoded, entry } of record.changes) {
			const key = plainKey(encoded);
			const before = this.live(key);
			if (entry === null) {
				this.entries.delete(key);
				continue;
			}
			expect(entry.createdRevision, `when ${key} was created`).toBe(before?.created ?? record.revision);
			const usual = key === "t" ? lifetime : null;
			const lives = ttl === undefined ? usual : ttl;
			const until =
				lives === "kept" ? (before?.expiresAt ?? null) : lives === null ? null : record.time + lives;
			this.#assertDeadline(key, entry.expiresAt, until);
			this.entries.set(key, {
				value: entry.value.data(jsonCodec),
				revision: record.revision,
				created: entry.createdRevision,
				expiresAt: entry.expiresAt,
				by,
			});
		}
		this.#note(record, found);
	}

	#assertDeadline(key: string, expiresAt: number | null, expected: number | null): void {
		if (expected === null) expect(expiresAt, `the deadline of ${key}`).toBeNull();
		else
			expect(Math.abs((expiresAt ?? 0) - expected), `how far the deadline of ${key} is off`).toBeLessThan(
				drift,
			);
	}

	/** Everybody who listens is to hear it. */
	#note(record: LogRecord, says: readonly string[]): void {
		const by = this.makers.get(String(record.origin)) ?? -1;
		const events = record.events.map(({ type, payload }) => text(type, "", payload.data(jsonCodec)));
		this.log.push({
			revision: record.revision,
			previous: record.previous,
			says,
			quiet: record.quiet,
			by,
			events,
		});
		this.head = record.revision;
		for (const said of says) {
			const [type, key] = this.#parse(said);
			for (const listener of this.listening) {
				if (!listener.matches(key)) continue;
				if (type === "set") this.known[listener.by as 0 | 1].add(key);
				else this.known[listener.by as 0 | 1].delete(key);
			}
			for (const listener of this.listening)
				if (listener.matches(key) && !record.quiet && (listener.own || listener.by !== by))
					listener.expected.push(said);
		}
		if (says.length + events.length > 0)
			for (const one of this.following) one.expected.push([...says, ...events].sort().join("; "));
		for (const one of this.hearing) one.expected.push(...events);
	}

	#parse(said: string): [type: string, key: string] {
		const [type = "", ...rest] = said.split(" ");
		const key = keys.find((one) => rest.join(" ") === one || rest.join(" ").startsWith(`${one} `));
		return [type, key as string];
	}

	/** What a subscription that goes on from a cursor is told first: what came since, or the present state. */
	since(cursor: number, pattern: string, own: boolean, by: number): string[] {
		const matches = matcher(pattern);
		const at =
			cursor === this.head ? this.log.length : this.log.findIndex(({ previous }) => previous === cursor);
		if (at < 0) return this.present(pattern).map((key) => text("set", key, this.live(key)?.value));
		return this.log
			.slice(at)
			.filter((past) => !past.quiet && (own || past.by !== by))
			.flatMap(({ says }) => says)
			.filter((said) => matches(this.#parse(said)[1]));
	}

	/** The scope is gone, with its logs. */
	dropped(): void {
		for (const listener of this.listening)
			listener.expected.push(
				...[...this.known[listener.by as 0 | 1]].filter(listener.matches).map((key) => text("delete", key)),
			);
		if (this.head > 0) for (const one of this.following) one.expected.push("reset");
		for (const known of this.known) known.clear();
		this.entries.clear();
		this.locks.clear();
		this.log = [];
		this.head = 0;
	}

	/** All that can be seen through both managers is as the model has it. */
	async compare(): Promise<void> {
		await this.trial.eventually("all who listen have heard", () => {
			for (const { heard, expected } of this.hearing) expect(heard, "events").toEqual(expected);
			for (const { heard, expected } of this.following) expect(heard, "whole commits").toEqual(expected);
			// After a reset what is gone is told in any order.
			for (const { heard, expected } of this.listening)
				expect(tidy(heard), "changes").toEqual(tidy(expected));
			for (const { mirror, pattern } of this.mirrors) {
				const matches = matcher(pattern);
				const members = inOrder.filter((key) => matches(key) && this.entries.has(key));
				expect(mirror.list(), `a mirror of ${pattern}`).toEqual(
					members.map((key) => ({ key, value: this.entries.get(key)?.value })),
				);
				for (const key of members)
					expect(mirror.entry(key)?.revision, `its revision of ${key}`).toBe(this.entries.get(key)?.revision);
			}
		});
		for (const by of [0, 1]) {
			const room = this.room(by);
			const [values, listed] = [await room.getMany(keys), await all(room.list())];
			await this.tick();
			expect(values, "what is read").toEqual(keys.map((key) => this.value(key)));
			expect(
				listed.map(({ key, value, revision, createdRevision, expiresAt, metadata }) => ({
					key,
					value,
					revision,
					created: createdRevision,
					expiresAt,
					by: metadata,
				})),
				"what is listed",
			).toEqual(this.present().map((key) => ({ key, ...this.live(key) })));
		}
	}

	end(by: number): void {
		const of = (one: { readonly by: number }): boolean => one.by === by;
		const others = <T extends { readonly by: number }>(list: T[]): T[] => list.filter((one) => !of(one));
		for (const { mirror } of this.mirrors.filter(of)) mirror.close();
		for (const { handle } of this.listening.filter(of)) handle.stop();
		for (const { stop } of [...this.following, ...this.hearing].filter(of)) stop();
		this.mirrors = others(this.mirrors);
		this.listening = others(this.listening);
		this.following = others(this.following);
		this.hearing = others(this.hearing);
		this.known[by as 0 | 1].clear();
	}
}

/** In which order a reset tells what is gone does not count. */
function tidy(said: readonly string[]): string[] {
	const tidied: string[] = [];
	let gone: string[] = [];
	for (const one of [...said, ""]) {
		if (one.startsWith("delete")) gone.push(one);
		else {
			tidied.push(...gone.sort(), one);
			gone = [];
		}
	}
	return tidied;
}

interface Command {
	readonly name: string;
	run(world: World): Promise<void>;
}

const anyBy = fc.nat(1);
const anyKey = fc.constantFrom(...keys);
const anyPattern = fc.constantFrom(...patterns);
const anyValue = fc.oneof(
	{ weight: 3, arbitrary: fc.integer({ min: -3, max: 9 }) },
	{ weight: 1, arbitrary: fc.constantFrom("x", null, { x: [1, { y: 2 }] }, new Map([["m", 1]]).size) },
);
const anyTtl = fc.option(
	fc.option(
		fc.integer({ min: 1, max: 5 }).map((minutes) => minutes * minute + half),
		{ freq: 3 },
	),
	{ nil: undefined, freq: 2 },
);
/** Options without those that are not given. */
const given = <T extends object>(options: T) =>
	Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
		[K in keyof T]: Exclude<T[K], undefined>;
	};
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
	const found: T[] = [];
	for await (const item of items) found.push(item);
	return found;
}
const isNumber = (value: unknown): value is number => typeof value === "number";

const command = <T extends readonly unknown[]>(
	name: string,
	arbitraries: { [I in keyof T]: fc.Arbitrary<T[I]> },
	run: (world: World, ...drawn: T) => Promise<void>,
): fc.Arbitrary<Command> =>
	fc.tuple(...(arbitraries as unknown as fc.Arbitrary<unknown>[])).map((drawn) => ({
		name: `${name}(${drawn.map((one) => JSON.stringify(one)).join(", ")})`,
		run: (world) => run(world, ...(drawn as unknown as T)),
	}));

const anyRevision = fc.constantFrom("present", "zero", "wrong", undefined, undefined);
type Wanted = "present" | "zero" | "wrong" | undefined;

function revisionOf(world: World, key: string, wanted: Wanted): number | undefined {
	const revision = world.live(key)?.revision ?? 0;
	return wanted === undefined
		? undefined
		: wanted === "present"
			? revision
			: wanted === "zero"
				? 0
				: revision + 1;
}

const writes = [
	command(
		"set",
		[
			anyBy,
			anyKey,
			anyValue,
			anyTtl,
			fc.boolean(),
			anyRevision,
			fc.boolean(),
			fc.option(fc.constantFrom("ada", { why: 1 }), { nil: undefined }),
		],
		async (world, by, key, value, ttl, ifAbsent, wanted: Wanted, notify, metadata) => {
			const ifRevision = revisionOf(world, key, wanted);
			const before = world.live(key);
			const isRefused =
				(ifAbsent && before !== undefined) ||
				(ifRevision !== undefined && ifRevision !== (before?.revision ?? 0));
			const options = given({ ttl, ifAbsent: ifAbsent || undefined, ifRevision, notify, metadata });
			const says: Says = given({ sets: { [key]: value }, ttl, quiet: !notify, by: metadata });
			await world.call(
				isRefused ? { refused: "conflict" } : expect.any(Number),
				isRefused ? [] : [says],
				() => world.room(by).set(key, value, options),
			);
		},
	),
	command("getOrSet", [anyBy, anyKey, anyValue, anyTtl], async (world, by, key, value, ttl) => {
		const before = world.live(key);
		const says = before === undefined ? [given({ sets: { [key]: value }, ttl })] : [];
		await world.call(before === undefined ? value : before.value, says, () =>
			world.room(by).getOrSet(key, () => value, given({ ttl })),
		);
	}),
	command("update", [anyBy, anyKey, anyTtl, fc.boolean()], async (world, by, key, ttl, deletes) => {
		const next = (value: unknown): unknown => (deletes ? undefined : isNumber(value) ? value + 1 : 0);
		const after = next(world.value(key));
		const says: Says[] =
			after !== undefined
				? [given({ sets: { [key]: after }, ttl })]
				: world.live(key) === undefined
					? []
					: [{ deletes: [key] }];
		await world.call(after ?? (key === "d" ? start : undefined), says, () =>
			world.room(by).update(key, next as never, given({ ttl })),
		);
	}),
	command(
		"increment",
		[
			anyBy,
			anyKey,
			fc.integer({ min: -4, max: 4 }),
			anyTtl,
			fc.option(fc.integer({ min: -3, max: 3 }), { nil: undefined }),
			fc.option(fc.integer({ min: 3, max: 12 }), { nil: undefined }),
		],
		async (world, by, key, amount, drawn, min, max) => {
			const ttl = drawn ?? undefined;
			const isBounded = (min ?? max) !== undefined;
			const before = world.value(key) ?? (world.live(key) === undefined ? 0 : null);
			const options = given({ ttl, min, max });
			const run = (): Promise<unknown> => world.room(by).increment(key, amount, options as never);
			if (!isNumber(before)) return world.call({ refused: "not-a-number" }, [], run);
			const sum = before + amount;
			if (sum < (min ?? sum) || sum > (max ?? sum)) return world.call({ ok: false, value: before }, [], run);
			const kept = world.live(key) === undefined ? undefined : ("kept" as const);
			const says = given({ sets: { [key]: sum }, ttl: ttl ?? (key === "t" ? undefined : kept) });
			await world.call(isBounded ? { ok: true, value: sum } : sum, [says], run);
		},
	),
	command("delete", [anyBy, anyKey, anyRevision], async (world, by, key, wanted: Wanted) => {
		const before = world.live(key);
		const ifRevision = revisionOf(world, key, wanted);
		const isRefused = ifRevision !== undefined && ifRevision !== (before?.revision ?? 0);
		await world.call(
			isRefused ? { refused: "conflict" } : before !== undefined,
			isRefused || before === undefined ? [] : [{ deletes: [key] }],
			() => world.room(by).delete(key, given({ ifRevision })),
		);
	}),
	command("clear", [anyBy, anyPattern], async (world, by, pattern) => {
		const deletes = world.present(pattern);
		await world.call(deletes.length, deletes.length > 0 ? [{ deletes }] : [], () =>
			world.room(by).clear(pattern),
		);
	}),
	command(
		"touch",
		[anyBy, anyKey, fc.integer({ min: 1, max: 5 }).map((minutes) => minutes * minute + half)],
		async (world, by, key, ttl) => {
			const before = world.live(key);
			await world.call(before !== undefined, [], () => world.room(by).touch(key, ttl));
			if (before === undefined || before.expiresAt === null) return;
			const entry = await world.room(by).entry(key);
			const until = Math.max(before.expiresAt, world.now + ttl);
			expect(Math.abs((entry?.expiresAt ?? 0) - until), `how far the deadline of ${key} is off`).toBeLessThan(
				drift,
			);
			before.expiresAt = entry?.expiresAt ?? null;
		},
	),
	command("notify", [anyBy, anyKey], async (world, by, key) => {
		const before = world.live(key);
		await world.call(
			before !== undefined,
			before === undefined ? [] : [{ sets: { [key]: before.value }, ttl: "kept" }],
			() => world.room(by).notify(key),
		);
	}),
	command("emit", [anyBy, fc.constantFrom("fact", "other"), anyValue], async (world, by, type, payload) => {
		await world.call(expect.any(Number), [{ events: [[type, payload]] }], () =>
			world.room(by).events.emit(type, payload),
		);
	}),
	command(
		"commit",
		[
			anyBy,
			anyKey,
			anyPattern,
			fc.uniqueArray(anyKey, { maxLength: 3 }),
			fc.option(fc.tuple(anyKey, anyValue)),
			fc.boolean(),
			fc.boolean(),
		],
		async (world, by, read, pattern, targets, meanwhile, emits, quiet) => {
			let first = true;
			const fill = (value: unknown, count: number): unknown => [value ?? null, count];
			const expected = { read: world.value(read), count: world.present(pattern).length };
			const says: Says[] = [];
			if (meanwhile !== null) {
				const [key, value] = meanwhile;
				says.push({ sets: { [key]: value } });
				if (key === read) expected.read = value;
				if (matcher(pattern)(key) && world.live(key) === undefined) expected.count++;
			}
			const made = fill(expected.read, expected.count);
			if (targets.length > 0 || emits)
				says.push({
					sets: Object.fromEntries(targets.map((key) => [key, made])),
					events: emits ? [["fact", made]] : [],
					quiet,
				});
			await world.call({ revision: expect.any(Number), value: made }, says, () =>
				world.room(by).commit(
					async (tx) => {
						const value = await tx.get(read);
						const { length } = await tx.list(pattern);
						if (meanwhile !== null && first) {
							first = false;
							await world.room(1 - by).set(...meanwhile);
						}
						const filled = fill(value, length);
						for (const key of targets) tx.set(key, filled);
						if (emits) tx.emit("fact", filled);
						return filled;
					},
					{ notify: !quiet },
				),
			);
		},
	),
	command(
		"several at once",
		[anyBy, fc.array(fc.tuple(anyKey, fc.option(fc.nat(9), { nil: undefined })), { maxLength: 5 })],
		async (world, by, steps) => {
			const there = new Map(keys.map((key) => [key, world.live(key) !== undefined]));
			const says: Says[] = [];
			const expected: unknown[] = [];
			for (const [key, value] of steps) {
				if (value !== undefined) says.push({ sets: { [key]: value } });
				else if (there.get(key)) says.push({ deletes: [key] });
				expected.push(value === undefined ? there.get(key) : expect.any(Number));
				there.set(key, value !== undefined);
			}
			const room = world.room(by);
			await world.call(expected, says, () =>
				Promise.all(
					steps.map(
						([key, value]): Promise<unknown> =>
							value === undefined ? room.delete(key) : room.set(key, value),
					),
				),
			);
		},
	),
	command("count up from both sides at once", [anyKey, fc.nat(3)], async (world, key, times) => {
		const before = world.value(key);
		const next = (value: unknown): number => (isNumber(value) ? value + 1 : 0);
		const says: Says[] = [];
		let last = before;
		for (let i = 0; i < 2 * times; i++) {
			last = next(last);
			says.push({ sets: { [key]: last } });
		}
		await world.call(expect.anything(), says, () =>
			Promise.all(
				[0, 1].flatMap((by) => Array.from({ length: times }, () => world.room(by).update(key, next))),
			),
		);
	}),
];

const reads = [
	command("look at a key", [anyBy, anyKey], async (world, by, key) => {
		const room = world.room(by);
		const [value, has, entry] = [await room.get(key), await room.has(key), await room.entry(key)];
		await world.tick();
		const plain = world.live(key);
		expect(value).toEqual(world.value(key));
		expect(has).toBe(plain !== undefined);
		expect(entry?.revision).toBe(plain?.revision);
		if (plain !== undefined) expect(await room.get(key), "read twice").toBe(value);
	}),
	command(
		"list",
		[anyBy, anyPattern, fc.option(fc.nat(4), { nil: undefined }), fc.option(anyKey, { nil: undefined })],
		async (world, by, pattern, limit, after) => {
			const room = world.room(by);
			const listed = await all(room.list(pattern, given({ limit, after })));
			const count = await room.count(pattern);
			await world.tick();
			const expected = world.present(pattern);
			expect(count).toBe(expected.length);
			const behind = expected.filter(
				(key) => after === undefined || inOrder.indexOf(key) > inOrder.indexOf(after),
			);
			expect(listed.map(({ key }) => key)).toEqual(behind.slice(0, limit));
		},
	),
	command(
		"recall",
		[
			anyBy,
			fc.constantFrom("fact", "other", undefined),
			fc.nat(4),
			fc.option(fc.nat(3), { nil: undefined }),
			fc.boolean(),
		],
		async (world, by, type, back, bound, newest) => {
			const from = world.log.at(-1 - back)?.previous ?? 0;
			const facts = world.log
				.filter(({ revision }) => revision > from)
				.flatMap(({ events }) => events)
				.filter((fact) => type === undefined || fact.startsWith(`${type} `));
			const expected =
				bound === undefined
					? facts
					: newest
						? facts.slice(Math.max(0, facts.length - bound))
						: facts.slice(0, bound);
			const options = given({ from, type, ...(newest ? { last: bound } : { limit: bound }) });
			const found = await all(world.room(by).events.history(options));
			expect(found.map((fact) => text(fact.type, "", fact.payload))).toEqual(expected);
		},
	),
];

const views = [
	command(
		"subscribe",
		[anyBy, anyPattern, fc.boolean(), fc.boolean(), fc.option(fc.nat(8), { nil: undefined })],
		async (world, by, pattern, own, initial, back) => {
			if (world.listening.length > 5) return;
			const from =
				back === undefined ? undefined : back === 8 ? 1 : (world.log.at(-1 - back)?.previous ?? world.head);
			const heard: string[] = [];
			const listener = ({ type, key, value }: StateChange): void => void heard.push(text(type, key, value));
			const expected =
				from !== undefined
					? world.since(from, pattern, own, by)
					: initial
						? world.present(pattern).map((key) => text("set", key, world.live(key)?.value))
						: [];
			const handle = world.room(by).subscribe(pattern, listener as never, given({ own, initial, from }));
			const listening: Listening = { by, heard, expected, own, handle, matches: matcher(pattern) };
			await handle.ready;
			for (const key of world.present(pattern)) world.known[by as 0 | 1].add(key);
			world.listening.push(listening);
			await world.look();
		},
	),
	command("stop one", [fc.nat(5)], async (world, at) => {
		const [one] = world.listening.splice(at, 1);
		one?.handle.stop();
		if (one !== undefined && !world.listening.some(({ by }) => by === one.by))
			world.known[one.by as 0 | 1].clear();
	}),
	command("mirror", [anyBy, anyPattern], async (world, by, pattern) => {
		if (world.mirrors.length > 3) world.mirrors.shift()?.mirror.close();
		const mirror = world.room(by).mirror(pattern) as unknown as Mirror<UntypedFields, string>;
		await mirror.ready;
		// An expired entry that the mirror has not seen go is none that it shows.
		await world.room(by).commit(() => {});
		await sweep(world);
		world.mirrors.push({ by, pattern, mirror });
	}),
	command("follow", [anyBy], async (world, by) => {
		if (world.following.length > 2) return;
		const heard: string[] = [];
		const stopper = new AbortController();
		const records = world.room(by).changes({ from: world.head, signal: stopper.signal });
		world.following.push({ by, heard, expected: [], stop: () => stopper.abort() });
		void (async () => {
			for await (const record of records)
				if (record.type === "reset") heard.push("reset");
				else {
					const said = [
						...record.changes.map(({ type, key, value }) => text(type, key, value)),
						...record.events.map(({ type, payload }) => text(type, "", payload)),
					];
					heard.push(said.sort().join("; "));
				}
		})().catch(() => {});
		await world.look();
	}),
	command("hear", [anyBy, fc.boolean()], async (world, by, all) => {
		if (world.hearing.length > 2) return;
		const heard: string[] = [];
		const expected = all ? world.log.flatMap(({ events }) => events) : [];
		const handle = world
			.room(by)
			.events.on(
				"*",
				({ type, payload }) => void heard.push(text(type, "", payload)),
				all ? { from: 0 } : {},
			);
		await handle.ready;
		world.hearing.push({ by, heard, expected, stop: () => handle.stop() });
	}),
];

/** Has what is due expire, as the model then sees. */
async function sweep(world: World): Promise<void> {
	const [answer] = world.backend.commit([
		{
			scope: world.scopeId,
			writer: "sweeper",
			sequence: ++programs,
			until: Number.MAX_SAFE_INTEGER,
			floor: 0,
			step: 1,
			commits: [],
			keep: { changes: { count: 10_000, age: 36e5 }, events: { count: 100_000, age: 30 * 864e5 } },
		},
	]);
	await answer;
	await world.look();
}

const others = [
	command("wait", [fc.integer({ min: 1, max: 3 })], async (world, minutes) => {
		await world.trial.advance(minutes * minute);
		await world.look();
	}),
	command("drop", [anyBy, fc.nat(2)], async (world, by, chance) => {
		if (chance > 0) return;
		await world.room(by).drop();
		world.dropped();
		await world.look();
	}),
	command("tryLock", [anyBy, fc.constantFrom("x", "y")], async (world, by, name) => {
		const attempt = await world.room(by).tryLock(name);
		await world.look();
		expect(attempt.acquired).toBe(!world.locks.has(name));
		if (!attempt.acquired) return;
		const last = Math.max(0, ...world.leases.map(({ token }) => token));
		expect(attempt.lease.token, "the token of a later lease").toBeGreaterThan(last);
		world.locks.set(name, { by, lease: attempt.lease });
		world.leases.push(attempt.lease);
	}),
	command("release", [fc.constantFrom("x", "y")], async (world, name) => {
		await world.locks.get(name)?.lease.release();
		world.locks.delete(name);
		await world.look();
	}),
	command("set under a lease", [anyBy, anyKey, anyValue, fc.nat(9)], async (world, by, key, value, at) => {
		const lease = world.leases.at(-1 - at);
		if (lease === undefined) return;
		const holds = [...world.locks.values()].some((lock) => lock.lease === lease);
		await world.call(
			holds ? expect.any(Number) : { refused: "lease-lost" },
			holds ? [{ sets: { [key]: value } }] : [],
			() => world.room(by).set(key, value, { fence: lease }),
		);
	}),
	command("restart", [anyBy, fc.nat(2)], async (world, by, chance) => {
		if (chance > 0) return;
		const { unflushed } = await (world.managers[by] as StateManager).close();
		expect(unflushed).toEqual([]);
		world.end(by);
		for (const [name, lock] of [...world.locks]) if (lock.by === by) world.locks.delete(name);
		await world.open(by);
		await world.look();
	}),
];

const anyProgram = fc.array(fc.oneof(...writes, ...writes, ...reads, ...views, ...views, ...others), {
	maxLength: 30,
});

async function run(trial: Trial, program: readonly Command[]): Promise<void> {
	const world = new World(trial, await trial.backend());
	for (const by of [0, 1]) await world.open(by);
	await world.tick();
	for (const { name, run: step } of program)
		try {
			await world.tick();
			await step(world);
			await world.compare();
		} catch (error) {
			throw new Error(`at ${name}: ${(error as Error).message}`, { cause: error });
		}
	expect(trial.errors).toEqual([]);
	for (const by of [0, 1]) {
		world.end(by);
		await (world.managers[by] as StateManager).close();
	}
}

const numRuns = Number(process.env.HOLDFAST_RUNS ?? 25);

describe("whatever two managers are asked, they answer and tell what a plain model does", () => {
	test("on a store that answers at once", async ({ trial }) => {
		await fc.assert(
			fc.asyncProperty(anyProgram, (program) => run(trial, program)),
			{ numRuns },
		);
	});

	test("on a store that answers later", async ({ remote }) => {
		await fc.assert(
			fc.asyncProperty(anyProgram, (program) => run(remote, program)),
			{ numRuns },
		);
	});
});
