import fc from "fast-check";
import { describe, expect } from "vitest";
import type { KeyRange } from "./backend.js";
import type { Scope } from "./scope.js";
import type { UntypedEvents, UntypedFields } from "./state.js";
import { around } from "./testing/around.js";
import { test } from "./with-trial.js";

type Untyped = Scope<UntypedFields, UntypedEvents>;

async function keysOf(scope: Untyped, ...asked: Parameters<Untyped["list"]>): Promise<string[]> {
	const keys: string[] = [];
	for await (const { key } of scope.list(...asked)) keys.push(key);
	return keys;
}

const fill = (scope: Untyped, count: number): Promise<unknown> =>
	Promise.all(Array.from({ length: count }, (_, i) => scope.set(`k${String(i).padStart(5, "0")}`, i)));

describe("list", () => {
	test("gives what the pattern matches, behind a key, so many at most: as filtering all of it would", async ({
		manager,
	}) => {
		const { shared } = manager;
		const keys = ["a", "a/1", "a/1/x", "a/2", "a b", "ab", "b/1", "é", "\u{1f600}"];
		for (const key of keys) await shared.set(key, key);
		await shared.lock("job");
		const all = await keysOf(shared);
		expect(all.toSorted()).toEqual(keys.toSorted());
		const matching: Record<string, (key: string) => boolean> = {
			"**": () => true,
			"*": (key) => !key.includes("/"),
			"a/*": (key) => /^a\/[^/]+$/.test(key),
			"a/**": (key) => key.startsWith("a/"),
			"*/1": (key) => /^[^/]+\/1$/.test(key),
			a: (key) => key === "a",
			"none/*": () => false,
		};
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(...Object.keys(matching)),
				fc.option(fc.constantFrom(...keys, "0", "zz"), { nil: undefined }),
				fc.option(fc.nat(6), { nil: undefined }),
				async (pattern, after, limit) => {
					const from =
						after === undefined
							? 0
							: all.findIndex((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
					const expected = (from < 0 ? [] : all.slice(from))
						.filter((key) => matching[pattern]?.(key))
						.slice(0, limit);
					expect(
						await keysOf(shared, pattern, {
							...(after !== undefined && { after }),
							...(limit !== undefined && { limit }),
						}),
					).toEqual(expected);
				},
			),
			{ numRuns: 200 },
		);
	});

	test("goes page by page, and asks for no more than is wanted", async ({ trial }) => {
		const inner = await trial.backend();
		const ranges: KeyRange[] = [];
		const backend = around(inner, {
			list(scope, range) {
				ranges.push(range);
				return inner.list(scope, range);
			},
		});
		const { shared } = await trial.manager({ backend });
		await fill(shared, 1200);
		expect(await keysOf(shared)).toHaveLength(1200);
		expect(ranges).toHaveLength(3);
		ranges.length = 0;
		expect(await keysOf(shared, "*", { limit: 3, after: "k00005" })).toEqual(["k00006", "k00007", "k00008"]);
		expect(ranges).toMatchObject([{ limit: 3 }]);
		ranges.length = 0;
		for await (const _ of shared.list()) break;
		expect(ranges).toHaveLength(1);
	});

	test("of a few among many that the pattern passes over does not ask for them a few at a time", async ({
		trial,
	}) => {
		const inner = await trial.backend();
		let lists = 0;
		const backend = around(inner, {
			list(scope, range) {
				lists++;
				return inner.list(scope, range);
			},
		});
		const { shared } = await trial.manager({ backend });
		await shared.commit((tx) => {
			for (let i = 0; i < 900; i++) tx.set(`a/${String(i).padStart(3, "0")}/deep`, i);
			tx.set("a/last", 1);
		});
		expect(await keysOf(shared, "a/*", { limit: 1 })).toEqual(["a/last"]);
		expect(lists).toBe(3);
	});

	test("is counted without handing it over", async ({ manager }) => {
		await fill(manager.shared, 700);
		await manager.shared.set("other/1", 1);
		expect(await manager.shared.count()).toBe(701);
		expect(await manager.shared.count("*")).toBe(700);
		expect(await manager.shared.count("other/1")).toBe(1);
		expect(await manager.shared.count("none/**")).toBe(0);
	});
});

describe("clear", () => {
	test("removes what the pattern matches, in commits that are not too large, and nothing else", async ({
		trial,
	}) => {
		const { shared } = await trial.manager();
		await fill(shared, 2500);
		await shared.set("kept/1", 1);
		const lease = await shared.lock("job");
		const sizes: number[] = [];
		const changes = shared.changes()[Symbol.asyncIterator]();
		expect(await shared.clear("*")).toBe(2500);
		for (let cleared = 0; cleared < 2500; ) {
			const { value } = await changes.next();
			if (value?.type !== "commit") throw new Error("not a commit");
			sizes.push(value.changes.length);
			cleared += value.changes.length;
		}
		expect(Math.max(...sizes)).toBeLessThanOrEqual(1000);
		expect(await keysOf(shared)).toEqual(["kept/1"]);
		expect(await shared.clear("*")).toBe(0);
		expect(await shared.clear()).toBe(1);
		lease.check();
		expect(await shared.tryLock("job")).toMatchObject({ acquired: false });
	});

	test("works in a session, whose deadline is extended with each commit", async ({ trial }) => {
		const session = (await trial.manager()).session("s", { ttl: "1m" });
		await fill(session, 1500);
		expect(await session.clear()).toBe(1500);
	});
});

describe("drop", () => {
	test("removes all of a scope; what is written then goes on above it", async ({ manager }) => {
		const { shared } = manager;
		const before = await shared.set("a", 1);
		await shared.events.emit("told", 1);
		await shared.drop();
		expect(await shared.count()).toBe(0);
		for await (const _ of shared.events.history()) throw new Error("an event is left");
		await shared.drop();
		expect(await shared.set("a", 1)).toBeGreaterThan(before);
	});
});

test("a snapshot of a scope that changes faster than it can be listed and logged is refused as busy", async ({
	trial,
}) => {
	const writer = await trial.manager({ scopes: { shared: { changes: { count: 1 } } } });
	for (let i = 0; i < 4; i++) await writer.shared.set(`k${i}`, 0);
	const inner = await trial.backend();
	let lists = 0;
	const backend = around(inner, {
		list: async (scope, range) => {
			const page = inner.list(scope, { ...range, limit: 2 });
			lists++;
			if (lists <= 10) for (let i = 0; i < 3; i++) await writer.shared.set("k0", lists);
			return page;
		},
	});
	const { shared } = await trial.manager({ backend });
	const heard: string[] = [];
	const subscription = shared.subscribe("*", ({ key }) => heard.push(key), { initial: true });
	await expect(subscription.ready).rejects.toMatchObject({ code: "busy", scope: "shared" });
	// It is tried again, and the scope has come to rest.
	await trial.advance(1000);
	await trial.eventually("the present state", () => expect(heard).toEqual(["k0", "k1", "k2", "k3"]));
});
