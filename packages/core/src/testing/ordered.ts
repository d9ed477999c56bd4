/** Promise 2: commits to one scope are totally ordered, and reads that follow a commit's answer see it. */
import { expect } from "vitest";
import { type Check, check } from "./check.js";
import { add, anyScope, Client, emit, isFailure, put, remove, touch } from "./client.js";

export const ordered: readonly Check[] = [
	check(
		2,
		"a revision is the highest of: the last and a step, the floor and a step, the store's microseconds",
		async (trial) => {
			const client = await trial.client();
			const expected = async (floor: number, step: number): Promise<void> => {
				const { head, now } = await client.read();
				const answer = await client.deliver(await client.batch([[add("n", 1)]], { floor, step }));
				const base = Math.max(head, floor) + step;
				expect(answer.head, "the revision").toBeGreaterThanOrEqual(Math.max(base, Math.floor(now * 1000)));
				expect(answer.head, "the revision").toBeLessThanOrEqual(
					Math.max(base, Math.ceil((answer.now + 1) * 1000)),
				);
				expect(Number.isSafeInteger(answer.head), "a revision is an integer under 2^53").toBe(true);
			};
			await expected(0, 1);
			await expected(0, 4096);
			const { head, now } = await client.read();
			await expected(Math.max(head, now * 1000) + 5_000_000_000, 7);
			await expected(0, 13);
			await expected(0, 1);
		},
	),

	check(2, "revisions only grow, and the log is a chain of them that ends in the head", async (trial) => {
		const client = await trial.client();
		const made: number[] = [];
		for (let i = 0; i < 20; i++) {
			const outcomes = await client.commit([put("a", i)], [emit("tick", i)], [put("b", i), put("c", i)]);
			for (const outcome of outcomes) if (outcome.ok) made.push(outcome.revision);
		}
		expect(made).toEqual([...made].sort((a, b) => a - b));
		expect(new Set(made).size, "no revision twice").toBe(60);
		const { records, head } = await client.log();
		expect(records.map(({ revision }) => revision)).toEqual(made);
		expect(
			records.map(({ previous }) => previous),
			"each record names the one before; the first 0",
		).toEqual([0, ...made.slice(0, -1)]);
		expect(head).toBe(made.at(-1));
		expect((await client.read()).head).toBe(made.at(-1));
	}),

	check(2, "what changes nothing has no revision of its own, and no record", async (trial) => {
		const client = await trial.client();
		const { revision } = await client.apply(put("a", 1, 600_000));
		for (const mutation of [remove("absent"), touch("a", 1), touch("a", 700_000)])
			expect(await client.apply(mutation)).toMatchObject({ revision, changes: 0 });
		expect(await client.apply(), "an empty commit").toMatchObject({ revision, changes: 0 });
		expect((await client.read()).head).toBe(revision);
		expect((await client.log()).records).toHaveLength(1);
	}),

	check(2, "a commit that is answered is seen by every handle's reads, listings and logs", async (trial) => {
		const writer = await trial.client();
		const readers = [await trial.client(), await trial.client()];
		for (let i = 0; i < 20; i++) {
			const { revision } = await writer.apply(put("a", i), put(`b/${i}`, i));
			for (const reader of readers) {
				const { head, entries } = await reader.read("a");
				expect(head, "the head that another handle reads").toBe(revision);
				expect(entries[0]?.value.text, "the value that another handle reads").toBe(String(i));
				expect(await reader.list("b/"), "the entries that another handle lists").toHaveLength(i + 1);
				expect((await reader.log()).head, "the head of the log that another handle reads").toBe(revision);
			}
		}
	}),

	check(2, "an entry keeps the revision that created it until it is gone", async (trial) => {
		const client = await trial.client();
		const { revision: born } = await client.apply(put("a", 1));
		const { revision: written } = await client.apply(put("a", 2));
		expect(await client.entry("a")).toMatchObject({ revision: written, createdRevision: born });
		const { revision: added } = await client.apply(add("a", 2));
		expect(await client.entry("a")).toMatchObject({ revision: added, createdRevision: born });
		await client.apply(remove("a"));
		const { revision: reborn } = await client.apply(put("a", 3));
		expect(await client.entry("a")).toMatchObject({ revision: reborn, createdRevision: reborn });
	}),

	check(2, "who, why and whether quietly is kept with a commit", async (trial) => {
		const client = await trial.client();
		const metadata = { by: "ada", why: ["a reason", null, 1.5, true] };
		await client.commit({
			id: "the-id",
			do: [put("a", 1), emit("e", 1)],
			origin: "me",
			metadata,
			quiet: true,
		});
		await client.apply(put("b", 1));
		expect((await client.entry("a"))?.metadata).toEqual(metadata);
		expect((await client.entry("b"))?.metadata).toBeUndefined();
		const { records } = await client.log();
		expect(records[0]).toMatchObject({ id: "the-id", origin: "me", metadata, quiet: true });
		expect(records[1]).toMatchObject({ quiet: false });
		expect(records[1]?.metadata).toBeUndefined();
		const events = await client.log(0, { of: "events" });
		expect(events.records[0]).toMatchObject({ id: "the-id", metadata });
	}),

	check(2, "an Add answers the exact sum, as a double", async (trial) => {
		const client = await trial.client();
		const sums: number[] = [];
		let sum = 0;
		for (const by of [0.1, 0.2, 2 ** 53 - 1, -1, 1e21, 1e-7, -1e21, 123456.789012345]) {
			sum = Math.max(sum, 0) + by;
			sums.push(sum);
			const { numbers } = await client.apply(add("n", by, { base: 0 }));
			expect(numbers[0], `the answer to adding ${by}`).toBe(sum);
			expect((await client.entry("n"))?.value.number, `what is stored after adding ${by}`).toBe(sum);
		}
		const [limited] = (await client.apply(add("later", 500, { base: { now: 0 }, max: { now: 1000 } })))
			.numbers;
		const { now } = await client.read();
		expect(limited, "an Add to the store's now").toBeGreaterThan(now - 60_000);
		expect(limited, "an Add to the store's now").toBeLessThanOrEqual(now + 500);
		const refused = await client.refuse([add("later", 1001, { base: { now: 0 }, max: { now: 1000 } })]);
		expect(refused).toMatchObject({ why: "bound", index: 0 });
		expect(refused.entry?.value.number, "the entry that a refusal at the bound carries").toBe(limited);
	}),

	check(
		2,
		"after the store lost everything, revisions go on above what a writer has seen",
		async (trial) => {
			const client = await trial.client();
			const ahead = (await client.read()).now * 1000 + 10_000_000_000;
			await client.deliver(await client.batch([[put("a", 1)]], { floor: ahead }));
			const { floor } = client;
			await trial.harness.forget?.();
			expect((await client.read("a")).head, "the head of a store that lost everything").toBe(0);
			const { revision } = await client.apply(put("a", 2));
			expect(revision).toBeGreaterThan(floor);
			const { records } = await client.log();
			expect(
				records.map(({ previous }) => previous),
				"the first record of a new life",
			).toEqual([0]);
		},
		"forget",
	),

	check(
		2,
		"a store that came back older and went on never counts as the lost history did",
		async (trial) => {
			const client = await trial.client();
			// So far ahead that the clock decides nothing.
			const ahead = (await client.read()).now * 1000 + 10_000_000_000;
			await client.deliver(await client.batch([[put("a", 0)]], { floor: ahead }));
			const restore = await trial.harness.save?.();
			const lost = new Set<number>();
			for (let i = 0; i < 10; i++) lost.add((await client.apply(put("a", i))).revision);
			await restore?.();
			const other = await trial.client();
			const resumed: number[] = [];
			for (let i = 0; i < 10; i++) resumed.push((await other.apply(put("a", -i))).revision);
			const same = resumed.filter((revision) => lost.has(revision));
			// Ten numbers of some twenty thousand on either side meet once in 200 runs; two histories in step meet ten times.
			expect(same.length, "revisions that stand for two commits").toBeLessThan(5);
			const { revision } = await client.apply(put("a", 100));
			expect(revision, "a writer that saw the lost history goes on above it").toBeGreaterThan(
				Math.max(...lost),
			);
		},
		"save",
	),

	check(2, "a batch is of its own instant: the answer's head and clock are those after it", async (trial) => {
		const client = await trial.client();
		const before = await client.read();
		const answer = await client.send(await client.batch([[put("a", 1)], [put("b", 2)]]));
		if (isFailure(answer)) {
			// A lost answer says nothing; the other checks send it again.
			expect(answer.failed).toBe("unknown");
			return;
		}
		const last = answer.outcomes.at(-1);
		expect(last?.ok && last.revision, "the head of the answer").toBe(answer.head);
		expect(answer.now, "the clock of the answer").toBeGreaterThanOrEqual(before.now);
		expect((await client.read()).now, "the clock of a later read").toBeGreaterThanOrEqual(answer.now);
	}),

	check(
		2,
		"what one call asks of several scopes is answered in the order asked, each on its own",
		async (trial) => {
			const backend = await trial.backend();
			const scopes = Array.from({ length: 20 }, (_, i) => `${anyScope}-${i % 10}`);
			const clients = scopes.map((scope) => new Client(backend, scope));
			const batches = await Promise.all(
				clients.map((client, i) => client.batch([[put(`from-${i}`, i)], [add("n", 1)]])),
			);
			const answers = await Promise.all(backend.commit(batches));
			expect(answers).toHaveLength(20);
			for (const [i, answer] of answers.entries())
				if (isFailure(answer)) await (clients[i] as Client).deliver(batches[i] as (typeof batches)[number]);
			const reads = await Promise.all(
				backend.read(scopes.map((scope, i) => ({ scope, keys: [`from-${i}`, "n", "absent"] }))),
			);
			for (const [i, read] of reads.entries()) {
				if (isFailure(read)) throw new Error(`a read failed as ${read.failed}: ${read.message}`);
				expect(
					read.entries.map((entry) => entry?.value.text),
					`what scope ${i} holds`,
				).toEqual([String(i), "2", undefined]);
			}
		},
	),
];
