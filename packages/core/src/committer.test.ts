import { describe, expect } from "vitest";
import type { Backend, Batch, BatchAnswer, Failure, Soon } from "./backend.js";
import type { Clock } from "./clock.js";
import { memory } from "./memory.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

type Answer = Soon<BatchAnswer | Failure>;
const unknown: Failure = { failed: "unknown", message: "the answer was lost" };

/** A store whose calls are noted, and answered as a test says. */
function noted(
	inner: Backend,
	answer: (batch: Batch, arrive: () => Answer) => Answer = (_, arrive) => arrive(),
) {
	const calls: (readonly Batch[])[] = [];
	const backend = around(inner, {
		commit(batches) {
			calls.push(batches);
			return batches.map((batch) => answer(batch, () => inner.commit([batch])[0] as Answer));
		},
	});
	return { backend, calls };
}

/** A store whose commits wait at a gate until it is opened. */
function gated(inner: Backend) {
	const { promise, resolve } = Promise.withResolvers<void>();
	return { ...noted(inner, (_, arrive) => promise.then(arrive)), open: resolve };
}

const keysOf = (batch: Batch | undefined): string[] =>
	batch?.commits.flatMap((commit) =>
		commit.do.map((mutation) => String("key" in mutation && mutation.key)),
	) ?? [];

describe("what is asked in one turn", () => {
	test("goes to the store in one call, one batch a scope, in the order of the calls", async ({ remote }) => {
		const { backend, calls } = noted(await remote.backend());
		const manager = await remote.manager({ backend });
		await manager.ready();
		const { shared } = manager;
		const ada = manager.user("ada");
		await Promise.all([
			shared.set("a", 1),
			ada.set("x", 1),
			shared.set("b", 2),
			ada.delete("y"),
			shared.delete("a"),
		]);
		expect(calls).toHaveLength(1);
		expect(calls[0]?.map(keysOf)).toEqual([
			["a", "b", "a"],
			["x", "y"],
		]);
		expect(await shared.getMany(["a", "b"])).toEqual([undefined, 2]);
	});

	test("also if it is the first that is asked of the store, which is never called with nothing", async ({
		remote,
	}) => {
		const { backend, calls } = noted(await remote.backend());
		const { shared } = await remote.manager({ backend });
		const first = shared.set("a", 1);
		await new Promise((resolve) => setImmediate(resolve));
		await Promise.all([first, shared.set("b", 1)]);
		await remote.settle();
		expect(calls.map((batches) => batches.map(keysOf))).toEqual([[["a", "b"]]]);
	});

	test("has refusals of its own: one commit that fails fails alone", async ({ remote }) => {
		const { shared } = await remote.manager();
		await shared.set("text", "a");
		const [a, refused, conflict, b] = await Promise.allSettled([
			shared.set("a", 1),
			shared.increment("text"),
			shared.set("text", "b", { ifAbsent: true }),
			shared.set("b", 1),
		]);
		expect([a.status, b.status]).toEqual(["fulfilled", "fulfilled"]);
		expect(refused).toMatchObject({ reason: { code: "not-a-number", scope: "shared", key: "text" } });
		expect(conflict).toMatchObject({ reason: { code: "conflict", entry: { key: "text" } } });
	});
});

describe("a store within the process", () => {
	/** Memory as a store whose calls are gathered; what it commits at once is noted, as far as `takes` says that it does. */
	function embedded(takes = true) {
		const inner = memory();
		const { backend, calls } = noted(inner);
		const atOnce: string[] = [];
		const store = around(backend, {
			traits: { reach: "device", durable: false },
			commitNow(sender, commit, step) {
				atOnce.push(...commit.do.map((mutation) => ("key" in mutation && mutation.key) || ""));
				return takes ? inner.commitNow?.(sender, commit, step) : undefined;
			},
		});
		return { store, calls, atOnce };
	}

	test("commits at once what is alone at a turn's end, and what came with others as a batch", async ({
		remote,
	}) => {
		const { store, calls, atOnce } = embedded();
		const manager = await remote.manager({ backend: store });
		await manager.ready();
		const { shared } = manager;
		const revision = await shared.set("a", 1);
		expect(await shared.entry("a")).toMatchObject({ revision, value: 1 });
		await expect(shared.set("a", 2, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		expect([atOnce, calls.flat().map(keysOf)]).toEqual([["a", "a"], []]);
		await Promise.all([shared.set("b", 1), shared.set("c", 1)]);
		await Promise.all([shared.set("d", 1), manager.user("ada").set("e", 1)]);
		expect([atOnce, calls.flat().map(keysOf)]).toEqual([
			["a", "a"],
			[["b", "c"], ["d"], ["e"]],
		]);
		expect(manager.health.pending).toBe(0);
	});

	test("commits as a batch what it does not take at once", async ({ remote }) => {
		const { store, calls, atOnce } = embedded(false);
		const manager = await remote.manager({ backend: store });
		await manager.ready();
		await manager.shared.set("a", 1);
		expect([atOnce, calls.flat().map(keysOf)]).toEqual([["a"], [["a"]]]);
		expect(await manager.shared.get("a")).toBe(1);
	});

	test("may be asked for more by who hears of a commit", async ({ remote }) => {
		const { store, atOnce } = embedded();
		const manager = await remote.manager({ backend: store });
		const { shared } = manager;
		const nested: Promise<number>[] = [];
		const watching = shared.subscribe("a", () => {
			nested.push(shared.set("b", 1));
		});
		await watching.ready;
		const first = await shared.set("a", 1);
		await expect.poll(() => nested.length).toBe(1);
		expect(await nested[0]).toBeGreaterThan(first);
		expect(atOnce).toEqual(["a", "b"]);
		expect(await shared.getMany(["a", "b"])).toEqual([1, 1]);
	});
});

describe("while a scope's batch is in flight", () => {
	test("what comes waits and goes as one batch; other scopes go on", async ({ remote }) => {
		const { backend, calls, open } = gated(await remote.backend());
		const manager = await remote.manager({ backend });
		await manager.ready();
		const { shared } = manager;
		const writes: Promise<unknown>[] = [];
		for (const key of ["a", "b", "c"]) {
			writes.push(shared.set(key, 1));
			await new Promise((resolve) => setImmediate(resolve));
		}
		writes.push(manager.user("ada").set("x", 1));
		await new Promise((resolve) => setImmediate(resolve));
		expect(calls.flat().map(keysOf)).toEqual([["a"], ["x"]]);
		expect(manager.health.pending).toBe(4);
		open();
		await Promise.all(writes);
		expect(calls.flat().map(keysOf)).toEqual([["a"], ["x"], ["b", "c"]]);
		expect(manager.health.pending).toBe(0);
		const sequences = calls.flat().map(({ sequence }) => sequence);
		expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
	});

	test("a batch takes 1,000 mutations", async ({ remote }) => {
		const { backend, calls } = noted(await remote.backend());
		const { shared } = await remote.manager({ backend });
		const many = (from: number) =>
			shared.commit((tx) => {
				for (let i = from; i < from + 400; i++) tx.set(`k${i}`, i);
			});
		await Promise.all([many(0), many(400), many(800)]);
		expect(calls.map(([batch]) => batch?.commits.length)).toEqual([2, 1]);
		expect(await shared.count()).toBe(1200);
	});

	test("and 2 MiB; what is larger alone goes alone", async ({ remote }) => {
		const { backend, calls } = noted(await remote.backend());
		const { shared } = await remote.manager({ backend });
		const text = "x".repeat(900_000);
		await Promise.all(["a", "b", "c"].map((key) => shared.set(key, text)));
		expect(calls.map(([batch]) => keysOf(batch))).toEqual([["a", "b"], ["c"]]);
	});

	test("so many may wait, further ones are busy and write nothing", async ({ remote }) => {
		const { backend, open } = gated(await remote.backend());
		const { shared } = await remote.manager({ backend, limits: { queue: 2 } });
		await shared.get("a");
		const sent = shared.set("sent", 1);
		await new Promise((resolve) => setImmediate(resolve));
		const waiting = [shared.set("a", 1), shared.set("b", 1)];
		await expect(shared.set("c", 1)).rejects.toMatchObject({ code: "busy", scope: "shared" });
		open();
		await Promise.all([sent, ...waiting]);
		expect(await shared.getMany(["a", "b", "c"])).toEqual([1, 1, undefined]);
	});
});

describe("an answer that was lost", () => {
	test("is asked for again with the same batch, after longer and longer pauses", async ({ remote }) => {
		const times: number[] = [];
		const { backend, calls } = noted(await remote.backend(), async (_, arrive) => {
			times.push(remote.clock.monotonic());
			const answer = await arrive();
			return times.length < 6 ? unknown : answer;
		});
		const { shared } = await remote.manager({ backend, random: () => 0 });
		const added = shared.increment("n");
		await remote.advance(1000);
		expect(await added).toBe(1);
		expect(await shared.get("n")).toBe(1);
		expect(calls).toHaveLength(6);
		for (const [batch] of calls) expect(batch).toEqual(calls[0]?.[0]);
		const pauses = times.slice(1).map((time, i) => time - (times[i] as number));
		for (const [i, least] of [10, 20, 40, 80, 160].entries())
			expect(pauses[i], `pause ${i}`).toBeGreaterThanOrEqual(least);
	});

	test("holds back what comes after it, until it is known", async ({ remote }) => {
		let lost = 0;
		const { backend } = noted(await remote.backend(), async (batch, arrive) =>
			// The batch itself is lost, twice.
			keysOf(batch).includes("a") && lost++ < 2 ? unknown : arrive(),
		);
		const { shared } = await remote.manager({ backend });
		const order: string[] = [];
		const note = (name: string) => () => order.push(name);
		await Promise.all([
			shared.set("a", 1).then(note("a")),
			remote.settle().then(() => shared.set("a", 2).then(note("b"))),
		]);
		expect(order).toEqual(["a", "b"]);
		expect(await shared.get("a")).toBe(2);
	});

	test("of a store that is then out of reach or busy stays unknown, and is asked for all the same", async ({
		remote,
	}) => {
		const answers: (Failure | undefined)[] = [
			unknown,
			{ failed: "unavailable", message: "down" },
			{ failed: "busy", message: "too many writers" },
		];
		const { backend, calls } = noted(await remote.backend(), async (_, arrive) => {
			const answer = await arrive();
			return answers.shift() ?? answer;
		});
		const { shared } = await remote.manager({ backend });
		expect(await shared.increment("n")).toBe(1);
		expect(calls).toHaveLength(4);
		expect(await shared.get("n")).toBe(1);
	});

	test("is given up at the caller's time-out, as outcome-unknown", async ({ remote }) => {
		const { backend } = noted(await remote.backend(), () => unknown);
		const manager = await remote.manager({ backend });
		await manager.ready();
		const written = expect(manager.shared.set("a", 1, { timeout: 200 })).rejects.toMatchObject({
			code: "outcome-unknown",
			scope: "shared",
		});
		await remote.advance(250);
		await written;
		expect(manager.health).toMatchObject({ status: "unreachable", pending: 0 });
	});

	test("leaves no timer behind when the manager closes", async ({ remote }) => {
		const { backend, calls } = noted(await remote.backend(), () => unknown);
		const manager = await remote.manager({ backend });
		const written = manager.shared.set("a", 1).catch(({ code }) => code);
		await remote.eventually("it is sent again", () => expect(calls.length).toBeGreaterThan(3));
		expect(await manager.close({ timeout: 0 })).toEqual({ unflushed: [{ scope: "shared", commits: 1 }] });
		expect(await written).toBe("outcome-unknown");
		expect(remote.clock.waiting, "timers that wait").toBe(0);
	});
});

test("what still waits at its time-out was not written; what the store had is overtaken and never applied", async ({
	remote,
}) => {
	const late: (() => Answer)[] = [];
	const { backend } = noted(await remote.backend(), (batch, arrive) => {
		if (!keysOf(batch).includes("late")) return arrive();
		late.push(arrive);
		return new Promise(() => {});
	});
	const { shared } = await remote.manager({ backend });
	await shared.get("a");
	const sent = expect(shared.set("late", 1, { timeout: 10_000 })).rejects.toMatchObject({
		code: "outcome-unknown",
	});
	await new Promise((resolve) => setImmediate(resolve));
	const waiting = expect(shared.set("a", 1, { timeout: 5000 })).rejects.toMatchObject({ code: "timeout" });
	await remote.advance(11_000);
	await Promise.all([sent, waiting]);
	await shared.set("b", 1);
	expect(await late[0]?.()).toMatchObject({ failed: "superseded" });
	expect(await shared.getMany(["late", "a", "b"])).toEqual([undefined, undefined, 1]);
});

describe("a batch that the store calls overdue", () => {
	test("because the clock was thought earlier is sent again, once, by the store's clock", async ({
		remote,
	}) => {
		const { backend, calls } = noted(await remote.backend());
		const { shared } = await remote.manager({ backend });
		await shared.get("a");
		await remote.harness.advance?.(60_000);
		expect(await shared.increment("n")).toBe(1);
		expect(calls).toHaveLength(2);
		const [first, second] = calls.flat() as [Batch, Batch];
		expect(second.until - first.until).toBeGreaterThanOrEqual(60_000);
		expect(second.sequence).toBeGreaterThan(first.sequence);
		expect(second.commits).toEqual(first.commits);
	});

	test("again and again is a timeout: nothing was written", async ({ remote }) => {
		const { backend, calls } = noted(await remote.backend(), () => ({
			failed: "overdue",
			message: "too late",
			now: 1e12 * (1 + Math.random()),
		}));
		const { shared } = await remote.manager({ backend });
		await expect(shared.set("a", 1)).rejects.toMatchObject({ code: "timeout" });
		expect(calls).toHaveLength(2);
	});
});

describe("a store out of reach", () => {
	test("is told at once, and health says so until it answers again", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend());
		const manager = await remote.manager({ backend });
		await manager.shared.set("a", 1);
		const heard: string[] = [];
		manager.on("health", ({ status }) => heard.push(status));
		faults.unavailable = true;
		await expect(manager.shared.set("a", 2)).rejects.toMatchObject({ code: "unavailable" });
		await expect(manager.shared.set("a", 3)).rejects.toMatchObject({ code: "unavailable" });
		expect(manager.health).toMatchObject({ status: "unreachable", error: { code: "unavailable" } });
		faults.unavailable = false;
		await manager.shared.set("a", 4);
		expect(manager.health).toMatchObject({ status: "ok", error: undefined });
		expect(heard).toEqual(["unreachable", "ok"]);
	});

	test("is noticed by the first write, too", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend());
		const manager = await remote.manager({ backend });
		faults.unavailable = true;
		await expect(manager.shared.set("a", 1)).rejects.toMatchObject({ code: "unavailable" });
		expect(manager.health).toMatchObject({ status: "unreachable", pending: 0 });
		faults.unavailable = false;
		await manager.shared.set("a", 2);
		expect(manager.health.status).toBe("ok");
	});

	test("and a first write to one that hangs is a timeout, at the caller's time-out", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend());
		const manager = await remote.manager({ backend });
		faults.hang = true;
		const written = expect(manager.shared.set("a", 1, { timeout: 100 })).rejects.toMatchObject({
			code: "timeout",
		});
		await remote.advance(150);
		await written;
		faults.hang = false;
		await remote.advance(5000);
		expect(await manager.shared.get("a")).toBeUndefined();
		await manager.shared.set("a", 2);
	});
});

describe("a signal", () => {
	test("that has aborted already keeps a commit from being handed over", async ({ trial, remote }) => {
		for (const { shared } of [await trial.manager(), await remote.manager()]) {
			const reason = new Error("not wanted");
			await expect(shared.set("a", 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
			expect(await shared.get("a")).toBeUndefined();
		}
	});

	test("that aborts while a commit waits writes nothing; in flight it may have been written", async ({
		remote,
	}) => {
		const { backend, calls, open } = gated(await remote.backend());
		const manager = await remote.manager({ backend });
		await manager.ready();
		const controller = new AbortController();
		const { signal } = controller;
		const sent = manager.shared.set("sent", 1, { signal });
		await new Promise((resolve) => setImmediate(resolve));
		const waiting = manager.shared.set("waiting", 1, { signal });
		const behind = manager.shared.set("behind", 1);
		controller.abort("enough");
		expect(await Promise.allSettled([sent, waiting])).toMatchObject([
			{ reason: "enough" },
			{ reason: "enough" },
		]);
		open();
		await behind;
		expect(calls.flat().flatMap(keysOf)).toEqual(["sent", "behind"]);
		expect(manager.health.pending).toBe(0);
	});
});

describe("a store within the process", () => {
	test("has a write when the call returns: what the same turn reads sees it", async ({ trial }) => {
		const backend = await trial.backend();
		const { shared } = await trial.manager({ backend });
		const write = shared.set("a", 1);
		expect(backend.read([{ scope: "conformance/shared", keys: ["a"] }])).toMatchObject([
			{ entries: [{ key: "a" }] },
		]);
		const read = shared.get("a");
		const added = [shared.increment("a"), shared.increment("a")];
		expect(await read).toBe(1);
		expect(await Promise.all(added)).toEqual([2, 3]);
		await write;
	});
});

test("a machine's clock that is set back stops nobody from writing to a store within the process", async ({
	trial,
}) => {
	let back = 0;
	const clock: Clock = {
		now: () => trial.clock.now() - back,
		monotonic: () => trial.clock.monotonic(),
		after: (...timer) => trial.clock.after(...timer),
	};
	const { shared } = await trial.manager({ backend: memory({ clock }), clock });
	const before = await shared.set("a", 1);
	back = 3_600_000;
	expect(await shared.set("a", 2)).toBeGreaterThan(before);
	expect(await shared.get("a")).toBe(2);
});
