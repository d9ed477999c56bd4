import { describe, expect } from "vitest";
import type { Mutation } from "./backend.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

describe("a session with a ttl", () => {
	test("is kept by reading and by writing, whatever deadlines its entries have, and ends as one", async ({
		trial,
		manager,
	}) => {
		const session = manager.session("s", { ttl: "1m" });
		await session.set("a", 1);
		await session.set("long", 1, { ttl: "1h" });
		const uses = [
			() => session.get("a"),
			() => session.set("b", 1),
			() => session.count(),
			() => session.getMany(["b"]),
			() => session.has("none"),
			() => session.commit((tx) => tx.get("a")),
			() => session.events.emit("used", 1),
			() => session.lock("job", () => {}),
		];
		for (const use of uses) {
			await trial.advance(50_000);
			await use();
		}
		expect(await (await trial.manager()).session("s").getMany(["a", "b", "long"])).toEqual([1, 1, 1]);
		await trial.advance(61_000);
		const other = (await trial.manager()).session("s");
		expect(await other.count()).toBe(0);
		for await (const _ of other.events.history()) throw new Error("an event is left");
	});

	test("takes as many mutations in a commit as any scope: its own deadline does not count", async ({
		manager,
	}) => {
		const session = manager.session("s", { ttl: "1m" });
		const write = (count: number): Promise<unknown> =>
			session.commit((tx) => {
				for (let i = 0; i < count; i++) tx.set(`k/${i}`, i);
			});
		await write(1000);
		await expect(write(1001)).rejects.toMatchObject({ code: "too-large", scope: "session/s" });
		expect(await session.clear()).toBe(1000);
	});

	test("that ends is one reset for who watches it", async ({ trial, manager }) => {
		const session = manager.session("s", { ttl: "1m" });
		const watching = (await trial.manager()).session("s");
		await session.set("a", 1);
		await session.set("b", 1, { ttl: "1h" });
		const mirror = watching.mirror();
		await mirror.ready;
		const resets: number[] = [];
		await watching.subscribe("**", () => {}, { onReset: (entries) => resets.push(entries.length) }).ready;
		expect(mirror.size).toBe(2);
		await trial.advance(62_000);
		expect(mirror.list()).toEqual([]);
		expect(resets).toEqual([0]);
	});

	test("is touched now and then only, though it is read all the time", async ({ trial }) => {
		const inner = await trial.backend();
		const sent: Mutation[] = [];
		const backend = around(inner, {
			commit(batches) {
				sent.push(...batches.flatMap(({ commits }) => commits.flatMap((commit) => commit.do)));
				return inner.commit(batches);
			},
		});
		const session = (await trial.manager({ backend })).session("s", { ttl: "1m" });
		await session.set("a", 1);
		sent.length = 0;
		for (let i = 0; i < 60; i++) {
			await session.get("a");
			await trial.advance(1000);
		}
		expect(sent.every((mutation) => mutation.op === "touch" && mutation.key === null)).toBe(true);
		expect(sent.length).toBeGreaterThanOrEqual(9);
		expect(sent.length).toBeLessThanOrEqual(13);
	});

	test("that was never written is read without making one, and without an error", async ({
		trial,
		manager,
	}) => {
		const session = manager.session("never", { ttl: "1m" });
		expect(await session.get("a")).toBeUndefined();
		const { scopes } = await (await trial.backend()).scopes({
			prefix: "conformance/session/",
			after: null,
			limit: 9,
		});
		expect(scopes).toEqual([]);
		expect(trial.errors).toEqual([]);
	});

	test("that can't be kept alive is still read, and that is reported", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const session = (await trial.manager({ backend })).session("s", { ttl: "1m" });
		await session.set("a", 1);
		await trial.advance(10_000);
		faults.unavailable = ["commit"];
		expect(await session.get("a")).toBe(1);
		await trial.settle();
		expect(trial.errors).toMatchObject([{ code: "unavailable" }]);
	});

	test("outlives its end while a lock is held in it", async ({ trial, manager }) => {
		const session = manager.session("s", { ttl: 5000 });
		await session.set("a", 1);
		await using lease = await session.lock("job", { ttl: 60_000 });
		await trial.harness.advance?.(10_000);
		const other = (await trial.manager()).session("s");
		expect(await other.get("a")).toBe(1);
		expect(await other.tryLock("job")).toMatchObject({ acquired: false });
		lease.check();
	});
});

test("a session without a ttl never ends, and may be given one later", async ({ trial, manager }) => {
	const session = manager.session("s");
	await session.set("a", 1);
	await trial.harness.advance?.(86_400_000);
	expect(await session.get("a")).toBe(1);
	expect(manager.session("s", { ttl: "1m" })).toBe(session);
	await session.set("a", 2);
	await trial.harness.advance?.(86_400_000);
	// The commit that creates a scope says whether it has a deadline.
	expect(await session.get("a")).toBe(2);
	expect(() => manager.session("s", { ttl: 0 })).toThrow(
		expect.objectContaining({ code: "invalid-argument" }),
	);
});
