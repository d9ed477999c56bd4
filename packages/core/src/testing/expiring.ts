/** Promise 5: an entry is invisible from the instant of its expiry, by the store's clock. */
import { expect } from "vitest";
import type { LogRecord } from "../backend.js";
import { type Check, check } from "./check.js";
import { add, type Client, isFailure, put, remove, tallyOf, touch } from "./client.js";

const minute = 60_000;

/** What records tell, a line each. */
export const told = (records: readonly LogRecord[]): readonly string[] =>
	records.map(({ changes }) =>
		changes
			.map(({ type, key }) => `${type} ${key}`)
			.sort()
			.join(", "),
	);

export const expiring: readonly Check[] = [
	check(5, "a deadline is the store's clock plus the ttl", async (trial) => {
		const client = await trial.client();
		const { now: before } = await client.read();
		const done = await client.deliver(await client.batch([[put("a", 1, minute)], [put("b", 1)]]));
		const entry = await client.entry("a");
		expect(entry?.expiresAt ?? 0, "the deadline").toBeGreaterThanOrEqual(before + minute);
		expect(entry?.expiresAt ?? 0, "the deadline").toBeLessThanOrEqual(done.now + minute);
		expect((await client.entry("b"))?.expiresAt, "the deadline of an entry without ttl").toBeNull();
		expect(done.next, "the scope's next deadline, in a commit's answer").toBe(entry?.expiresAt);
		expect((await client.read()).next, "the scope's next deadline, in a read's answer").toBe(
			entry?.expiresAt,
		);
	}),

	check(
		5,
		"from its expiry on, an entry is invisible to reads, lists and conditions, though nobody swept it",
		async (trial) => {
			const client = await trial.client();
			const { revision } = await client.apply(put("a", 1, minute), put("b", 2));
			await trial.advance(minute - 20_000);
			expect(await client.text("a"), "before its expiry").toBe("1");
			await trial.advance(20_000);
			expect(await client.entry("a"), "after its expiry, read").toBeNull();
			expect(
				(await client.list()).map(({ key }) => key),
				"after its expiry, listed",
			).toEqual(["b"]);
			await client.refuse({ if: [{ key: "a", revision }], do: [put("c", 1)] });
			const listing = { under: "", ...tallyOf(await client.list()) };
			await client.applyIf([listing, { key: "a", revision: 0 }], put("c", 1));
		},
		"advance",
	),

	check(
		5,
		"an expired entry is not touched, not added to, and not what was there when it is written again",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("n", 41, minute), put("t", 1, minute), put("d", 1, minute), put("w", 1, minute));
			await trial.advance(minute);
			expect(await client.refuse([touch("t", minute)])).toMatchObject({
				why: "absent",
				index: 0,
				entry: null,
			});
			expect((await client.apply(add("n", 1))).numbers).toEqual([1]);
			expect((await client.entry("n"))?.expiresAt, "the deadline of a number that began anew").toBeNull();
			expect((await client.apply(remove("d"))).changes, "what deleting an expired entry changes").toBe(0);
			const { revision } = await client.apply(put("w", 2));
			expect(await client.entry("w")).toMatchObject({ revision, createdRevision: revision });
		},
		"advance",
	),

	check(
		5,
		"what is due is swept before a commit is judged, as a commit of its own",
		async (trial) => {
			const client = await trial.client();
			const { revision: set } = await client.apply(put("a", 1, minute), put("b", 1, minute), put("c", 1));
			await trial.advance(minute);
			const ear = await client.watch();
			const outcomes = await client.commit({ if: [{ key: "a", revision: 0 }], do: [put("a", 2)] });
			expect(outcomes[0]?.ok).toBe(true);
			const { records } = await client.log(set);
			expect(told(records), "what the log tells").toEqual(["expire a, expire b", "set a"]);
			expect(records[0]?.previous, "the sweep's place in the chain").toBe(set);
			expect(records[1]?.previous, "the commit's place in the chain").toBe(records[0]?.revision);
			expect(records[0]?.changes[0]?.entry, "the entry of an expire").toBeNull();
			await trial.eventually("watchers are signalled", () => expect(ear.signals).not.toEqual([]));
		},
		"advance",
	),

	check(
		5,
		"an empty batch only sweeps",
		async (trial) => {
			const client = await trial.client();
			const { revision: set } = await client.apply(put("a", 1, minute), put("b", 1, 3 * minute));
			const idle = await client.sweep();
			expect(idle.head, "the head after a sweep of nothing").toBe(set);
			expect(idle.outcomes).toEqual([]);
			await trial.advance(minute);
			const swept = await client.sweep();
			expect(swept.head).toBeGreaterThan(set);
			expect(swept.next, "the next deadline").toBe((await client.entry("b"))?.expiresAt);
			expect(told((await client.log(set)).records)).toEqual(["expire a"]);
			await trial.advance(2 * minute);
			expect(await client.sweep()).toMatchObject({ next: null });
			expect((await client.sweep()).head, "the head after another sweep").toBe((await client.read()).head);
			expect(told((await client.log(set)).records)).toEqual(["expire a", "expire b"]);
		},
		"advance",
	),

	check(
		5,
		"many sweepers at once tell each expiry once",
		async (trial) => {
			const clients = await Promise.all(Array.from({ length: 8 }, () => trial.client()));
			const [first] = clients as [Client];
			await first.apply(...Array.from({ length: 50 }, (_, i) => put(`a/${i}`, i, minute)));
			await trial.advance(minute);
			await Promise.all(clients.map((client) => client.sweep()));
			const { records } = await first.log();
			const expired = records.flatMap(({ changes }) => changes.filter(({ type }) => type === "expire"));
			expect(new Set(expired.map(({ key }) => key)).size).toBe(50);
			expect(expired, "how often expiries were told").toHaveLength(50);
		},
		"advance",
	),

	check(
		5,
		"a sweep takes at most a thousand entries and those that its batch names; the rest stays invisible",
		async (trial) => {
			const client = await trial.client();
			for (let i = 0; i < 3; i++)
				await client.apply(...Array.from({ length: 500 }, (_, j) => put(`a/${i}/${j}`, j, minute + i)));
			await client.apply(put("z", 1, minute + 9));
			await trial.advance(2 * minute);
			const { head: before } = await client.read();
			await client.applyIf([{ key: "z", revision: 0 }], put("b", 1));
			const [sweep] = (await client.log(before)).records;
			expect(sweep?.changes.length, "how many entries the first sweep took").toBeLessThanOrEqual(1001);
			expect(
				sweep?.changes.some(({ key }) => key === "z"),
				"whether it took the one that was named",
			).toBe(true);
			expect((await client.list()).map(({ key }) => key)).toEqual(["b"]);
			for (let i = 0; (await client.read()).next !== null; i++) {
				expect(i, "how many sweeps it takes").toBeLessThan(10);
				await client.sweep();
			}
			const { records } = await client.log(before);
			const expired = records.flatMap(({ changes }) => changes.filter(({ type }) => type === "expire"));
			expect(expired, "all that expired, once").toHaveLength(1501);
		},
		"advance",
	),

	check(
		5,
		"a put without ttl clears a deadline, an Add without one keeps it, one with it sets it",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("n", 1, minute), put("p", 1, minute));
			const before = (await client.entry("n"))?.expiresAt;
			await client.apply(add("n", 1), put("p", 2));
			expect((await client.entry("n"))?.expiresAt, "after an Add without ttl").toBe(before);
			expect((await client.entry("p"))?.expiresAt, "after a put without ttl").toBeNull();
			await client.apply(add("n", 1, { ttl: 10 * minute }));
			expect((await client.entry("n"))?.expiresAt, "after an Add with ttl").toBeGreaterThanOrEqual(
				(before ?? 0) + 9 * minute,
			);
			await client.apply(put("p", 3, minute), put("n", 1, minute));
			expect((await client.entry("n"))?.expiresAt, "after a put with a shorter ttl").toBeLessThan(
				(before ?? 0) + 2 * minute,
			);
			expect((await client.read()).next, "the next deadline").not.toBeNull();
		},
	),

	check(5, "a Touch extends a deadline and does nothing else; nobody hears of it", async (trial) => {
		const client = await trial.client();
		const { revision } = await client.apply(put("a", 1, minute), put("b", 1));
		const before = await client.entry("a");
		const ear = await client.watch();
		await client.apply(touch("a", 5 * minute), touch("b", minute));
		const after = await client.entry("a");
		expect(after?.expiresAt, "the deadline after a longer Touch").toBeGreaterThanOrEqual(
			(before?.expiresAt ?? 0) + 4 * minute,
		);
		expect(after).toMatchObject({ revision, createdRevision: revision });
		await client.apply(touch("a", 1000));
		expect((await client.entry("a"))?.expiresAt, "the deadline after a shorter Touch").toBe(after?.expiresAt);
		expect((await client.entry("b"))?.expiresAt, "the deadline of an entry that had none").toBeNull();
		expect(await client.log(), "the log").toMatchObject({ head: revision, records: [{ revision }] });
		expect((await client.read()).next, "the next deadline").toBe(after?.expiresAt);
		// A commit behind the Touches is heard; had they been, they would have come before it.
		const { revision: behind } = await client.apply(put("c", 1));
		await trial.eventually("the commit behind is signalled", () => expect(ear.signals).not.toEqual([]));
		expect(
			ear.records.every((record) => record.revision === behind),
			"nobody heard of a Touch",
		).toBe(true);
	}),

	check(
		5,
		"a deadline that was extended holds, and one that was shortened too",
		async (trial) => {
			const client = await trial.client();
			await client.apply(put("longer", 1, minute), put("shorter", 1, 10 * minute), put("never", 1, minute));
			await client.apply(touch("longer", 5 * minute), put("shorter", 1, minute), put("never", 1));
			await trial.advance(minute);
			await client.sweep();
			expect((await client.list()).map(({ key }) => key)).toEqual(["longer", "never"]);
			await trial.advance(4 * minute);
			await client.sweep();
			expect((await client.list()).map(({ key }) => key)).toEqual(["never"]);
		},
		"advance",
	),

	check(
		5,
		"a deadline survives a restart",
		async (trial) => {
			await (await trial.client()).apply(put("a", 1, minute), put("b", 1));
			await trial.harness.restart?.();
			const client = await trial.client();
			expect(await client.text("a"), "before it").toBe("1");
			await trial.advance(minute);
			expect(await client.entry("a"), "after it").toBeNull();
			await client.sweep();
			expect(told((await client.log()).records).at(-1)).toBe("expire a");
		},
		"advance",
		"restart",
	),

	check(
		5,
		"a batch that comes after its time is refused as overdue, and writes nothing",
		async (trial) => {
			const client = await trial.client();
			const batch = await client.batch([[put("a", 1)]]);
			await trial.advance(batch.until - (await client.read()).now + 1000);
			const answer = await client.send(batch);
			if (isFailure(answer) && answer.failed === "unknown") return;
			expect(answer).toMatchObject({ failed: "overdue" });
			expect(await client.entry("a")).toBeNull();
		},
		"advance",
	),
];
