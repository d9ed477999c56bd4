/** Promise 3: a commit whose condition fails writes nothing and says which condition, with the current entry. */
import { expect } from "vitest";
import { lockUnder } from "../key.js";
import { sumModulus } from "../reducer.js";
import { type Check, check } from "./check.js";
import { anyScope, put, remove, tallyOf } from "./client.js";

export const conditions: readonly Check[] = [
	check(3, "a key's condition holds at its revision and at no other", async (trial) => {
		const client = await trial.client();
		const { revision: first } = await client.apply(put("a", 1));
		const { revision } = await client.apply(put("a", 2));
		for (const stale of [0, first, revision - 1, revision + 1]) {
			const refused = await client.refuse({ if: [{ key: "a", revision: stale }], do: [put("a", 3)] });
			expect(refused, `a condition on revision ${stale}`).toMatchObject({ why: "condition", index: 0 });
			expect(refused.entry, "the current entry").toMatchObject({ key: "a", revision });
			expect(refused.entry?.value.text, "its value").toBe("2");
		}
		expect(await client.text("a"), "what the refused commits left").toBe("2");
		await client.applyIf([{ key: "a", revision }], put("a", 3));
		expect(await client.text("a")).toBe("3");
	}),

	check(3, "revision 0 holds where the key is absent, and only there", async (trial) => {
		const client = await trial.client();
		await client.applyIf([{ key: "a", revision: 0 }], put("a", 1));
		expect(
			(await client.refuse({ if: [{ key: "a", revision: 0 }], do: [put("a", 2)] })).entry?.value.text,
		).toBe("1");
		await client.apply(remove("a"));
		const refused = await client.refuse({ if: [{ key: "a", revision: 5 }], do: [put("a", 2)] });
		expect(refused.entry, "the entry of an absent key").toBeNull();
		await client.applyIf([{ key: "a", revision: 0 }], put("a", 3));
	}),

	check(3, "the first condition that fails is named, whatever keys are written", async (trial) => {
		const client = await trial.client();
		const { revision } = await client.apply(put("a", 1), put("b", 1));
		const refused = await client.refuse({
			if: [
				{ key: "a", revision },
				{ key: "b", revision: revision + 1 },
				{ key: "c", revision: 7 },
			],
			do: [put("d", 1)],
		});
		expect(refused).toMatchObject({ why: "condition", index: 1, entry: { key: "b", revision } });
		expect(await client.entry("d"), "what the refused commit wrote").toBeNull();
		expect((await client.read()).head).toBe(revision);
	}),

	check(3, "conditions see the commits before theirs in the same batch", async (trial) => {
		const client = await trial.client();
		const outcomes = await client.commit(
			{ if: [{ key: "a", revision: 0 }], do: [put("a", 1)] },
			{ if: [{ key: "a", revision: 0 }], do: [put("a", 2)] },
			[remove("a")],
			{ if: [{ key: "a", revision: 0 }], do: [put("a", 3)] },
		);
		expect(outcomes.map(({ ok }) => ok)).toEqual([true, false, true, true]);
		expect(await client.text("a")).toBe("3");
	}),

	check(3, "of many that create one key at once, one does", async (trial) => {
		const clients = await Promise.all(Array.from({ length: 12 }, () => trial.client()));
		const outcomes = await Promise.all(
			clients.map((client, i) => client.commit({ if: [{ key: "a", revision: 0 }], do: [put("a", i)] })),
		);
		const won = outcomes.flatMap(([outcome], i) => (outcome?.ok ? [i] : []));
		expect(won, "who created it").toHaveLength(1);
		expect(await clients[0]?.text("a")).toBe(String(won[0]));
	}),

	check(
		3,
		"a listing is a condition: it stands until a member is added, removed or written",
		async (trial) => {
			const client = await trial.client();
			await client.apply(
				put("a/1", 1),
				put("a/2", 2),
				put("a/2/3", 3),
				put("b/1", 1),
				put("a", 0),
				put("a0", 0),
			);
			const here = (): Promise<{ under: string; count: number; sum: number }> =>
				client.list("a/").then((entries) => ({ under: "a/", ...tallyOf(entries) }));
			const listing = await here();
			expect(listing.count, "members under a/").toBe(3);
			await client.applyIf(
				[listing],
				put("b/2", 1),
				remove("b/1"),
				put("a", 1),
				put("a0", 1),
				put("ab/1", 1),
			);
			await client.applyIf([listing], put("elsewhere", 1));
			for (const change of [put("a/4", 1), put("a/1", 1), remove("a/2/3")]) {
				const before = await here();
				await client.apply(change);
				const refused = await client.refuse({ if: [before], do: [put("never", 1)] });
				expect(refused, "after a member changed").toMatchObject({ why: "condition", index: 0 });
				await client.applyIf([await here()], put("b/3", 1));
			}
			expect(await client.entry("never")).toBeNull();
		},
	),

	check(
		3,
		"the listing of everything leaves the reserved segment out, and one that names it counts it",
		async (trial) => {
			const client = await trial.client();
			const lock = `${lockUnder}a`;
			await client.apply(put("a", 1), put("!0key", 1), put("~0", 1));
			const everything = { under: "", ...tallyOf(await client.list()) };
			const none = { under: lockUnder, count: 0, sum: 0 };
			expect(everything.count).toBe(3);
			await client.applyIf([everything, none], put(lock, 1));
			expect(
				(await client.list()).map(({ key }) => key),
				"a listing after a lock was taken",
			).not.toContain(lock);
			await client.refuse({ if: [none], do: [put("never", 1)] });
			const locks = { under: lockUnder, ...tallyOf(await client.list(lockUnder)) };
			expect(locks.count).toBe(1);
			await client.applyIf([everything, locks], put("a", 2));
		},
	),

	check(3, "revisions of a listing are summed modulo 2^52", async (trial) => {
		const client = await trial.client();
		let plain = 0;
		for (let i = 0; i < 12; i++) plain += (await client.apply(put(`a/${i}`, i))).revision;
		expect(plain).toBeGreaterThan(sumModulus);
		const tally = tallyOf(await client.list("a/"));
		expect(tally.sum).toBeLessThan(sumModulus);
		await client.applyIf([{ under: "a/", ...tally }], put("b", 1));
		await client.refuse({ if: [{ under: "a/", count: 12, sum: plain }], do: [put("b", 2)] });
		await client.refuse({ if: [{ under: "a/", count: 11, sum: tally.sum }], do: [put("b", 2)] });
	}),

	check(3, "a transaction that listed runs again once the listing has changed", async (trial) => {
		const [one, other] = [await trial.manager(), await trial.manager()];
		await one.shared.set("seats/a", "ada");
		let runs = 0;
		const { value } = await one.shared.commit(async (tx) => {
			const seats = await tx.list("seats/*");
			if (runs++ === 0) await other.shared.set("seats/b", "bob");
			tx.set("taken", seats.length);
			return seats.length;
		});
		expect(runs, "how often the transaction ran").toBe(2);
		expect(value).toBe(2);
		expect(await other.shared.get("taken")).toBe(2);
	}),

	check(3, "a write on a condition that fails is refused as conflict, with what is there", async (trial) => {
		const { shared } = await trial.manager();
		const revision = await shared.set("a", "first");
		await expect(shared.set("a", "second", { ifAbsent: true })).rejects.toMatchObject({
			code: "conflict",
			key: "a",
			entry: { revision },
		});
		await expect(shared.set("a", "second", { ifRevision: revision + 1 })).rejects.toMatchObject({
			code: "conflict",
		});
		await expect(shared.delete("a", { ifRevision: revision - 1 })).rejects.toMatchObject({
			code: "conflict",
		});
		expect(await shared.get("a")).toBe("first");
		await shared.set("a", "second", { ifRevision: revision });
		expect(await shared.get("a")).toBe("second");
	}),

	check(3, "of scopes that were never written, nothing is there and every absence holds", async (trial) => {
		const client = await trial.client(`${anyScope}-new`);
		expect(await client.read("a")).toMatchObject({ head: 0, next: null, entries: [null] });
		expect(await client.list()).toEqual([]);
		expect(await client.log()).toMatchObject({ records: [], more: false, head: 0 });
		await client.refuse({ if: [{ key: "a", revision: 1 }], do: [put("a", 1)] });
		expect((await client.read()).head, "the head after a refusal only").toBe(0);
		await client.applyIf(
			[
				{ key: "a", revision: 0 },
				{ under: "", count: 0, sum: 0 },
			],
			put("a", 1),
		);
	}),
];
