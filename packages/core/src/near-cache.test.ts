import { describe, expect } from "vitest";
import type { Backend, ReadAnswer, Signal } from "./backend.js";
import { instrument, type Observation } from "./instrument.js";
import { createStateManager } from "./manager.js";
import { type NearCacheOptions, nearCache } from "./near-cache.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { add, anyScope, Client, emit, put, seal, touch } from "./testing/client.js";
import type { Trial } from "./testing/trial.js";
import { test } from "./with-trial.js";

/** A manager with a cache, on a store that answers later; the store itself, and what the cache asked of it. */
async function cached(remote: Trial, options: NearCacheOptions = {}) {
	const calls: Observation[] = [];
	const store = chaos(await remote.backend());
	const counted = instrument((observation) => calls.push(observation))(store.backend);
	const near = nearCache(counted, { clock: remote.clock, ...options });
	const manager = await remote.manager({ backend: near });
	/** How many reads of keys went to the store since the last look; heads alone are not of interest. */
	const reads = (): number =>
		calls.splice(0).filter(({ operation, bytes }) => operation === "read" && bytes > 0).length;
	const watches = (): number => calls.splice(0).filter(({ operation }) => operation === "watch").length;
	return { near, manager, store, reads, watches };
}

describe("a near cache", () => {
	test("answers what is subscribed to from memory, as the same object, and what was written meanwhile", async ({
		remote,
	}) => {
		const { manager, reads } = await cached(remote, { watch: false });
		const other = await remote.manager();
		await other.shared.set("a", { n: 1 });
		await manager.shared.subscribe("other/**", () => {}).ready;
		const first = await manager.shared.get("a");
		expect(reads()).toBe(1);
		for (let i = 0; i < 10; i++) expect(await manager.shared.get("a")).toBe(first);
		expect(reads()).toBe(0);
		await other.shared.set("a", { n: 2 });
		await remote.eventually("the push is heard", async () =>
			expect(await manager.shared.get("a")).toEqual({ n: 2 }),
		);
		reads();
		expect(await manager.shared.get("a")).toEqual({ n: 2 });
		await other.shared.set("b", 1);
		expect(reads(), "pushed, so not asked for").toBe(0);
	});

	test("watches what is read again, and leaves it to a subscription and back", async ({ remote }) => {
		const { manager, reads, watches } = await cached(remote);
		const { shared } = manager;
		const hot = async (): Promise<void> =>
			remote.eventually("answered from memory", async () => {
				reads();
				await shared.get("a");
				expect(reads()).toBe(0);
			});
		await shared.set("a", "x");
		await shared.get("a");
		expect(watches()).toBe(0);
		await shared.get("a");
		await hot();
		const subscription = shared.subscribe("**", () => {});
		await subscription.ready;
		await hot();
		subscription.stop();
		await hot();
	});

	test("does not watch what it is told not to", async ({ remote }) => {
		const { manager, watches } = await cached(remote, {
			watch: ({ kind, id }) => kind === "user" && id === "ada",
		});
		for (let i = 0; i < 5; i++) {
			await manager.shared.get("a");
			await manager.user("bob").get("a");
		}
		expect(watches()).toBe(0);
		for (let i = 0; i < 5; i++) await manager.user("ada").get("a");
		expect(watches()).toBe(1);
	});

	test("asks the store beyond maxAge, and for maxAge: 0", async ({ remote }) => {
		const { manager, reads } = await cached(remote, { maxAge: "5s" });
		const { shared } = manager;
		await shared.set("a", "x");
		await remote.eventually("answered from memory", async () => {
			reads();
			await shared.get("a");
			expect(reads()).toBe(0);
		});
		await shared.get("a", { maxAge: 0 });
		await shared.entry("a", { maxAge: 0 });
		await shared.getMany(["a"], { maxAge: "0s" });
		expect(reads()).toBe(3);
		await remote.advance(3000);
		await shared.has("a");
		expect(reads()).toBe(0);
		await shared.get("a", { maxAge: "2s" });
		expect(reads()).toBe(1);
		await remote.advance(6000);
		await shared.get("a", { maxAge: "1m" });
		expect(reads()).toBe(0);
		await shared.get("a");
		expect(reads()).toBe(1);
		await expect(shared.get("a", { maxAge: "soon" as never })).rejects.toMatchObject({
			code: "invalid-argument",
		});
	});

	test("sees its own writes at once, those that nobody waited for too", async ({ remote }) => {
		const { manager } = await cached(remote);
		const { shared } = manager;
		await shared.subscribe("**", () => {}).ready;
		for (let i = 0; i < 100; i++) {
			const written = shared.set("n", i);
			if (i % 2 === 0) await written;
			expect(await shared.get("n")).toBe(i);
			await written;
			expect(await shared.get("n")).toBe(i);
			if (i % 10 === 0) {
				await shared.delete("n");
				expect(await shared.get("n")).toBeUndefined();
			}
		}
		await shared.set("t", 1, { ttl: 60_000 });
		const { expiresAt = 0 } = (await shared.entry("t")) ?? {};
		await shared.touch("t", 120_000);
		expect((await shared.entry("t"))?.expiresAt).toBeGreaterThan((expiresAt as number) + 30_000);
	});

	test("costs no update: what was decided by an old value is decided again", async ({ remote }) => {
		const managers = [];
		for (let i = 0; i < 4; i++) {
			const { manager } = await cached(remote);
			await manager.shared.subscribe("**", () => {}).ready;
			managers.push(manager);
		}
		await Promise.all(
			managers.map(async ({ shared }) => {
				for (let i = 0; i < 10; i++) {
					await shared.update("n", (n: unknown) => ((n as number | undefined) ?? 0) + 1);
					await shared.commit(async (tx) =>
						tx.set("m", (((await tx.get("m")) as number | undefined) ?? 0) + 1),
					);
				}
			}),
		);
		const [first] = managers;
		expect(await first?.shared.getMany(["n", "m"], { maxAge: 0 })).toEqual([40, 40]);
	});

	test("holds no more than its bounds", async ({ remote }) => {
		const { near, manager } = await cached(remote, { maxEntries: 10, maxBytes: 5000 });
		const { shared } = manager;
		await shared.subscribe("none", () => {}).ready;
		const held = (prefix: string): number =>
			Array.from({ length: 100 }, (_, i) => `${prefix}${i}`).filter(
				(key) => near.peek?.({ scope: "conformance/shared", keys: [key] }) !== undefined,
			).length;
		for (let i = 0; i < 100; i++) await shared.get(`absent${i}`);
		expect(held("absent")).toBe(10);
		for (let i = 0; i < 20; i++) await shared.set(`large${i}`, "x".repeat(1000));
		for (let i = 0; i < 20; i++) await shared.get(`large${i}`);
		await remote.settle();
		expect(held("large")).toBeLessThanOrEqual(4);
	});

	test("watches no more scopes itself than its bound, the latest ones in time", async ({ remote }) => {
		let attached = 0;
		const inner = await remote.backend();
		const near = nearCache(
			around(inner, {
				watch: async (scope, listener) => {
					const unwatch = await inner.watch(scope, listener);
					attached++;
					return () => {
						attached--;
						unwatch();
					};
				},
			}),
			{ maxScopes: 3, clock: remote.clock },
		);
		const manager = await remote.manager({ backend: near });
		for (let i = 0; i < 20; i++) {
			for (let j = 0; j < 3; j++) await manager.user(`u${i}`).get("a");
			await remote.settle();
			expect(attached).toBeLessThanOrEqual(3);
			remote.clock.jump(1000);
		}
		// The third read may have been asked before the watch was attached.
		await remote.eventually("the latest is answered from memory", async () => {
			await manager.user("u19").get("a");
			expect(near.peek?.({ scope: "conformance/user/u19", keys: ["a"] }, 60_000)).toBeDefined();
		});
		expect(near.peek?.({ scope: "conformance/user/u0", keys: ["a"] }, 60_000)).toBeUndefined();
		await manager.close();
		expect(attached, "after close").toBe(0);
	});

	test("goes to the store while it hears nothing, and believes again what a read has confirmed", async ({
		remote,
	}) => {
		const { manager, store, reads } = await cached(remote);
		const { shared } = manager;
		await shared.subscribe("**", () => {}).ready;
		await shared.set("a", "x");
		await remote.settle();
		await shared.get("a");
		await shared.get("b");
		store.signal("lost");
		reads();
		await shared.get("a");
		await shared.get("a");
		expect(reads()).toBe(2);
		store.signal("wake");
		await remote.settle();
		await shared.get("b");
		reads();
		await shared.get("a");
		expect(reads(), "nothing had happened").toBe(0);
	});

	test("goes on after a push was lost, and after a drop", async ({ remote }) => {
		const { manager, store, reads } = await cached(remote);
		const other = await remote.manager();
		const { shared } = manager;
		await shared.subscribe("**", () => {}).ready;
		await shared.set("a", "x");
		const hot = (what: unknown): Promise<void> =>
			remote.eventually("answered from memory", async () => {
				reads();
				expect(await shared.get("a")).toBe(what);
				expect(reads()).toBe(0);
				expect(manager.health.status).toBe("ok");
			});
		await hot("x");
		store.faults.dropSignals = 1;
		await other.shared.set("a", "y");
		store.heal();
		await remote.advance(11_000);
		await hot("y");
		await other.shared.drop();
		await remote.eventually("the drop is seen", async () => expect(await shared.get("a")).toBeUndefined());
		await other.shared.set("a", "z");
		await hot("z");
	});

	test("passes everything else on", async ({ remote }) => {
		const heard: string[] = [];
		const inner = around(await remote.backend(), {
			problems: (listener) => {
				listener("it may evict");
				return () => heard.push("ended");
			},
		});
		for (const layer of [nearCache, instrument(() => {})]) {
			const layered = layer(inner);
			expect(layered).toMatchObject({ name: inner.name, traits: inner.traits });
			layered.problems?.((problem) => heard.push(problem))();
		}
		expect(heard).toEqual(["it may evict", "ended", "it may evict", "ended"]);
		expect(nearCache(await remote.backend()).problems).toBeUndefined();
		const layered = instrument(() => {})(nearCache(inner));
		expect(layered.peek).toBeDefined();
		expect(instrument(() => {})(inner).peek).toBeUndefined();
		const client = new Client(layered);
		await client.apply(add("n", 1), emit("counted", 1));
		expect(await client.list()).toHaveLength(1);
		expect((await client.log(0, { of: "events" })).records).toHaveLength(1);
		expect((await layered.scopes({ prefix: "", after: null, limit: 9 })).scopes).toHaveLength(1);
		await layered.drop(client.scope);
		expect(await client.list()).toEqual([]);
	});

	test("refuses bounds that are none", async ({ remote }) => {
		const backend = await remote.backend();
		for (const options of [
			{ maxEntries: 0 },
			{ maxBytes: 1.5 },
			{ maxScopes: -1 },
			{ maxAge: "never" as never },
		])
			expect(() => nearCache(backend, options)).toThrow(
				expect.objectContaining({ code: "invalid-argument" }),
			);
	});
});

/** A cache on memory that watches, with what the store pushes held back. */
async function withheld(trial: Trial) {
	const inner = await trial.backend();
	const held: (() => void)[] = [];
	const near = nearCache(
		around(inner, {
			watch: (scope, listener) => inner.watch(scope, (signal: Signal) => held.push(() => listener(signal))),
		}),
		{ clock: trial.clock },
	);
	await near.watch(anyScope, () => {});
	const read = (key: string): ReadAnswer => near.read([{ scope: anyScope, keys: [key] }])[0] as ReadAnswer;
	const peek = (key: string) => near.peek?.({ scope: anyScope, keys: [key] })?.entries[0];
	const push = (): void => {
		for (const deliver of held.splice(0)) deliver();
	};
	return { near, client: new Client(near), other: new Client(inner as Backend), read, peek, push };
}

describe("what it believes", () => {
	test("ends with an answer that tells of a younger life, though no push came", async ({ trial }) => {
		const { client, other, read, peek, push } = await withheld(trial);
		await other.apply(put("a", 1));
		push();
		read("a");
		expect(peek("a")).not.toBeNull();
		await other.backend.drop(anyScope);
		await client.refuse([touch("a", 1000)]);
		expect(peek("a"), "the refusal has shown that it is gone").toBeUndefined();
		read("a");
		expect(peek("a")).toBeNull();
	});

	test("ends at an entry's deadline, in a sealed scope too", async ({ trial }) => {
		const { other, read, peek, push } = await withheld(trial);
		await other.apply(put("a", 1, 5000), put("b", 2));
		await other.apply(seal("moved"));
		push();
		read("a");
		read("b");
		expect(peek("a")).toMatchObject({ key: "a" });
		await trial.advance(5000);
		expect(peek("a")).toBeUndefined();
		expect(read("a").entries).toEqual([null]);
		expect(peek("b")).toMatchObject({ key: "b" });
	});

	test("goes on after a touch that was not pushed", async ({ trial }) => {
		const { other, read, peek, push } = await withheld(trial);
		await other.apply(put("a", { n: 1 }, 5000));
		push();
		const value = read("a").entries[0]?.value;
		await other.apply(touch("a", 8000));
		await trial.advance(5000);
		expect(peek("a")).toBeUndefined();
		expect(read("a").entries[0]).toMatchObject({ key: "a" });
		expect(peek("a")?.value).toBe(value);
	});
});

test("managers that share a cached store see each other's writes at once", async ({ remote }) => {
	const backend = nearCache(await remote.backend());
	const [one, two] = [createStateManager({ backend }), createStateManager({ backend })];
	for (let i = 0; i < 30; i++) {
		await one.shared.set("n", i);
		expect(await two.shared.get("n")).toBe(i);
	}
	await one.close();
	await two.close();
});
