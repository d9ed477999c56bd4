import { describe, expect } from "vitest";
import { z } from "zod";
import type { Clock } from "./clock.js";
import { field } from "./field.js";
import type { CallOptions } from "./scope.js";
import { test, untyped } from "./with-trial.js";

describe("update", () => {
	test("answers what was written, as it reads: with a function that answers at once or later", async ({
		trial,
	}) => {
		const { shared } = await trial.manager({
			state: untyped({ shared: { n: z.coerce.number().default(1) } }),
		});
		expect(await shared.update("n", (n) => n + 1)).toBe(2);
		expect(await shared.update("n", async (n) => `${n + 1}`)).toBe(3);
		expect(await shared.get("n")).toBe(3);
	});

	test("that returns undefined deletes the key, and answers what it reads as then", async ({
		trial,
		manager,
	}) => {
		await manager.shared.set("a", 1);
		expect(await manager.shared.update("a", () => undefined)).toBeUndefined();
		expect(await manager.shared.has("a")).toBe(false);
		expect(await manager.shared.update("a", () => undefined)).toBeUndefined();
		const { shared } = await trial.manager({ state: untyped({ shared: { n: z.number().default(7) } }) });
		await shared.set("n", 1);
		expect(await shared.update("n", () => undefined)).toBe(7);
	});

	test("loses none of 1,000 at once", async ({ manager }) => {
		await Promise.all(Array.from({ length: 1000 }, () => manager.shared.update("n", (n = 0) => n + 1)));
		expect(await manager.shared.get("n")).toBe(1000);
	});

	test("that its own function asks for comes after it, and keeps its place before later ones", async ({
		manager,
	}) => {
		const { shared } = manager;
		const inner: Promise<unknown>[] = [];
		const add = (by: string) => shared.update("a", (text = "") => text + by);
		const ask = (by: string, later: boolean) =>
			shared.update("a", (text = "") => {
				inner.push(add(by));
				return later ? Promise.resolve(`${text}.`) : `${text}.`;
			});
		expect(await ask("b", false)).toBe(".");
		expect(await Promise.all(inner.splice(0))).toEqual([".b"]);
		expect(await Promise.all([ask("c", true), add("d")])).toEqual([".b.", ".b.d"]);
		await Promise.all(inner);
		expect(await shared.get("a")).toBe(".b.dc");
	});

	test("calls its function again with what is there after a conflict", async ({ trial, manager }) => {
		const other = await trial.manager();
		await manager.shared.set("a", 1);
		const saw: unknown[] = [];
		await manager.shared.update("a", async (value) => {
			saw.push(value);
			if (saw.length === 1) await other.shared.set("a", 10);
			if (saw.length === 2) await other.shared.delete("a");
			return "done";
		});
		expect(saw).toEqual([1, 10, undefined]);
		expect(await manager.shared.get("a")).toBe("done");
	});

	test("that always meets another write is refused after 100 attempts, ever further apart and at random", async ({
		trial,
	}) => {
		const pauses: number[] = [];
		const clock: Clock = {
			now: () => trial.clock.now(),
			monotonic: () => trial.clock.monotonic(),
			after(ms, callback, background) {
				pauses.push(ms);
				return trial.clock.after(0, callback, background);
			},
		};
		const other = await trial.manager();
		const { shared } = await trial.manager({ clock, random: () => 0.5 });
		let attempts = 0;
		const meet = async (): Promise<number> => other.shared.set("a", ++attempts);
		const expected = [1, 2, 4, 8, 16, 32, ...new Array<number>(91).fill(50)];
		for (const write of [
			() => shared.update("a", meet),
			() => shared.commit(async (tx) => tx.set("a", [await tx.get("a"), await meet()])),
		]) {
			attempts = 0;
			pauses.length = 0;
			await expect(write()).rejects.toMatchObject({ code: "conflict", scope: "shared", key: "a" });
			expect(attempts).toBe(100);
			expect(pauses.filter((ms) => ms <= 50)).toEqual(expected);
		}
	});

	test("whose function fails writes nothing, rejects with that, and keeps nobody waiting", async ({
		manager,
	}) => {
		const thrown = new Error("thrown");
		const failing = manager.shared.update("a", () => {
			throw thrown;
		});
		const next = manager.shared.update("a", () => 1);
		await expect(failing).rejects.toBe(thrown);
		expect(await next).toBe(1);
	});

	test("keeps no deadline unless a ttl says one; metadata is that of the last write", async ({ manager }) => {
		await manager.shared.set("a", 1, { ttl: 1000, metadata: { by: "ada" } });
		await manager.shared.update("a", (n) => n + 1);
		expect(await manager.shared.entry("a")).toMatchObject({ expiresAt: null, metadata: undefined });
		await manager.shared.update("a", (n) => n + 1, { ttl: 1000, metadata: { by: "bob" } });
		expect(await manager.shared.entry("a")).toMatchObject({
			expiresAt: expect.any(Number),
			metadata: { by: "bob" },
		});
	});
});

describe("getOrSet", () => {
	test("computes once for all who ask at once, in this process; who comes later reads", async ({
		remote,
	}) => {
		const { shared } = await remote.manager();
		let calls = 0;
		const compute = async () => ({ n: ++calls });
		const answers = await Promise.all(Array.from({ length: 20 }, () => shared.getOrSet("a", compute)));
		expect(calls).toBe(1);
		expect(answers).toEqual(answers.map(() => ({ n: 1 })));
		// Who computed it holds what it gave; all others what the store has.
		expect(new Set(answers.slice(1)).size).toBe(1);
		expect(await shared.getOrSet("a", compute)).toBe(answers[1]);
		expect(await shared.getOrSet("b", 7)).toBe(7);
	});

	test("answers what another process has set meanwhile", async ({ trial, manager }) => {
		const other = await trial.manager();
		const answer = await manager.shared.getOrSet("a", async () => {
			await other.shared.set("a", "theirs");
			return "mine";
		});
		expect(answer).toBe("theirs");
		expect(await manager.shared.get("a")).toBe("theirs");
	});

	test("whose function fails fails alone: the next who asks computes", async ({ manager }) => {
		const thrown = new Error("thrown");
		const failing = manager.shared.getOrSet("a", () => Promise.reject(thrown));
		const next = manager.shared.getOrSet("a", () => 1);
		await expect(failing).rejects.toBe(thrown);
		expect(await next).toBe(1);
		await expect(manager.shared.getOrSet("b", () => undefined as never)).rejects.toMatchObject({
			code: "invalid-value",
		});
	});

	test("takes null for a value, an absent key's default for none, and sets a ttl", async ({ trial }) => {
		const { shared } = await trial.manager({
			state: untyped({ shared: { n: z.number().nullable().default(1) } }),
		});
		expect(await shared.getOrSet("n", 2, { ttl: 1000 })).toBe(2);
		await trial.advance(1100);
		expect(await shared.getOrSet("n", null)).toBeNull();
		expect(await shared.getOrSet("n", 3)).toBeNull();
	});
});

describe("set", () => {
	test("on a condition writes only where it holds", async ({ manager }) => {
		const { shared } = manager;
		const first = await shared.set("a", 1, { ifAbsent: true });
		await expect(shared.set("a", 2, { ifAbsent: true })).rejects.toMatchObject({
			code: "conflict",
			key: "a",
		});
		const second = await shared.set("a", 2, { ifRevision: first });
		expect(second).toBeGreaterThan(first);
		const refused = { code: "conflict", scope: "shared", key: "a", entry: { revision: second } };
		await expect(shared.set("a", 3, { ifRevision: first })).rejects.toMatchObject(refused);
		await expect(shared.set("a", 3, { ifRevision: 0 })).rejects.toMatchObject(refused);
		await expect(shared.delete("a", { ifRevision: first })).rejects.toMatchObject(refused);
		await expect(shared.delete("b", { ifRevision: first })).rejects.toMatchObject({
			code: "conflict",
			entry: null,
		});
		for (const ifRevision of [first, second])
			await expect(shared.set("a", 3, { ifAbsent: true, ifRevision })).rejects.toMatchObject(refused);
		await expect(shared.set("b", 3, { ifAbsent: true, ifRevision: first })).rejects.toMatchObject({
			code: "conflict",
			entry: null,
		});
		await shared.set("b", 3, { ifAbsent: true, ifRevision: 0 });
		expect(await shared.delete("b")).toBe(true);
		expect(await shared.delete("a", { ifRevision: second })).toBe(true);
		expect(await shared.delete("a")).toBe(false);
	});

	test("takes the call's ttl, else the field's, else the kind's, else the manager's; null is for ever", async ({
		trial,
	}) => {
		const any = z.number();
		const manager = await trial.manager({
			ttl: "40s",
			scopes: { room: { ttl: "30s" } },
			state: untyped({
				shared: { a: any, f: field(any, { ttl: "20s" }) },
				room: { a: any, f: field(any, { ttl: "20s" }) },
			}),
		});
		const room = manager.scope("room", "1");
		await manager.shared.set("a", 1);
		await manager.shared.set("f", 1);
		await room.set("a", 1);
		await room.set("f", 1, { ttl: "10s" });
		const seconds: number[][] = [];
		for (let i = 0; i < 4; i++) {
			await trial.advance(i === 0 ? 5000 : 10_000);
			seconds.push([
				(await room.has("f")) ? 1 : 0,
				(await manager.shared.has("f")) ? 1 : 0,
				(await room.has("a")) ? 1 : 0,
				(await manager.shared.has("a")) ? 1 : 0,
			]);
		}
		expect(seconds).toEqual([
			[1, 1, 1, 1],
			[0, 1, 1, 1],
			[0, 0, 1, 1],
			[0, 0, 0, 1],
		]);
		await room.set("f", 1, { ttl: null });
		expect((await room.entry("f"))?.expiresAt).toBeNull();
	});
});

describe("touch", () => {
	test("extends a deadline, never shortens or makes one, and changes nothing else", async ({
		trial,
		manager,
	}) => {
		const { shared } = manager;
		const revision = await shared.set("a", 1, { ttl: 5000, metadata: { by: "ada" } });
		await shared.set("b", 1);
		const heard: unknown[] = [];
		await shared.subscribe("**", (change) => heard.push(change)).ready;
		const before = await shared.entry("a");
		expect(await shared.touch("a", 1000)).toBe(true);
		expect(await shared.entry("a")).toEqual(before);
		expect(await shared.touch("a", "1m")).toBe(true);
		expect(await shared.entry("a")).toMatchObject({ revision, metadata: { by: "ada" } });
		expect(await shared.touch("b", "1m")).toBe(true);
		expect((await shared.entry("b"))?.expiresAt).toBeNull();
		expect(await shared.touch("absent", "1m")).toBe(false);
		await trial.advance(50_000);
		expect(await shared.getMany(["a", "b"])).toEqual([1, 1]);
		expect(heard).toEqual([]);
		await expect(shared.touch("a", 0)).rejects.toMatchObject({ code: "invalid-argument" });
	});
});

describe("who waits behind another call on the same key", () => {
	const never = (): Promise<never> => new Promise(() => {});

	test("is told so when its own patience ends, and writes nothing then or later", async ({
		trial,
		manager,
	}) => {
		const { shared } = manager;
		type Call = (key: string, value: () => unknown, options?: CallOptions) => Promise<unknown>;
		const calls = {
			update: shared.update.bind(shared) as Call,
			getOrSet: shared.getOrSet.bind(shared) as Call,
		};
		for (const call of ["update", "getOrSet"] as const) {
			let finish: (value: unknown) => void = never;
			const first = calls[call](call, () => new Promise((resolve) => (finish = resolve)));
			await trial.settle();
			const late = calls[call](call, () => "late", { timeout: 1000 }).catch((error: unknown) => error);
			const controller = new AbortController();
			const given = calls[call](call, () => "given up", { signal: controller.signal }).catch(
				(error) => error,
			);
			const patient = calls[call](call, () => "patient", { timeout: "1h" });
			controller.abort("enough");
			expect(await given, call).toBe("enough");
			await trial.advance(1100);
			expect(await late, call).toMatchObject({ code: "timeout", scope: "shared", key: call });
			expect(manager.health.status).toBe("ok");
			finish("first");
			expect(await first, call).toBe("first");
			expect(await patient, call).toBe(call === "update" ? "patient" : "first");
		}
	});

	test("also where that is itself: a call within its own function ends in time", async ({
		trial,
		manager,
	}) => {
		const outer = manager.shared.update("a", async () => {
			const inner = manager.shared.update("a", () => "inner");
			return inner.catch(({ code }) => code);
		});
		await trial.advance(trial.timeout + 100);
		expect(await trial.within("the outer call", outer)).toBe("timeout");
	});
});
