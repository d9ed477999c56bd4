import { describe, expect } from "vitest";
import type { Backend, Batch, BatchAnswer, Failure, Soon } from "./backend.js";
import type { Clock } from "./clock.js";
import type { ManagerOptions } from "./manager.js";
import { memory } from "./memory.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { seeded } from "./testing/random.js";
import type { Trial } from "./testing/trial.js";
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
		await remote.eventually("it is told", () => expect(nested).toHaveLength(1));
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
	const down = { failed: "unavailable", message: "down" } as const;

	/** A manager whose time is what the test lets pass: how long the machine takes besides must not count as an outage. */
	const timed = async (trial: Trial, options: Partial<ManagerOptions>) => {
		let passed = 0;
		const clock: Clock = {
			now: () => passed,
			monotonic: () => passed,
			after: (...timer) => trial.clock.after(...timer),
		};
		const manager = await trial.manager({ clock, ...options });
		const pass = async (ms: number): Promise<void> => {
			// What was asked for before is on its way before it passes.
			await trial.settle();
			passed += ms;
			await trial.advance(ms);
		};
		const wait = (ms: number): void => {
			passed += ms;
		};
		return { manager, pass, wait };
	};

	test("for a moment costs nobody a write: it is asked again, in order, and health says so meanwhile", async ({
		remote,
	}) => {
		const { backend, faults } = chaos(await remote.backend());
		const seen = noted(backend);
		const { manager, pass } = await timed(remote, { backend: seen.backend });
		const { shared } = manager;
		await shared.set("a", 1);
		const heard: string[] = [];
		manager.on("health", ({ status }) => heard.push(status));
		faults.unavailable = true;
		const order: string[] = [];
		const note = (name: string) => () => order.push(name);
		const writes = [shared.set("a", 2).then(note("first"))];
		await remote.settle();
		expect(manager.health).toMatchObject({
			status: "unreachable",
			error: { code: "unavailable" },
			pending: 1,
		});
		writes.push(shared.set("a", 3).then(note("second")));
		await pass(500);
		writes.push(manager.user("ada").increment("n").then(note("other")));
		await pass(800);
		expect(order).toEqual([]);
		const attempts = seen.calls.length;
		expect(attempts, "with longer and longer pauses").toBeLessThan(20);
		faults.unavailable = false;
		await pass(300);
		await Promise.all(writes);
		expect(seen.calls.length, "all of them in one call").toBe(attempts + 1);
		expect(order).toEqual(["first", "second", "other"]);
		expect(await shared.get("a")).toBe(3);
		expect(await manager.user("ada").get("n")).toBe(1);
		expect(manager.health).toMatchObject({ status: "ok", error: undefined, pending: 0 });
		expect(heard).toEqual(["unreachable", "ok"]);
		const sequences = seen.calls.flat().map(({ sequence }) => sequence);
		expect(sequences, "another batch each time").toEqual([...new Set(sequences)].toSorted((a, b) => a - b));
	});

	test("for longer is told, and from then on at once, until it answers again", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend());
		const { manager, pass } = await timed(remote, { backend });
		const { shared } = manager;
		await shared.set("a", 1);
		faults.unavailable = true;
		const told: unknown[] = [];
		const writes = [shared.set("a", 2), manager.user("ada").set("a", 2)].map((write) =>
			write.catch(({ code }) => told.push(code)),
		);
		await pass(1900);
		const late = shared.set("a", 3).catch(({ code }) => code);
		expect(told).toEqual([]);
		await pass(400);
		await Promise.all(writes);
		expect(told).toEqual(["unavailable", "unavailable"]);
		expect(await late, "what came late in the outage").toBe("unavailable");
		await expect(shared.set("a", 4)).rejects.toMatchObject({ code: "unavailable", scope: "shared" });
		expect(manager.health).toMatchObject({ status: "unreachable", pending: 0 });
		faults.unavailable = false;
		await shared.set("a", 5);
		expect(manager.health).toMatchObject({ status: "ok", error: undefined });
		faults.unavailable = true;
		const next = shared.set("a", 6);
		await pass(1000);
		faults.unavailable = false;
		await pass(300);
		await next;
		expect(await shared.get("a")).toBe(6);
	});

	test("is told to each when its own patience ends: nothing of it was written, or will be", async ({
		remote,
	}) => {
		const { backend, faults } = chaos(await remote.backend());
		const { manager, pass } = await timed(remote, { backend });
		const { shared } = manager;
		await shared.get("a");
		faults.unavailable = true;
		const controller = new AbortController();
		const short = shared.set("short", 1, { timeout: 1000 }).catch(({ code }) => code);
		const given = shared.set("given up", 1, { signal: controller.signal }).catch((reason) => reason);
		const patient = shared.set("patient", 1);
		await remote.settle();
		const behind = shared.set("behind", 1, { timeout: 5 }).catch(({ code }) => code);
		controller.abort("enough");
		expect(await given).toBe("enough");
		await pass(1100);
		expect(await behind, "perhaps never handed over").toBeOneOf(["timeout", "unavailable"]);
		expect(await short).toBe("unavailable");
		expect(manager.health.pending).toBe(1);
		faults.unavailable = false;
		await pass(300);
		await patient;
		expect(await shared.getMany(["short", "given up", "behind", "patient"])).toEqual([
			undefined,
			undefined,
			undefined,
			1,
		]);
	});

	test("after an answer that was lost is outcome-unknown to who asked before", async ({ remote }) => {
		const answers: (Failure | Promise<never>)[] = [down, new Promise(() => {})];
		const { backend, calls } = noted(await remote.backend(), (_, arrive) => answers.shift() ?? arrive());
		const { manager, pass } = await timed(remote, { backend });
		const { shared } = manager;
		await shared.get("a");
		const write = shared.set("a", 1, { timeout: 1000 }).catch(({ code }) => code);
		await pass(1100);
		expect(await write, "its second attempt was handed over and never answered").toBe("outcome-unknown");
		expect(calls).toHaveLength(2);
		await shared.set("b", 1);
		expect(await shared.getMany(["a", "b"])).toEqual([undefined, 1]);
	});

	test("is noticed by the first write, too", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend());
		const { manager, pass } = await timed(remote, { backend });
		faults.unavailable = true;
		const write = manager.shared.set("a", 1).catch(({ code }) => code);
		await pass(2500);
		expect(await write).toBe("unavailable");
		expect(manager.health).toMatchObject({ status: "unreachable", pending: 0 });
		faults.unavailable = false;
		await manager.shared.set("a", 2);
		expect(manager.health.status).toBe("ok");
		const { manager: other, pass: passOther } = await timed(remote, { backend });
		faults.unavailable = true;
		const first = other.shared.increment("a");
		await remote.settle();
		expect(other.health).toMatchObject({ status: "unreachable", pending: 1 });
		await passOther(500);
		faults.unavailable = false;
		await passOther(300);
		expect(await first).toBe(3);
	});

	test("is flushed by a close that lasts as long, and named by one that does not, which leaves no timer", async ({
		remote,
	}) => {
		for (const isBack of [true, false]) {
			const { backend, faults } = chaos(await remote.backend());
			const { manager, pass } = await timed(remote, { backend });
			await manager.shared.get("a");
			faults.unavailable = true;
			const write = manager.shared.set("a", isBack).then(
				() => "answered",
				({ code }) => code,
			);
			await remote.settle();
			const close = manager.close({ timeout: 1000 });
			await pass(500);
			faults.unavailable = !isBack;
			await pass(1000);
			expect(await close).toEqual({ unflushed: isBack ? [] : [{ scope: "shared", commits: 1 }] });
			expect(await write).toBe(isBack ? "answered" : "timeout");
			expect(remote.clock.waiting, "timers that wait").toBe(0);
		}
		expect(await (await remote.manager()).shared.get("a")).toBe(true);
	});

	test("is told at once where the store has waited itself, or is this device's", async ({ remote }) => {
		for (const reach of ["network", "device"] as const) {
			let waited = (): void => {};
			const { backend, calls } = noted(await remote.backend(), async () => {
				waited();
				return down;
			});
			const { manager, wait } = await timed(remote, {
				backend: around(backend, { traits: { reach, durable: true } }),
			});
			await manager.ready();
			if (reach === "network") waited = () => wait(150);
			await expect(manager.shared.set("a", 1)).rejects.toMatchObject({ code: "unavailable" });
			expect(calls).toHaveLength(1);
		}
	});

	test("again and again loses and doubles nothing, whatever the patience of each", async ({ remote }) => {
		const { backend, faults } = chaos(await remote.backend(), { loseAnswers: 0.1, random: seeded(3) });
		const random = seeded(4);
		const { manager, pass } = await timed(remote, { backend, timeout: 20_000, random });
		const { shared } = manager;
		let least = 0;
		let unsure = 0;
		const writes: Promise<void>[] = [];
		for (let i = 0; i < 200; i++) {
			faults.unavailable = random() < 0.5;
			const write = shared.increment("n", 1, random() < 0.3 ? { timeout: 1 + random() * 1000 } : {});
			writes.push(
				write.then(
					() => void least++,
					({ code }) => {
						expect(code).toBeOneOf(["unavailable", "timeout", "outcome-unknown"]);
						if (code === "outcome-unknown") unsure++;
					},
				),
			);
			await pass(Math.floor(random() * 300));
		}
		faults.unavailable = false;
		faults.loseAnswers = 0;
		await pass(20_000);
		await Promise.all(writes);
		const counted = await shared.get("n");
		expect(least).toBeGreaterThan(100);
		expect(counted).toBeGreaterThanOrEqual(least);
		expect(counted).toBeLessThanOrEqual(least + unsure);
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
