import { describe, expect, vi } from "vitest";
import { createStateManager, type ManagerOptions, type StateManager } from "./manager.js";
import { memory } from "./memory.js";
import type { Scope } from "./scope.js";
import { defineState } from "./state.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test, untyped } from "./with-trial.js";

describe("scopes", () => {
	test("are one object each while anybody holds them", ({ manager }) => {
		expect(manager.shared).toBe(manager.shared);
		const ada = manager.user("ada");
		expect(manager.user("ada")).toBe(ada);
		expect(manager.scope("user", "ada")).toBe(ada);
		expect(manager.user("Ada")).not.toBe(ada);
		expect(manager.scope("room", "ada")).not.toBe(ada);
		expect([ada.kind, ada.id, manager.shared.kind, manager.shared.id]).toEqual([
			"user",
			"ada",
			"shared",
			undefined,
		]);
	});

	test("of ids that are no text, empty, malformed or too long are refused, by name", ({ manager }) => {
		const code = (work: () => unknown): unknown => {
			try {
				work();
				return "made";
			} catch (error) {
				return (error as { code: string }).code;
			}
		};
		for (const id of ["", undefined, null, 7, {}, "\ud800", "a\udc00"] as never[])
			for (const make of [() => manager.user(id), () => manager.session(id), () => manager.scope("room", id)])
				expect(code(make)).toBe("invalid-id");
		expect(code(() => manager.user("x".repeat(1025)))).toBe("too-large");
		for (const kind of ["", "a/b", "a b", "1a", "é", "x".repeat(65)])
			expect(
				code(() => manager.scope(kind, "1")),
				kind,
			).toBe("invalid-id");
	});

	test("refuse malformed keys and patterns in every call, naming scope and key", async ({ manager }) => {
		const { shared } = manager;
		const calls: Record<string, (key: string) => unknown> = {
			get: (key) => shared.get(key),
			getMany: (key) => shared.getMany(["a", key]),
			entry: (key) => shared.entry(key),
			has: (key) => shared.has(key),
			set: (key) => shared.set(key, 1),
			getOrSet: (key) => shared.getOrSet(key, 1),
			update: (key) => shared.update(key, () => 1),
			delete: (key) => shared.delete(key),
			increment: (key) => shared.increment(key),
			touch: (key) => shared.touch(key, 1000),
			notify: (key) => shared.notify(key),
			"list after": (key) => shared.list("**", { after: key })[Symbol.asyncIterator]().next(),
		};
		for (const [name, call] of Object.entries(calls))
			for (const [key, code] of [
				["", "invalid-key"],
				["a/*", "invalid-key"],
				["\ud800", "invalid-key"],
				["x".repeat(1025), "too-large"],
				[7 as never, "invalid-key"],
			] as const) {
				const outcome = (async () => call(key))();
				await expect(outcome, `${name} of ${String(key).slice(0, 5)}`).rejects.toMatchObject({
					code,
					scope: "shared",
				});
			}
		for (const pattern of ["**/a", "a/**/b", "\ud800/*"])
			for (const call of [
				() => shared.subscribe(pattern, () => {}),
				() => shared.mirror(pattern),
				() => shared.clear(pattern),
				() => shared.count(pattern),
			])
				await expect((async () => call())(), pattern).rejects.toMatchObject({
					code: "invalid-pattern",
					scope: "shared",
				});
		expect(await shared.count()).toBe(0);
	});

	test("of one namespace are not another's", async ({ trial }) => {
		const backend = await trial.backend();
		const [one, other] = [
			await trial.manager({ backend, namespace: "one" }),
			await trial.manager({ backend, namespace: "o" }),
		];
		await one.shared.set("a", 1);
		await one.user("ada").set("a", 1);
		expect(await other.shared.has("a")).toBe(false);
		expect(await other.user("ada").has("a")).toBe(false);
	});
});

describe("options", () => {
	test("that are malformed are refused when the manager is made", () => {
		const malformed: Partial<ManagerOptions<never>>[] = [
			{ namespace: "" },
			{ namespace: "a/b" },
			{ timeout: 0 },
			{ timeout: "soon" as never },
			{ ttl: 0 },
			{ scopes: { room: { ttl: "never" as never } } },
			{ scopes: { room: { changes: { age: -1 } } } },
			{ limits: { valueBytes: 2 ** 20 + 1 } },
			{ limits: { commitMutations: 0 } },
			{ limits: { commitBytes: 1.5 } },
			{ limits: { queue: 0 } },
			{ limits: { queue: Number.NaN } },
			{ scopes: { room: { changes: { count: -1 } } } },
			{ scopes: { room: { events: { count: 1.5 } } } },
		];
		for (const options of malformed)
			expect(
				() => createStateManager({ backend: memory(), ...options } as ManagerOptions),
				JSON.stringify(options),
			).toThrow(expect.objectContaining({ code: expect.stringMatching(/^invalid-(argument|id)$/) }));
	});

	test("bound values and commits, below what any store takes", async ({ trial }) => {
		const limits = { valueBytes: 100, commitMutations: 3, commitBytes: 150 };
		const { shared } = await trial.manager({ limits });
		await shared.set("a", "x".repeat(98));
		await expect(shared.set("a", "x".repeat(99))).rejects.toMatchObject({
			code: "too-large",
			scope: "shared",
			key: "a",
		});
		await expect(shared.events.emit("a", "x".repeat(99))).rejects.toMatchObject({ code: "too-large" });
		const commit = (count: number, size: number) =>
			shared.commit((tx) => {
				for (let i = 0; i < count; i++) tx.set(`k${i}`, "x".repeat(size));
			});
		await commit(3, 10);
		await expect(commit(4, 10)).rejects.toMatchObject({ code: "too-large", scope: "shared" });
		await expect(commit(2, 90)).rejects.toMatchObject({ code: "too-large", scope: "shared" });
		expect(await shared.clear()).toBe(4);
	});
});

describe("the health", () => {
	test("begins idle, follows the store's answers, and is told when its status changes", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		const heard: string[] = [];
		const off = manager.on("health", ({ status, error }) => heard.push(`${status} ${error?.code ?? ""}`));
		expect(manager.health).toMatchObject({ status: "idle", error: undefined, pending: 0, watched: 0 });
		await manager.ready();
		expect(manager.health.status).toBe("ok");
		// The store's clock is an hour ahead of the machine's, the manager's two behind.
		expect(manager.health.clockOffset).toBeCloseTo(10_800_000, -3);
		faults.unavailable = true;
		await expect(manager.ready()).rejects.toMatchObject({ code: "unavailable" });
		await expect(manager.shared.count()).rejects.toMatchObject({ code: "unavailable" });
		faults.unavailable = false;
		await manager.ready();
		off();
		faults.unavailable = true;
		await expect(manager.ready()).rejects.toMatchObject({ code: "unavailable" });
		expect(heard).toEqual(["unreachable unavailable", "ok "]);
	});

	test("is not shaken by a refusal", async ({ manager }) => {
		await manager.shared.set("a", "text");
		await expect(manager.shared.increment("a")).rejects.toMatchObject({ code: "not-a-number" });
		await expect(manager.shared.set("a", 1, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		expect(manager.health.status).toBe("ok");
	});

	test("is closed at the end, and says so to who listens", async ({ manager }) => {
		const heard: string[] = [];
		manager.on("health", ({ status }) => heard.push(status));
		await manager.close();
		expect(heard).toEqual(["closed"]);
		expect(manager.health.status).toBe("closed");
	});
});

describe("errors that no call can report", () => {
	const failing = async (manager: StateManager): Promise<void> => {
		await manager.shared.subscribe("**", () => {
			throw new Error("thrown");
		}).ready;
		await manager.shared.set("a", 1);
		await new Promise((resolve) => setImmediate(resolve));
	};

	test("are printed when nobody listens, or when the listener itself throws", async () => {
		const printed = vi.spyOn(console, "error").mockImplementation(() => {});
		try {
			await using silent = createStateManager({ backend: memory() });
			await failing(silent);
			expect(printed).toHaveBeenCalledExactlyOnceWith(
				expect.objectContaining({ code: "failed", scope: "shared" }),
			);
			await using loud = createStateManager({ backend: memory() });
			const thrown = new Error("the listener's own");
			loud.on("error", () => {
				throw thrown;
			});
			await failing(loud);
			expect(printed).toHaveBeenLastCalledWith(thrown);
		} finally {
			printed.mockRestore();
		}
	});

	test("are told to each listener, as often as it listens", async ({ trial, manager }) => {
		const heard: unknown[] = [];
		const listener = (error: { code: string }): void => {
			heard.push(error.code);
		};
		const off = manager.on("error", listener);
		manager.on("error", listener);
		await failing(manager);
		off();
		await manager.shared.set("a", 2);
		await trial.settle();
		expect(heard).toEqual(["failed", "failed", "failed"]);
	});
});

describe("close", () => {
	test("writes what was accepted, and answers who waits for it", async ({ remote }) => {
		const manager = await remote.manager();
		const writes = [1, 2, 3].map((n) => manager.shared.set(`k${n}`, n));
		const closed = manager.close();
		await expect(manager.shared.set("late", 1)).rejects.toMatchObject({ code: "closed" });
		expect(await closed).toEqual({ unflushed: [] });
		await Promise.all(writes);
		expect(await (await remote.manager()).shared.count()).toBe(3);
	});

	test("names what could not be written in time, by scope, and tells who waits what became of it", async ({
		trial,
	}) => {
		const { backend, faults } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 0);
		faults.hang = ["commit"];
		const codes: string[] = [];
		const note = (write: Promise<unknown>) => write.catch(({ code }) => codes.push(code));
		const writes = [
			note(manager.shared.set("a", 1)),
			note(manager.shared.set("b", 1)),
			note(manager.user("ada").set("a", 1)),
		];
		const closed = manager.close({ timeout: 500 });
		await trial.advance(600);
		expect(await trial.within("the close", closed)).toEqual({
			unflushed: [
				{ scope: "shared", commits: 2 },
				{ scope: "user/ada", commits: 1 },
			],
		});
		await Promise.all(writes);
		expect(codes.sort()).toEqual(["outcome-unknown", "outcome-unknown", "timeout"]);
		expect(manager.health.pending).toBe(0);
		expect(trial.clock.waiting).toBe(0);
	});

	test("a second time answers what the first did", async ({ manager }) => {
		const first = manager.close();
		expect(await manager.close({ timeout: 1 })).toBe(await first);
		await manager[Symbol.asyncDispose]();
	});

	test("ends a backend that managers share when the last of them closes", async ({ trial }) => {
		const inner = await trial.backend();
		let closes = 0;
		const backend = around(inner, {
			close: async () => {
				closes++;
			},
		});
		const layers = [(wrapped: typeof backend) => around(wrapped, {})];
		const managers = [await trial.manager({ backend }), await trial.manager({ backend, layers })];
		await managers[0]?.close();
		await managers[0]?.close();
		expect(closes).toBe(0);
		await managers[1]?.shared.set("a", 1);
		await managers[1]?.close();
		expect(closes).toBe(1);
		await (await trial.manager({ backend })).close();
		expect(closes).toBe(2);
	});

	test("settles in time though the backend's own close hangs or fails", async ({ trial }) => {
		const inner = await trial.backend();
		for (const close of [() => new Promise<void>(() => {}), () => Promise.reject(new Error("refused"))]) {
			const manager = await trial.manager({ backend: around(inner, { close }) });
			const closed = manager.close({ timeout: 300 });
			await trial.advance(400);
			expect(await trial.within("the close", closed)).toEqual({ unflushed: [] });
		}
	});
});

describe("options", () => {
	test("that make no sense are refused at once, by name", () => {
		const refusal = (options: object): string => {
			try {
				createStateManager(options as ManagerOptions);
				return "made";
			} catch (error) {
				return `${(error as { code?: string }).code}: ${(error as Error).message}`;
			}
		};
		const backend = memory();
		expect(refusal({})).toMatch(/^invalid-argument: backend is none/);
		expect(refusal({ backend: memory })).toMatch(/^invalid-argument: backend is none/);
		expect(refusal({ backend: "memory" })).toMatch(/^invalid-argument: backend is none/);
		expect(refusal({ backend, state: { shared: {} } })).toMatch(/^invalid-argument: state is no definition/);
		expect(refusal({ backend, timeout: "5 s" })).toMatch(/^invalid-argument: timeout is "5 s"/);
		expect(refusal({ backend, timeout: 0 })).toMatch(/^invalid-argument: timeout is 0/);
		expect(refusal({ backend, scopes: { room: { idle: 0 } } })).toMatch(/^invalid-argument: idle is 0/);
	});

	test("a field that is no schema is refused by the first use of its kind of scope", () => {
		const state = defineState({ shared: { a: {} } } as never);
		expect(() => createStateManager({ backend: memory(), state }).shared).toThrow(
			expect.objectContaining({ code: "invalid-argument" }),
		);
	});
});

describe("housekeeping", () => {
	test("sweeps what is due in scopes that nobody watches, of its namespace, within two minutes", async ({
		trial,
	}) => {
		const backend = await trial.backend();
		const manager = await trial.manager({ backend });
		const other = await trial.manager({ backend, namespace: "other" });
		for (let i = 0; i < 5; i++) await manager.user(`u${i}`).set("a", 1, { ttl: 1000 });
		await manager.session("s", { ttl: 1000 }).set("a", 1);
		await other.shared.set("a", 1, { ttl: 1000 });
		await other.close();
		const due = async (prefix: string): Promise<number> =>
			(await backend.scopes({ prefix, after: null, limit: 99, due: true })).scopes.length;
		await trial.advance(2000);
		expect(await due("conformance/")).toBe(6);
		await trial.advance(118_000);
		expect(await due("conformance/")).toBe(0);
		expect(await due("other/")).toBe(1);
	});

	test("goes on through an outage", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.user("ada").set("a", 1, { ttl: 1000 });
		faults.unavailable = true;
		await trial.advance(130_000);
		faults.unavailable = false;
		await trial.advance(120_000);
		expect((await backend.scopes({ prefix: "", after: null, limit: 9, due: true })).scopes).toEqual([]);
		expect(trial.errors).toEqual([]);
	});

	test("asks nothing of a store that was never used", async ({ trial }) => {
		const inner = await trial.backend();
		let calls = 0;
		const backend = around(inner, {
			read: (asks) => {
				calls++;
				return inner.read(asks);
			},
			scopes: (range) => {
				calls++;
				return inner.scopes(range);
			},
		});
		const manager = await trial.manager({ backend });
		manager.user("ada");
		await trial.advance(130_000);
		expect(calls).toBe(0);
	});
});

test("a state definition refuses what it does not have: keys, kinds, events", async ({ trial }) => {
	const manager = await trial.manager({ state: untyped({ shared: {} }) });
	await expect(manager.shared.get("a")).rejects.toMatchObject({
		code: "unknown-key",
		scope: "shared",
		key: "a",
	});
	await expect(manager.user("ada").set("a", 1)).rejects.toMatchObject({
		code: "unknown-key",
		scope: "user/ada",
	});
	const { shared } = manager as unknown as StateManager;
	for (const call of [
		() => shared.has("a"),
		() => shared.delete("a"),
		() => shared.touch("a", 1),
		() => shared.increment("a"),
		() => shared.notify("a"),
		() => shared.commit((tx) => tx.delete("a")),
		() => shared.commit((tx) => tx.touch("a", 1)),
		() => shared.commit((tx) => tx.has("a")),
	])
		await expect(call()).rejects.toMatchObject({ code: "unknown-key", scope: "shared", key: "a" });
	await expect(manager.shared.events.emit("told", 1)).rejects.toMatchObject({
		code: "unknown-key",
		key: "told",
	});
});

describe("bad input is refused with the scope and the key that it is about", () => {
	type Call = (scope: Scope) => unknown;
	const bad = "a/*";
	const never = "soon" as never;
	const calls: Record<string, readonly [key: string | undefined, call: Call]> = {
		"a read": [bad, (scope) => scope.get(bad)],
		"a key that is no text": [undefined, (scope) => scope.get(7 as never)],
		"a transaction's read": [bad, (scope) => scope.commit((tx) => tx.get(bad))],
		"a transaction's look at an entry": [bad, (scope) => scope.commit((tx) => tx.entry(bad))],
		"a transaction's question": [bad, (scope) => scope.commit((tx) => tx.has(bad))],
		"a transaction's write": [bad, (scope) => scope.commit((tx) => tx.set(bad, 1))],
		"a transaction's removal": [bad, (scope) => scope.commit((tx) => tx.delete(bad))],
		"a transaction's addition": [bad, (scope) => scope.commit((tx) => tx.increment(bad))],
		"a transaction's extension": [bad, (scope) => scope.commit((tx) => tx.touch(bad, 1))],
		"a transaction's listing": ["**/a", (scope) => scope.commit((tx) => tx.list("**/a"))],
		"a transaction's fact": [bad, (scope) => scope.commit((tx) => tx.emit(bad, 1))],
		"how long a transaction extends": ["a", (scope) => scope.commit((tx) => tx.touch("a", never))],
		"how long an addition lives": ["a", (scope) => scope.increment("a", 1, { ttl: never })],
		"an extension": ["a", (scope) => scope.touch("a", never)],
		"a listener of facts": [bad, (scope) => scope.events.on(bad, () => {})],
		"a throttle": ["a", (scope) => scope.subscribe("a", () => {}, { throttle: never })],
		"a mirror's key": [bad, (scope) => scope.mirror().get(bad)],
		"a lock's name": ["\ud800", (scope) => scope.lock("\ud800")],
		"a lock's name that is no text": [undefined, (scope) => scope.tryLock(7 as never)],
		"how long a lock lives": ["a", (scope) => scope.lock("a", { ttl: never })],
		"how long a lock is waited for": ["a", (scope) => scope.lock("a", { wait: never })],
	};

	test.for(Object.entries(calls))("%s", async ([, [key, call]], { manager }) => {
		const refused = (async () => call(manager.user("ada")))();
		await expect(refused).rejects.toMatchObject({
			code: expect.stringMatching(/^invalid-/),
			scope: "user/ada",
			...(key !== undefined && { key }),
		});
	});
});

test("a call given up before it is made does nothing", async ({ trial, remote }) => {
	for (const { shared } of [await trial.manager(), await remote.manager()]) {
		const options = { signal: AbortSignal.abort("enough") };
		await expect(shared.set("a", 1, options)).rejects.toBe("enough");
		await expect(shared.update("a", () => 1, options)).rejects.toBe("enough");
		await expect(shared.increment("a", 1, options)).rejects.toBe("enough");
		await expect(shared.commit((tx) => tx.set("a", 1), options)).rejects.toBe("enough");
		await expect(shared.get("a", options)).rejects.toBe("enough");
		await expect(shared.count("**", options)).rejects.toBe("enough");
		expect(await shared.has("a")).toBe(false);
	}
});

test("what `using` holds ends with its block", async ({ trial }) => {
	const heard: unknown[] = [];
	let closed: StateManager;
	{
		await using manager = await trial.manager();
		closed = manager;
		const { shared } = manager;
		{
			using mirror = shared.mirror();
			using subscription = shared.subscribe("**", () => heard.push("a change"));
			using events = shared.events.on("*", () => heard.push("a fact"));
			await Promise.all([mirror.ready, subscription.ready, events.ready]);
			await shared.set("a", 1);
			await shared.events.emit("told", 1);
			await trial.eventually("both are heard", () => expect(heard).toEqual(["a change", "a fact"]));
		}
		expect(manager.health.watched).toBe(0);
		await shared.events.emit("told", 2);
		await shared.set("a", 2);
		await trial.settle();
		expect(heard).toHaveLength(2);
	}
	expect(closed.health.status).toBe("closed");
});

test("metadata has a bound, the same on every backend: what fits here fits in a page's request", async ({
	manager,
}) => {
	const { shared } = manager;
	const metadata = { why: "x".repeat(16_384 - '{"why":""}'.length) };
	await shared.set("a", 1, { metadata });
	expect(await shared.entry("a")).toMatchObject({ metadata });
	for (const why of [`${metadata.why}x`, `${metadata.why.slice(1)}é`])
		await expect(shared.set("a", 2, { metadata: { why } })).rejects.toMatchObject({
			code: "too-large",
			scope: "shared",
		});
	expect(await shared.get("a")).toBe(1);
});
