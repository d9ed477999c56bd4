import { describe, expect } from "vitest";
import type { Lease } from "./lock.js";
import type { StateManager } from "./manager.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

const reasonOf = ({ signal }: Lease): unknown => signal.reason;

const lost = (reason: string) => expect.objectContaining({ code: "lease-lost", scope: "shared", reason });

/** Who waits for a lock: notes when it got it, and hands over its lease. */
function waiter(manager: StateManager, name: string, order: string[], options = {}): Promise<Lease> {
	return manager.shared.lock("job", options).then((lease) => {
		order.push(name);
		return lease;
	});
}

describe("who waits for a lock", () => {
	test("gets it in the order of asking, within a process, whoever gives up on the way", async ({
		trial,
		manager,
	}) => {
		const order: string[] = [];
		let lease = await manager.shared.lock("job");
		const controller = new AbortController();
		const first = waiter(manager, "first", order);
		const given = waiter(manager, "given up", order, { signal: controller.signal });
		const short = waiter(manager, "short", order, { wait: 50 });
		const second = waiter(manager, "second", order);
		const third = waiter(manager, "third", order);
		const refused = [
			expect(given).rejects.toBe("enough"),
			expect(short).rejects.toMatchObject({ code: "lock-held", scope: "shared" }),
		];
		await trial.settle();
		controller.abort("enough");
		await trial.advance(100);
		await Promise.all(refused);
		expect(order).toEqual([]);
		const tokens = [lease.token];
		for (const next of [first, second, third]) {
			await lease.release();
			lease = await trial.within("the lock", next);
			tokens.push(lease.token);
		}
		expect(order).toEqual(["first", "second", "third"]);
		expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
		expect(new Set(tokens).size).toBe(4);
	});

	test("in another process gets it at once when it is let go of, and watches no longer then", async ({
		trial,
	}) => {
		const [holder, other] = [await trial.manager(), await trial.manager()];
		const lease = await holder.shared.lock("job");
		const order: string[] = [];
		const next = waiter(other, "other", order);
		await trial.settle();
		expect(order).toEqual([]);
		expect(other.health.watched).toBe(1);
		await lease.release();
		await trial.settle();
		expect(order).toEqual(["other"]);
		expect(other.health.watched).toBe(0);
		await (await next).release();
	});

	test("gets it when it runs out, though nothing tells of it", async ({ trial }) => {
		const gone = chaos(await trial.backend());
		await (await trial.manager({ backend: gone.backend })).shared.lock("job", { ttl: 2000 });
		gone.faults.unavailable = true;
		const { backend } = chaos(await trial.backend(), { dropSignals: 1 });
		const next = (await trial.manager({ backend })).shared.lock("job");
		await trial.advance(2100);
		await (await trial.within("the lock", next)).release();
	});

	test("is refused once its wait is over, by name and time left", async ({ trial, manager }) => {
		await manager.shared.lock("job", { ttl: 60_000 });
		const refused = manager.shared.lock("job", { wait: 500 }).catch((error: unknown) => error);
		await trial.advance(600);
		expect(await trial.within("the refusal", refused)).toMatchObject({
			code: "lock-held",
			holder: expect.stringMatching(/^[0-9a-f]{32}\.1$/),
			expiresIn: expect.closeTo(59_000, -4),
			message: expect.stringContaining('lock "job" is held by'),
		});
		const attempt = await manager.shared.tryLock("job");
		expect(attempt).toMatchObject({ acquired: false, expiresIn: expect.closeTo(59_000, -4) });
		expect(await manager.shared.tryLock("other")).toMatchObject({ acquired: true, lease: { name: "other" } });
	});

	test("with a wait of 0 asks once", async ({ trial, manager }) => {
		await manager.shared.lock("job");
		await expect(trial.within("the refusal", manager.shared.lock("job", { wait: 0 }))).rejects.toMatchObject({
			code: "lock-held",
		});
	});

	test("is given up by a signal at once, in line, in waiting and before asking", async ({
		trial,
		manager,
	}) => {
		const lease = await manager.shared.lock("job");
		const controller = new AbortController();
		const { signal } = controller;
		const both = [manager.shared.lock("job", { signal }), manager.shared.lock("job", { signal })].map(
			(waiting) => expect(waiting).rejects.toBe("enough"),
		);
		await trial.settle();
		controller.abort("enough");
		await trial.within("the refusals", Promise.all(both));
		await expect(manager.shared.lock("job", { signal })).rejects.toBe("enough");
		expect(manager.health.watched).toBe(0);
		await lease.release();
		await manager.shared.lock("job", { wait: 0 });
	});
});

describe("a lease", () => {
	test("is released by `await using`, and by lock(name, work) whatever the work does", async ({
		manager,
	}) => {
		const free = async (): Promise<boolean> => {
			const attempt = await manager.shared.tryLock("job");
			if (attempt.acquired) await attempt.lease.release();
			return attempt.acquired;
		};
		{
			await using lease = await manager.shared.lock("job");
			expect(lease.remaining).toBeGreaterThan(14_000);
			expect(await free()).toBe(false);
		}
		expect(await free()).toBe(true);
		expect(await manager.shared.lock("job", { ttl: 1000 }, ({ remaining }) => remaining < 1000)).toBe(true);
		expect(await free()).toBe(true);
		const thrown = new Error("thrown");
		await expect(
			manager.shared.lock("job", () => {
				throw thrown;
			}),
		).rejects.toBe(thrown);
		expect(await free()).toBe(true);
		for (const ends of [true, false]) {
			const work = Promise.withResolvers<string>();
			const done = manager.shared.lock("job", () => work.promise);
			expect(await free(), "while the work goes on").toBe(false);
			if (ends) work.resolve("done");
			else work.reject(thrown);
			await (ends ? expect(done).resolves.toBe("done") : expect(done).rejects.toBe(thrown));
			expect(await free(), "once it is done").toBe(true);
		}
	});

	test("that is released says so: its signal, what is left, its check, and a fence", async ({ manager }) => {
		const lease = await manager.shared.lock("job");
		const aborted = new Promise((resolve) => lease.signal.addEventListener("abort", resolve));
		await lease.release();
		await aborted;
		expect(reasonOf(lease)).toEqual(lost("released"));
		expect(lease.remaining).toBe(0);
		expect(() => lease.check()).toThrow(lost("released"));
		await expect(manager.shared.set("a", 1, { fence: lease })).rejects.toEqual(lost("released"));
		await lease.release();
		// Who asks for the signal only then finds it aborted.
		const other = await manager.shared.lock("job");
		await other.release();
		expect(other.signal.aborted).toBe(true);
	});

	test("outlives its ttl by renewal, and renews no more once it was released", async ({ trial }) => {
		const inner = await trial.backend();
		let touches = 0;
		const backend = around(inner, {
			commit(batches) {
				if (batches.some(({ commits }) => commits.some((commit) => commit.do[0]?.op === "touch"))) touches++;
				return inner.commit(batches);
			},
		});
		const { shared } = await trial.manager({ backend });
		const lease = await shared.lock("job", { ttl: 3000 });
		await trial.advance(10_000);
		expect(lease.signal.aborted).toBe(false);
		expect(touches).toBeGreaterThanOrEqual(9);
		expect(touches).toBeLessThanOrEqual(12);
		await lease.release();
		touches = 0;
		await trial.advance(10_000);
		expect(touches).toBe(0);
	});

	test("ends as expired when the event loop stood still past it: its timer tells, too", async ({
		trial,
		manager,
	}) => {
		const lease = await manager.shared.lock("job", { ttl: 3000 });
		const reasons: unknown[] = [];
		lease.signal.addEventListener("abort", () => reasons.push(reasonOf(lease)));
		trial.clock.jump(3000);
		expect(reasons).toEqual([lost("expired")]);
	});

	test("ends as unreachable when it could not be renewed in time, before it runs out at the store", async ({
		trial,
	}) => {
		const { backend, faults } = chaos(await trial.backend());
		const { shared } = await trial.manager({ backend });
		const lease = await shared.lock("job", { ttl: 30_000 });
		faults.unavailable = true;
		// Well before its end: the trial's clock goes on by itself, too, and a loaded machine takes its time.
		await trial.advance(20_000);
		expect(lease.signal.aborted).toBe(false);
		await trial.advance(9_750);
		expect(reasonOf(lease)).toEqual(lost("unreachable"));
	});

	test("ends as taken when another has the lock at its renewal; sealed, dropped and forgotten, as expired", async ({
		trial,
	}) => {
		const [holder, other] = [await trial.manager(), await trial.manager()];
		const lease = await holder.shared.lock("job", { ttl: 3000 });
		await trial.harness.advance?.(3000);
		await other.shared.lock("job", { ttl: 60_000 });
		await trial.advance(1100);
		expect(reasonOf(lease)).toEqual(lost("taken"));
		const second = await holder.user("ada").lock("job", { ttl: 3000 });
		await other.user("ada").drop();
		await trial.advance(1100);
		expect(reasonOf(second)).toMatchObject({ reason: "expired", scope: "user/ada" });
	});

	test("guards every kind of write", async ({ trial }) => {
		const [holder, other] = [await trial.manager(), await trial.manager()];
		await other.shared.set("present", 1);
		const { shared } = holder;
		const fence = await shared.lock("job", { ttl: 3000 });
		const writes: Record<string, () => Promise<unknown>> = {
			set: () => shared.set("a", 1, { fence }),
			getOrSet: () => shared.getOrSet("b", 1, { fence }),
			update: () => shared.update("present", () => 2, { fence }),
			delete: () => shared.delete("present", { fence }),
			clear: () => shared.clear("present", { fence }),
			increment: () => shared.increment("n", 1, { fence }),
			"a bounded increment": () => shared.increment("n", 1, { fence, max: 5 }),
			commit: () => shared.commit((tx) => tx.set("a", 1), { fence }),
			notify: () => shared.notify("present", { fence }),
			emit: () => shared.events.emit("told", 1, { fence }),
		};
		// Of the store's time only: the holder believes that it still has the lock.
		await trial.harness.advance?.(3000);
		await other.shared.lock("job", { ttl: 60_000 });
		for (const [name, write] of Object.entries(writes)) {
			const error = await write().then(
				() => "written",
				(reason: unknown) => reason,
			);
			expect(error, name).toEqual(lost("taken"));
		}
		expect(await other.shared.getMany(["present", "a", "b", "n"])).toEqual([
			1,
			undefined,
			undefined,
			undefined,
		]);
	});

	test("of another scope or lock is no fence", async ({ manager }) => {
		const fence = await manager.user("ada").lock("job");
		await expect(manager.shared.set("a", 1, { fence })).rejects.toMatchObject({ code: "lease-lost" });
		await manager.user("ada").set("a", 1, { fence });
	});

	test("beside a condition that fails is not what is blamed", async ({ manager }) => {
		const fence = await manager.shared.lock("job");
		await manager.shared.set("a", 1);
		await expect(manager.shared.set("a", 2, { fence, ifAbsent: true })).rejects.toMatchObject({
			code: "conflict",
		});
		expect(await manager.shared.update("a", (n) => n + 1, { fence })).toBe(2);
	});

	for (const fault of ["unavailable", "hang"] as const)
		test(`that can't be let go of, because the store ${fault === "hang" ? "hangs" : "is out of reach"}, is let go of once it can be`, async ({
			trial,
		}) => {
			const { backend, faults } = chaos(await trial.backend());
			const { shared } = await trial.manager({ backend, timeout: 5000 });
			const lease = await shared.lock("job", { ttl: "1h" });
			faults[fault] = true;
			const released = lease.release();
			expect(lease.remaining, "to its holder it is over at once").toBe(0);
			await trial.advance(6000);
			await trial.within("the release, which waits for one answer", released);
			await trial.advance(120_000);
			faults[fault] = false;
			const other = await trial.manager();
			expect(await other.shared.tryLock("job")).toMatchObject({ acquired: false });
			await trial.advance(6000);
			expect(await other.shared.tryLock("job")).toMatchObject({ acquired: true });
			expect(trial.errors).toEqual([]);
			// The lease of the other is none of its business.
			await trial.advance(10_000);
			expect(await trial.within("an attempt", shared.tryLock("job"))).toMatchObject({ acquired: false });
		});

	test("that can't be let go of in time runs out by itself, and is reported once", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const { shared } = await trial.manager({ backend });
		const lease = await shared.lock("job", { ttl: 2000 });
		faults.unavailable = true;
		await lease.release();
		await trial.advance(3000);
		expect(trial.errors).toMatchObject([{ code: "unavailable" }]);
		faults.unavailable = false;
		expect((await shared.lock("job")).token).toBeGreaterThan(lease.token);
	});

	test("that can't be let go of does not keep a manager from closing, and is asked for once more", async ({
		trial,
	}) => {
		for (const isBack of [true, false]) {
			const { backend, faults } = chaos(await trial.backend());
			const manager = await trial.manager({ backend });
			const lease = await manager.shared.lock("job", { ttl: "1m" });
			faults.unavailable = true;
			await lease.release();
			expect(trial.errors).toEqual([]);
			faults.unavailable = !isBack;
			await trial.within("the close", manager.close({ timeout: 1000 }));
			expect(trial.errors).toMatchObject(isBack ? [] : [{ code: "unavailable" }]);
			expect(trial.clock.waiting, "timers that wait").toBe(0);
			const other = await trial.manager();
			expect(await other.shared.tryLock("job")).toMatchObject({ acquired: isBack });
			await other.close();
		}
	});
});

describe("an attempt whose answer was lost", () => {
	test("is given back, if it was applied", async ({ remote }) => {
		const inner = await remote.backend();
		let lose = true;
		const backend = around(inner, {
			commit: (batches) =>
				inner.commit(batches).map(async (answer) => {
					const answered = await answer;
					return lose ? { failed: "unknown" as const, message: "lost" } : answered;
				}),
		});
		const holder = await remote.manager({ backend });
		await holder.ready();
		const refused = expect(holder.shared.lock("job", { timeout: 300, ttl: "1h" })).rejects.toMatchObject({
			code: "outcome-unknown",
		});
		await remote.advance(400);
		await refused;
		lose = false;
		const other = await remote.manager();
		await remote.eventually("the lock is free", async () => {
			const attempt = await other.shared.tryLock("job");
			expect(attempt.acquired).toBe(true);
		});
	});

	test("so is one that was given up by its signal while it was in flight", async ({ remote }) => {
		const holder = await remote.manager();
		await holder.ready();
		const controller = new AbortController();
		const waiting = holder.shared.lock("job", { signal: controller.signal, ttl: "1h" });
		await new Promise((resolve) => setImmediate(resolve));
		controller.abort("enough");
		await expect(waiting).rejects.toBe("enough");
		const other = await remote.manager();
		await other.shared.lock("job", { wait: 2000 });
	});

	test("and that had not even arrived never does", async ({ remote }) => {
		const inner = await remote.backend();
		const held: (() => unknown)[] = [];
		const backend = around(inner, {
			commit(batches) {
				if (held.length > 0) return inner.commit(batches);
				held.push(() => inner.commit(batches)[0]);
				return batches.map(() => new Promise(() => {}));
			},
		});
		const holder = await remote.manager({ backend });
		await holder.ready();
		const refused = expect(holder.shared.lock("job", { timeout: 100, ttl: "1h" })).rejects.toMatchObject({
			code: "outcome-unknown",
		});
		await remote.advance(150);
		await refused;
		await remote.settle();
		expect(await held[0]?.()).toMatchObject({ failed: "superseded" });
		expect(await (await remote.manager()).shared.tryLock("job")).toMatchObject({ acquired: true });
	});

	test("so is one whose answer came after its lease had run out, and it asks again", async ({ remote }) => {
		const inner = await remote.backend();
		let late = true;
		const backend = around(inner, {
			commit: (batches) =>
				inner.commit(batches).map(async (answer) => {
					const answered = await answer;
					if (late) {
						late = false;
						remote.clock.jump(3000);
						await remote.harness.advance?.(3000);
					}
					return answered;
				}),
		});
		const { shared } = await remote.manager({ backend });
		await shared.get("a");
		const lease = await shared.lock("job", { ttl: 2000 });
		expect(lease.remaining).toBeGreaterThan(1000);
	});
});

describe("a lock's name", () => {
	test("may be anything but empty or malformed", async ({ manager }) => {
		for (const name of ["a", "a/b", "*", "**", "a b", "{}", "!", "é"])
			await manager.shared.lock(name, () => {});
		for (const name of ["", "\ud800", 7 as never])
			await expect(manager.shared.lock(name)).rejects.toMatchObject({ code: "invalid-key" });
		await expect(manager.shared.lock("x".repeat(1025))).rejects.toMatchObject({ code: "too-large" });
		for (const options of [{ ttl: 0 }, { ttl: "soon" as never }, { wait: -1 }])
			await expect(manager.shared.lock("job", options)).rejects.toMatchObject({ code: "invalid-argument" });
	});
});
