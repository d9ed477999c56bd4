/** Random commits, expiries, touches, drops, watches and reconnects, against a model that a child could check. */
import fc from "fast-check";
import { expect } from "vitest";
import type { Change, Condition } from "../backend.js";
import { resumes } from "../resume.js";
import { type Check, check } from "./check.js";
import { Client, type Ear, tallyOf } from "./client.js";
import { Follower } from "./follower.js";
import {
	type Ask,
	apply,
	asMutation,
	deadlineOf,
	expire,
	judge,
	minute,
	PlainScope,
	under,
	type Wish,
} from "./plain-scope.js";
import type { Trial } from "./trial.js";

const keys = ["a", "a/b", "a/c", "b", "é", "!/lock/x"];

interface Real {
	readonly trial: Trial;
	readonly clients: readonly Client[];
	readonly followers: readonly Follower[];
	/** Who watches at present, client by client. */
	readonly ears: (Ear | undefined)[];
}

const describe = ({ type, key, entry }: Change): string => `${type} ${key} ${entry?.value.text ?? ""}`.trim();

type Command = fc.AsyncCommand<PlainScope, Real>;

const named = (name: string, run: (model: PlainScope, real: Real) => Promise<void>): Command => ({
	check: () => true,
	run,
	toString: () => name,
});

const pickFrom = <T>(items: readonly T[], at: number): T => items[at % items.length] as T;

const commit = (by: number, wishes: readonly Wish[], asks: readonly Ask[]): Command =>
	named(
		`commit ${by} ${JSON.stringify({ if: wishes, do: asks })}`,
		async (model, { trial, clients, ears }) => {
			const client = pickFrom(clients, by);
			const { now } = await client.read();
			const before = model.head;
			const heard = ears.map((ear) => ear?.signals.length ?? 0);
			const swept = expire(model, now);
			const conditions = wishes.map((wish): Condition => {
				if (wish.about === "key") {
					const revision = model.entries.get(wish.key)?.revision ?? 0;
					return { key: wish.key, revision: wish.right ? revision : revision + 1 };
				}
				const tally = tallyOf(under(model, wish.under) as never);
				return { under: wish.under, count: tally.count + (wish.right ? 0 : 1), sum: tally.sum };
			});
			const mutations = asks.map(asMutation);
			const expected = judge(model, wishes, asks);
			const answer = await client.deliver(await client.batch([{ if: conditions, do: mutations }]));
			const [outcome] = answer.outcomes;
			expect(outcome?.ok ? "applied" : outcome?.why, "how the commit ended").toBe(expected);
			const page = await client.log(model.head);
			expect(resumes(page, model.head, "changes"), "whether the last head still holds").toBe(true);
			const records = [...page.records];
			if (swept.length > 0) {
				const sweep = records.shift();
				expect(sweep?.changes.map(describe).sort(), "what was swept before it").toEqual(swept);
				model.head = sweep?.revision ?? 0;
				model.log.push({ revision: model.head, changes: swept, events: [] });
			}
			if (outcome?.ok === true) {
				const { changes, events } = apply(model, asks, outcome.revision);
				if (changes.length + events.length > 0) {
					const record = records.shift();
					expect(record?.revision, "the revision of its record").toBe(outcome.revision);
					expect(record?.revision, "its revision").toBeGreaterThan(model.head);
					expect(record?.changes.map(describe).sort(), "its changes").toEqual(changes);
					expect(
						record?.events.map(({ type }) => type),
						"its events",
					).toEqual(events);
					model.head = outcome.revision;
					model.log.push({ revision: model.head, changes, events });
				}
			}
			expect(records, "records that nothing explains").toEqual([]);
			expect(answer.head, "the head").toBe(model.head);
			if (model.head !== before)
				for (const [i, ear] of ears.entries())
					if (ear !== undefined)
						await trial.eventually(`watcher ${i} is signalled`, () =>
							expect(ear.signals.length).toBeGreaterThan(heard[i] ?? 0),
						);
			// The store's clock decided the deadlines; they must be what was asked for, to the seconds that a run takes.
			const { entries } = await client.read(...keys);
			for (const [i, key] of keys.entries()) {
				const plain = model.entries.get(key);
				const entry = entries[i];
				if (plain === undefined || entry === null || entry === undefined) continue;
				const expiresAt = deadlineOf(asks, outcome?.ok === true, key, plain, answer.now);
				if (expiresAt === null) expect(entry.expiresAt, `the deadline of ${key}`).toBeNull();
				else
					expect(Math.abs((entry.expiresAt ?? 0) - expiresAt), `the deadline of ${key}`).toBeLessThan(10_000);
				model.entries.set(key, { ...plain, expiresAt: entry.expiresAt });
			}
		},
	);

/** All that can be read is as the model has it. */
const look = (by: number, page: number): Command =>
	named(`look ${by}, in pages of ${page}`, async (model, { clients }) => {
		const client = pickFrom(clients, by);
		const { head, entries, now } = await client.read(...keys);
		expect(head, "the head").toBe(model.head);
		const live = new Map(
			[...model.entries].filter(([, { expiresAt }]) => expiresAt === null || now < expiresAt),
		);
		for (const [i, key] of keys.entries()) {
			const plain = live.get(key);
			const entry = entries[i] ?? undefined;
			expect(entry?.value.text, `the value of ${key}`).toBe(plain?.text);
			expect(entry?.revision, `the revision of ${key}`).toBe(plain?.revision);
			expect(entry?.createdRevision, `the revision that created ${key}`).toBe(plain?.created);
		}
		const listed = await client.list("", page);
		expect(
			listed.map(({ key }) => key),
			"what is listed",
		).toEqual(keys.filter((key) => live.has(key) && !key.startsWith("!/")));
		const locks = await client.list("!/lock/", page);
		expect(
			locks.map(({ key }) => key),
			"locks that are listed",
		).toEqual(keys.filter((key) => live.has(key) && key.startsWith("!/")));
	});

/** A follower comes back after a while, and catches up or is reset. */
const follow = (by: number): Command =>
	named(`follow ${by}`, async (model, { followers }) => {
		const follower = pickFrom(followers, by);
		const { cursor, resets } = follower;
		const known = cursor === 0 || model.log.some(({ revision }) => revision === cursor);
		await follower.follow();
		expect(follower.cursor, "where it got to").toBe(model.head);
		expect(follower.resets - resets, "how often it was reset").toBe(known ? 0 : 1);
		const told = new Map([...model.entries].map(([key, { text }]) => [key, text]));
		if (known) expect(follower.state, "what it was told").toEqual(told);
		// A reset leaves out what has expired; until its expire change, who followed still has it.
		else
			for (const [key, text] of follower.state)
				expect(told.get(key), `what it was told of ${key}`).toBe(text);
	});

/** Begins or ends a watch. */
const watch = (by: number): Command =>
	named(`watch ${by}`, async (_, { clients, ears }) => {
		const at = by % clients.length;
		const ear = ears[at];
		ear?.stop();
		ears[at] = ear === undefined ? await pickFrom(clients, by).watch() : undefined;
	});

const drop = (by: number): Command =>
	named(`drop ${by}`, async (model, { clients }) => {
		const client = pickFrom(clients, by);
		await client.backend.drop(client.scope);
		model.entries.clear();
		model.head = 0;
		model.log = [];
		expect((await client.read()).head, "the head after a drop").toBe(0);
	});

const wait = (minutes: number): Command =>
	named(`wait ${minutes} min`, async (_, { trial }) => {
		await trial.harness.advance?.(minutes * minute);
	});

const anyKey = fc.constantFrom(...keys);
const anyMinutes = fc.integer({ min: 1, max: 6 });

const anyAsk = (timed: boolean): fc.Arbitrary<Ask> =>
	fc.oneof(
		{
			weight: 4,
			arbitrary: fc.record({
				type: fc.constant("put" as const),
				key: anyKey,
				data: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom("x", "y")),
				minutes: timed ? fc.option(anyMinutes) : fc.constant(null),
			}),
		},
		{
			weight: 2,
			arbitrary: fc.record({
				type: fc.constant("add" as const),
				key: anyKey,
				by: fc.integer({ min: -5, max: 5 }),
				max: fc.option(fc.integer({ min: -5, max: 10 }), { nil: undefined }),
			}),
		},
		{ weight: 2, arbitrary: fc.record({ type: fc.constant("remove" as const), key: anyKey }) },
		{
			weight: 1,
			arbitrary: fc.record({ type: fc.constant("touch" as const), key: anyKey, minutes: anyMinutes }),
		},
		{
			weight: 1,
			arbitrary: fc.record({ type: fc.constant("emit" as const), name: fc.constantFrom("e", "f") }),
		},
	);

const anyWish: fc.Arbitrary<Wish> = fc.oneof(
	fc.record({
		about: fc.constant("key" as const),
		key: anyKey,
		right: fc.integer({ max: 9, min: 0 }).map((n) => n > 0),
	}),
	fc.record({
		about: fc.constant("list" as const),
		under: fc.constantFrom("", "a/", "!/lock/"),
		right: fc.integer({ max: 9, min: 0 }).map((n) => n > 0),
	}),
);

const which = fc.nat(2);

function anyCommands(timed: boolean): fc.Arbitrary<Iterable<Command>> {
	const asks = fc.uniqueArray(anyAsk(timed), {
		maxLength: 4,
		// At most one mutation of a key in a commit.
		selector: (ask) => ("key" in ask ? ask.key : ask),
	});
	const commits = fc.tuple(which, fc.array(anyWish, { maxLength: 2 }), asks).map((given) => commit(...given));
	return fc.commands(
		[
			commits,
			commits,
			commits,
			fc.tuple(which, fc.integer({ min: 1, max: 3 })).map((given) => look(...given)),
			which.map(follow),
			which.map(watch),
			...(timed ? [fc.integer({ min: 1, max: 4 }).map(wait)] : []),
			fc.tuple(which, fc.nat(4)).map(([by, chance]) => (chance === 0 ? drop(by) : follow(by))),
		],
		{ maxCommands: 40 },
	);
}

let runs = 0;

async function compare(trial: Trial, timed: boolean): Promise<void> {
	const backends = await Promise.all(Array.from({ length: 3 }, () => trial.backend()));
	const property = fc.asyncProperty(anyCommands(timed), async (commands) => {
		const scope = `conformance/model/${++runs}`;
		const clients = backends.map((backend) => new Client(backend, scope));
		const followers = clients.map((client) => new Follower(client, 2));
		const real: Real = { trial, clients, followers, ears: clients.map(() => undefined) };
		await fc.asyncModelRun(() => ({ model: new PlainScope(), real }), commands);
		for (const ear of real.ears) ear?.stop();
	});
	await fc.assert(property, { numRuns: 60, interruptAfterTimeLimit: 20_000 });
}

export const modelled: readonly Check[] = [
	check(2, "random commits, drops and reconnects end as in a plain model", (trial) => compare(trial, false)),
	check(5, "so do they with deadlines, touches and expiries", (trial) => compare(trial, true), "advance"),
];
