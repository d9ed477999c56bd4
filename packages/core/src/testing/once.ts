/** Promise 13: a commit whose answer was lost is sent again, without being applied twice, and never after its time. */
import { expect } from "vitest";
import { chaos } from "./chaos.js";
import { type Check, check } from "./check.js";
import { add, anyScope, Client, emit, isFailure, put, remove, seal } from "./client.js";
import { seeded } from "./random.js";

export const once: readonly Check[] = [
	check(
		13,
		"the same batch sent again gets the same answer, and is applied once",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[add("n", 1), emit("added", 1)], [put("a", 1)]]);
			const answer = await client.deliver(batch);
			for (let i = 0; i < 3; i++) expect(await client.deliver(batch), "the answer, again").toEqual(answer);
			const other = new Client(await trial.backend(), client.scope);
			expect(await other.deliver(batch), "the answer, by another handle").toEqual(answer);
			expect(await client.text("n")).toBe("1");
			expect((await client.log()).records, "its records").toHaveLength(2);
			expect((await client.log(0, { of: "events" })).records, "its events").toHaveLength(1);
		},
		"losesAnswers",
	),

	check(
		13,
		"the same batch sent many times at once is applied once",
		async (trial) => {
			const clients = await Promise.all(Array.from({ length: 6 }, () => trial.client()));
			const [first] = clients as [Client];
			for (let i = 1; i <= 10; i++) {
				const batch = await first.batch([[add("n", 1)]]);
				const answers = await Promise.all(clients.map((client) => client.deliver(batch)));
				for (const answer of answers) expect(answer.outcomes).toEqual(answers[0]?.outcomes);
				expect(await first.text("n"), `after batch ${i}`).toBe(String(i));
			}
		},
		"losesAnswers",
	),

	check(
		13,
		"a batch that was refused stays refused, though it would be applied now",
		async (trial) => {
			const [client, other] = [await trial.client(), await trial.client()];
			await other.apply(put("a", 1));
			const batch = await client.batch([{ if: [{ key: "a", revision: 0 }], do: [put("a", 2), put("b", 1)] }]);
			const answer = await client.deliver(batch);
			expect(answer.outcomes).toMatchObject([{ ok: false, why: "condition" }]);
			await other.apply(remove("a"));
			expect((await client.deliver(batch)).outcomes, "the answer, again").toMatchObject([
				{ ok: false, why: "condition", index: 0 },
			]);
			expect(await client.list(), "what the refused batch wrote").toEqual([]);
		},
		"losesAnswers",
	),

	check(
		13,
		"a batch that comes late, behind a later one of its writer, is superseded",
		async (trial) => {
			const client = await trial.client();
			const [early, late] = [await client.batch([[add("n", 1)]]), await client.batch([[add("n", 10)]])];
			await client.deliver(late);
			for (let i = 0; i < 20; i++) {
				const answer = await client.send(early);
				if (isFailure(answer) && answer.failed === "unknown") continue;
				expect(answer).toMatchObject({ failed: "superseded" });
			}
			expect(await client.text("n")).toBe("10");
		},
		"losesAnswers",
	),

	check(
		13,
		"another batch under the same sequence is a conflict",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[add("n", 1)]]);
			await client.deliver(batch);
			const other = { ...batch, commits: [{ id: "another", do: [add("n", 10)] }] };
			for (let i = 0; i < 20; i++) {
				const answer = await client.send(other);
				if (isFailure(answer) && answer.failed === "unknown") continue;
				expect(answer).toMatchObject({ failed: "conflict" });
			}
			expect(await client.text("n")).toBe("1");
		},
		"losesAnswers",
	),

	check(
		13,
		"nothing is applied after its time: neither what was applied before, nor what never came",
		async (trial) => {
			const client = await trial.client();
			const applied = await client.batch([[add("n", 1)]]);
			await client.deliver(applied);
			const other = new Client(client.backend, client.scope);
			const never = await other.batch([[add("n", 10)]]);
			await trial.advance(31_000);
			// A later batch lets the store forget what it may.
			await new Client(client.backend, client.scope).apply(put("later", 1));
			for (let i = 0; i < 20; i++) {
				const again = await client.send(applied);
				if (isFailure(again)) expect(again.failed).toBeOneOf(["overdue", "unknown"]);
				else expect(again.outcomes).toMatchObject([{ ok: true, numbers: [1] }]);
				const answer = await other.send(never);
				expect(isFailure(answer) && answer.failed).toBeOneOf(["overdue", "unknown"]);
			}
			expect(await client.text("n")).toBe("1");
		},
		"losesAnswers",
		"advance",
	),

	check(
		13,
		"a batch is not applied again to a scope that was dropped in between, nor to one that ended",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[add("n", 1)]]);
			const answer = await client.deliver(batch);
			await client.backend.drop(client.scope);
			expect(await client.deliver(batch), "the answer after a drop").toEqual(answer);
			expect(await client.entry("n")).toBeNull();
			const short = await trial.client(`${anyScope}-short`);
			const born = await short.batch([[{ op: "touch", key: null, ttl: 5000 }, add("n", 1)]]);
			const first = await short.deliver(born);
			await trial.advance(10_000);
			expect((await short.read()).head, "the head of a scope that ended").toBe(0);
			expect(await short.deliver(born), "the answer after the end").toEqual(first);
			expect(await short.entry("n")).toBeNull();
		},
		"losesAnswers",
		"advance",
	),

	check(
		13,
		"a writer is remembered across a restart",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[add("n", 1)]]);
			const answer = await client.deliver(batch);
			await trial.harness.restart?.();
			const after = await trial.client();
			expect(await after.deliver(batch), "the answer after a restart").toEqual(answer);
			expect(await after.text("n")).toBe("1");
		},
		"losesAnswers",
		"restart",
	),

	check(
		13,
		"writers are apart, by scope and by name, also in one call; an empty batch keeps none",
		async (trial) => {
			const client = await trial.client();
			const far = await client.batch([], { sequence: 1000 });
			await client.deliver(far);
			await client.apply(add("n", 1));
			const elsewhere = new Client(client.backend, `${anyScope}-else`);
			const batch = await client.batch([[add("n", 1)]]);
			await client.deliver(batch);
			await client.deliver({ ...batch, scope: elsewhere.scope });
			expect(await elsewhere.text("n"), "the same writer in another scope").toBe("1");
			const other = new Client(client.backend, client.scope);
			const both = [await client.batch([[add("n", 10)]]), await other.batch([[add("n", 100)]])] as const;
			const answers = await Promise.all(client.backend.commit(both));
			for (const [i, answer] of answers.entries())
				if (isFailure(answer)) await (i === 0 ? client : other).deliver(both[i] as (typeof both)[0]);
			expect(await client.text("n")).toBe("112");
		},
		"losesAnswers",
	),

	check(
		13,
		"a writer is judged before seal, sweep and conditions",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([{ if: [{ key: "a", revision: 0 }], do: [put("a", 1, 5000)] }]);
			const answer = await client.deliver(batch);
			await trial.advance(10_000);
			expect(await client.deliver(batch), "the answer once the entry has expired").toEqual(answer);
			expect(await client.entry("a")).toBeNull();
			await new Client(client.backend, client.scope).apply(seal("moved"));
			expect(await client.deliver(batch), "the answer once the scope is sealed").toEqual(answer);
		},
		"losesAnswers",
		"advance",
	),

	check(
		13,
		"a scope that keeps no log remembers its writers all the same",
		async (trial) => {
			const client = await trial.client();
			client.keep = { changes: { count: 0, age: 0 }, events: { count: 0, age: 0 } };
			const batch = await client.batch([[add("n", 1)]]);
			const answer = await client.deliver(batch);
			expect(await client.deliver(batch)).toEqual(answer);
			expect(await client.text("n")).toBe("1");
		},
		"losesAnswers",
	),

	check(
		13,
		"what managers add through a store that loses, delays and repeats is counted once",
		async (trial) => {
			const managers = await Promise.all(
				Array.from({ length: 3 }, async (_, i) => {
					const { backend } = chaos(await trial.backend(), {
						random: seeded(i),
						loseAnswers: 0.2,
						loseBatches: 0.1,
						lateBatches: 0.2,
						repeatBatches: 0.2,
					});
					return trial.manager({ backend, timeout: "1m" });
				}),
			);
			const sums = await Promise.all(
				managers.map(async ({ shared }) => {
					const own: number[] = [];
					for (let i = 0; i < 8; i++)
						own.push(...(await Promise.all([shared.increment("n"), shared.increment("n")])));
					return own;
				}),
			);
			const all = sums.flat().sort((a, b) => a - b);
			expect(all, "the sums that were answered").toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
			for (let i = 0; i < 10; i++) await managers[0]?.shared.events.emit("once", i);
			const events: unknown[] = [];
			const history = managers[1]?.shared.events.history({ type: "once" });
			if (history !== undefined) for await (const { payload } of history) events.push(payload);
			expect(events, "events emitted through it").toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
		},
		"losesAnswers",
	),

	check(
		13,
		"what was handed over and never answered is outcome-unknown; what was not, timeout, and not written",
		async (trial) => {
			const { backend, faults, heal } = chaos(await trial.backend());
			const manager = await trial.manager({ backend });
			await manager.shared.set("a", 0);
			faults.hang = ["commit"];
			const codeOf = (write: Promise<unknown>): Promise<unknown> =>
				write.then(
					() => "answered",
					(error: { code?: string }) => error.code,
				);
			const sent = codeOf(manager.shared.set("sent", 1));
			await trial.settle();
			const waiting = codeOf(manager.shared.set("waiting", 1));
			await trial.advance(trial.timeout + 100);
			expect(await trial.within("the write that was sent", sent)).toBe("outcome-unknown");
			expect(await trial.within("the write that waited", waiting)).toBeOneOf(["timeout", "outcome-unknown"]);
			heal();
			await manager.shared.set("after", 1);
			expect(await manager.shared.getMany(["after", "waiting"])).toEqual([1, undefined]);
		},
	),

	check(13, "a store that loses every answer makes a write outcome-unknown, in time", async (trial) => {
		const { backend, faults, heal } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 0);
		faults.loseBatches = 1;
		const write = manager.shared.set("a", 1).then(
			() => "answered",
			(error: { code?: string }) => error.code,
		);
		await trial.advance(trial.timeout + 100);
		expect(await trial.within("the write", write)).toBe("outcome-unknown");
		heal();
		expect(await manager.shared.get("a"), "what was lost on its way").toBe(0);
		await manager.shared.set("a", 2);
		expect(await manager.shared.get("a"), "the next write").toBe(2);
	}),
];
