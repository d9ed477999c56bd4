import fc from "fast-check";
import { describe, expect } from "vitest";
import { z } from "zod";
import { field } from "./field.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test, untyped } from "./with-trial.js";

describe("what a mirror hands out", () => {
	test("is the same list, and the same values, until a value changes", async ({ trial, manager }) => {
		const mirror = manager.shared.mirror("positions/*");
		await mirror.ready;
		const none = mirror.list();
		expect(none).toEqual([]);
		await manager.shared.set("positions/b", { n: 1 });
		await manager.shared.set("positions/a", { n: 1 });
		const two = mirror.list();
		expect(two.map(({ key }) => key)).toEqual(["positions/a", "positions/b"]);
		expect(Object.isFrozen(two) && Object.isFrozen(two[0])).toBe(true);
		const a = mirror.get("positions/a");
		await manager.shared.set("elsewhere", 1);
		const equal = await manager.shared.set("positions/a", { n: 1 });
		await manager.shared.delete("positions/none");
		expect(mirror.list()).toBe(two);
		expect(mirror.get("positions/a")).toBe(a);
		// Only what says which version it is moves on.
		expect(mirror.entry("positions/a")).toMatchObject({ revision: equal, value: { n: 1 } });
		expect(mirror.entry("positions/a")?.value).toBe(a);
		await manager.shared.set("positions/b", { n: 2 });
		expect(mirror.list()).not.toBe(two);
		expect(mirror.list()[0]).toBe(two[0]);
		expect(two[1]).toEqual({ key: "positions/b", value: { n: 1 } });
		for (const value of [
			{ n: 2, m: [1, { k: 1 }] },
			{ n: 2, m: [1, { k: 2 }] },
			{ n: 2, m: [2, { k: 2 }] },
		]) {
			await manager.shared.set("positions/b", value);
			expect(mirror.get("positions/b"), "where a part of it is another").toEqual(value);
		}
		expect(trial.errors).toEqual([]);
	});

	test("never holds what locks keep in the scope", async ({ manager }) => {
		const lease = await manager.shared.lock("before");
		const mirror = manager.shared.mirror();
		await mirror.ready;
		await manager.shared.lock("after");
		await lease.release();
		const revision = await manager.shared.set("a", 1);
		expect(mirror.list().map(({ key }) => key)).toEqual(["a"]);
		expect(mirror.size).toBe(1);
		expect(mirror.revision).toBe(revision);
	});

	test("is a key's default where it is absent; what the pattern does not match is refused", async ({
		trial,
	}) => {
		const state = untyped({
			shared: { n: z.number().default(7), "a/*": field(z.string(), { default: "none" }) },
		});
		const { shared } = await trial.manager({ state });
		const mirror = shared.mirror("a/*");
		expect(mirror.get("a/1")).toBe("none");
		expect(mirror.entry("a/1")).toBeUndefined();
		expect(() => mirror.get("n" as never)).toThrow(
			expect.objectContaining({ code: "invalid-key", scope: "shared", key: "n" }),
		);
		await mirror.ready;
		expect(mirror.get("a/1")).toBe("none");
		expect(mirror.list()).toEqual([]);
		await shared.set("a/1", "one");
		expect(mirror.get("a/1")).toBe("one");
		expect(() => mirror.get("a/*")).toThrow(expect.objectContaining({ code: "invalid-key" }));
	});

	test("leaves out what can't be read, and reports it; once it can be, it is there", async ({ trial }) => {
		const plain = await trial.manager();
		await plain.shared.set("n", "text");
		await plain.shared.set("m", 1);
		const { shared } = await trial.manager({
			state: untyped({ shared: { n: z.number(), m: z.number() } }),
		});
		const mirror = shared.mirror();
		await mirror.ready;
		expect(mirror.list()).toEqual([{ key: "m", value: 1 }]);
		expect(trial.errors).toMatchObject([{ code: "schema-mismatch", scope: "shared", key: "n" }]);
		await shared.set("n", 2);
		expect(mirror.get("n" as never)).toBe(2);
		await plain.shared.set("n", "text again");
		expect(mirror.get("n" as never)).toBeUndefined();
		expect(mirror.list()).toEqual([{ key: "m", value: 1 }]);
	});

	test("is what the scope holds, after any history, in the order of the keys' bytes", async ({ trial }) => {
		const key = fc.constantFrom("a", "a/b", "a/c", "b", "é", "\u{1f600}", "\ue000", "z z", "{}");
		const step = fc.record({ key, value: fc.option(fc.integer({ min: 0, max: 2 })) });
		await fc.assert(
			fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(25), async (steps, at) => {
				const manager = await trial.manager();
				const scope = manager.scope("room", `${Math.random()}`);
				let mirror = at >= steps.length ? scope.mirror() : undefined;
				for (const [i, { key, value }] of steps.entries()) {
					if (i === at) mirror = scope.mirror();
					if (value === null) await scope.delete(key);
					else await scope.set(key, value);
				}
				await mirror?.ready;
				const entries: unknown[] = [];
				for await (const { key, value } of scope.list()) entries.push({ key, value });
				expect(mirror?.list()).toEqual(entries);
				expect(mirror?.size).toBe(entries.length);
				await manager.close();
			}),
			{ numRuns: 40 },
		);
	});
});

describe("before it is ready, a mirror", () => {
	test("shows what a server handed over, then what the store holds", async ({ remote }) => {
		const writer = await remote.manager();
		await writer.shared.set("kept", { n: 1 });
		await writer.shared.set("changed", 1);
		const initial = [];
		for await (const entry of writer.shared.list()) initial.push(entry);
		initial.push({ ...(initial[0] as (typeof initial)[number]), key: "gone" });
		await writer.shared.set("changed", 2);
		const { shared } = await remote.manager();
		const mirror = shared.mirror("*", { initial });
		expect(mirror.list().map(({ key, value }) => [key, value])).toEqual([
			["changed", 1],
			["gone", 1],
			["kept", { n: 1 }],
		]);
		expect(mirror.revision).toBe(0);
		expect(mirror.stale).toBe(true);
		const kept = mirror.get("kept");
		await mirror.ready;
		expect(mirror.list().map(({ key, value }) => [key, value])).toEqual([
			["changed", 2],
			["kept", { n: 1 }],
		]);
		expect(mirror.get("kept")).toBe(kept);
		expect(mirror.stale).toBe(false);
	});

	test("misses nothing of what is written while it lists, a reset included", async ({ trial }) => {
		const inner = await trial.backend();
		const writer = await trial.manager();
		for (let i = 0; i < 6; i++) await writer.shared.set(`k${i}`, 0);
		let pages = 0;
		const backend = around(inner, {
			list: async (scope, range) => {
				const page = inner.list(scope, { ...range, limit: 2 });
				if (++pages === 2) {
					await writer.shared.delete("k0");
					await writer.shared.set("k5", 1);
				}
				if (pages === 3) {
					await writer.shared.drop();
					await writer.shared.set("k9", 1);
				}
				return page;
			},
		});
		const { shared } = await trial.manager({ backend });
		const mirror = shared.mirror();
		await mirror.ready;
		await trial.settle();
		await writer.shared.set("last", 1);
		await trial.eventually("the present state", () =>
			expect(mirror.list().map(({ key }) => key)).toEqual(["k9", "last"]),
		);
	});
});

test("a mirror is not made of pages of two lives of its scope, and does not wait until somebody says that one ended", async ({
	trial,
}) => {
	const inner = await trial.backend();
	const { shared: writer } = await trial.manager();
	for (let i = 0; i < 4; i++) await writer.set(`k${i}`, 0);
	let pages = 0;
	const { backend } = chaos(
		around(inner, {
			list: async (scope, range) => {
				if (++pages === 2) await writer.drop();
				return inner.list(scope, { ...range, limit: 2 });
			},
		}),
		{ dropSignals: 1 },
	);
	const mirror = (await trial.manager({ backend })).shared.mirror();
	await trial.within("the mirror", mirror.ready, 5000);
	expect(mirror.list()).toEqual([]);
	expect(pages, "how often it was listed").toBeLessThan(100);
});

for (const what of ["mirror", "subscription", "subscription to one key"] as const)
	test(`a ${what} that begins while the scope is dropped does not take what was read before for what is there`, async ({
		remote,
	}) => {
		const inner = await remote.backend();
		const held: (() => void)[] = [];
		let hold = 0;
		const holding = async <T>(answer: T): Promise<Awaited<T>> => {
			const told = await answer;
			if (hold-- > 0) await new Promise<void>((resolve) => held.push(resolve));
			return told;
		};
		const backend = around(inner, {
			read: (asks) => inner.read(asks).map(holding),
			list: (scope, range) => holding(inner.list(scope, range)),
		});
		const { shared } = await remote.manager({ backend });
		const other = await remote.manager();
		await other.shared.set("a", 1);
		let resets = 0;
		await shared.subscribe("other", () => {}, { onReset: () => resets++ }).ready;
		hold = 1;
		const present = new Map<string, unknown>();
		const mirror = what === "mirror" ? shared.mirror() : undefined;
		const begun =
			mirror ??
			shared.subscribe(
				what === "subscription" ? "**" : "a",
				({ type, key, value }) => (type === "set" ? present.set(key, value) : present.delete(key)),
				{ initial: true },
			);
		await remote.eventually("it reads", () => expect(held).toHaveLength(1));
		await other.shared.drop();
		await remote.eventually("the reset is told", () => expect(resets).toBe(1));
		held[0]?.();
		await begun.ready;
		await remote.settle();
		expect([...(mirror?.list() ?? present)]).toEqual([]);
	});

describe("who waits for a mirror", () => {
	test("to show a revision is answered once it does", async ({ trial }) => {
		const { backend, faults, signal } = chaos(await trial.backend());
		const { shared } = await trial.manager({ backend });
		const writer = await trial.manager();
		const mirror = shared.mirror();
		await mirror.ready;
		faults.dropSignals = 1;
		const revision = await writer.shared.set("a", 1);
		const shown = mirror.at(revision).then(() => mirror.get("a"));
		signal("wake");
		expect(await trial.within("the mirror", shown)).toBe(1);
		await mirror.at(revision);
		await mirror.at(0);
	});

	test("is told that it timed out, was given up or closed", async ({ trial, manager }) => {
		const mirror = manager.shared.mirror();
		await mirror.ready;
		const revision = (await manager.shared.set("a", 1)) + 1e12;
		const late = expect(mirror.at(revision)).rejects.toMatchObject({ code: "timeout", scope: "shared" });
		await trial.advance(trial.timeout + 100);
		await late;
		const controller = new AbortController();
		const given = expect(mirror.at(revision, { signal: controller.signal })).rejects.toBe("enough");
		controller.abort("enough");
		await given;
		const closed = expect(mirror.at(revision)).rejects.toMatchObject({ code: "closed" });
		mirror.close();
		await closed;
		await expect(mirror.at(revision)).rejects.toMatchObject({ code: "closed" });
	});
});

describe("who subscribes to a mirror", () => {
	test("is called at once and after each change, but not in the middle of a writer's call", async ({
		trial,
		manager,
	}) => {
		const mirror = manager.shared.mirror("a/*");
		await mirror.ready;
		const heard: string[] = [];
		const listener = (members: readonly { readonly key: string; readonly value: unknown }[]): void => {
			heard.push(members.map(({ key, value }) => `${key}=${value}`).join(" "));
		};
		const stop = mirror.subscribe(listener);
		const stopOther = mirror.subscribe(listener);
		expect(heard).toEqual(["", ""]);
		stopOther();
		stopOther();
		const written = manager.shared.set("a/1", 1);
		expect(mirror.get("a/1"), "what the mirror shows").toBe(1);
		expect(heard).toHaveLength(2);
		await written;
		expect(heard.slice(2)).toEqual(["a/1=1"]);
		await manager.shared.set("a/1", 1);
		await manager.shared.set("b", 1);
		await manager.shared.set("a/1", 2, { notify: false });
		expect(mirror.get("a/1")).toBe(2);
		await trial.settle();
		expect(heard.slice(3), "equal, elsewhere, or quiet").toEqual([]);
		await manager.shared.set("a/2", 2);
		const stopped = manager.shared.set("a/3", 3);
		stop();
		await stopped;
		await trial.settle();
		expect(heard.slice(3), "stopped before it was called").toEqual(["a/1=2 a/2=2"]);
	});

	test("and throws stops nobody; what it throws is reported", async ({ trial, manager }) => {
		const mirror = manager.shared.mirror();
		await mirror.ready;
		let calls = 0;
		mirror.subscribe(() => {
			throw new Error("refused");
		});
		mirror.subscribe(() => calls++);
		await manager.shared.set("a", 1);
		await trial.settle();
		expect(calls).toBe(2);
		expect(trial.errors).toHaveLength(2);
	});

	test("hears of an expiry also where another listened before, and left", async ({ trial, manager }) => {
		await manager.shared.set("a", 1, { ttl: 10_000 });
		const before = manager.shared.mirror();
		await before.ready;
		before.close();
		const mirror = manager.shared.mirror();
		await mirror.ready;
		await trial.advance(11_000);
		expect(mirror.list()).toEqual([]);
	});

	test("hears of an expiry, and of a reset", async ({ trial, manager }) => {
		const mirror = manager.shared.mirror();
		await mirror.ready;
		const heard: number[] = [];
		mirror.subscribe((members) => heard.push(members.length));
		await manager.shared.set("a", 1, { ttl: 5000 });
		await manager.shared.set("b", 1);
		await trial.advance(7000);
		expect(heard).toEqual([0, 1, 2, 1]);
		await manager.shared.drop();
		await trial.eventually("the reset", () => expect(heard.at(-1)).toBe(0));
		expect(mirror.list()).toEqual([]);
	});
});

test("a mirror that was closed keeps what it shows, hears nothing more, and is let go by the store", async ({
	trial,
	manager,
}) => {
	const controller = new AbortController();
	const mirror = manager.shared.mirror("**", { signal: controller.signal });
	await mirror.ready;
	await manager.shared.set("a", 1);
	let calls = 0;
	mirror.subscribe(() => calls++);
	controller.abort();
	mirror.close();
	await manager.shared.set("a", 2);
	await trial.settle();
	expect(mirror.get("a")).toBe(1);
	expect(mirror.stale).toBe(true);
	expect(calls).toBe(1);
	expect(manager.health.watched).toBe(0);
	using early = manager.shared.mirror("**", { signal: AbortSignal.abort() });
	await expect(early.ready).rejects.toMatchObject({ code: "closed" });
	expect(trial.errors).toEqual([]);
});
