import {
	type Backend,
	type BatchAnswer,
	createStateManager,
	type Failure,
	formatScopeId,
	memory,
	type Scope,
	type Soon,
	storedValue,
} from "@holdfast/core";
import { describe, expect, test } from "vitest";
import type { OfflineQueue, RefusedWrite } from "./offline.js";
import { Bank, codeOf, deferred, eventually, load, sent, tabPage } from "./offline-harness.js";

/** A tab's way to the device's store, which does some things otherwise. */
const tabOf = (store: Backend, otherwise: Partial<Backend>): Backend => ({
	name: store.name,
	traits: { ...store.traits, reach: "device" },
	read: (asks) => store.read(asks),
	commit: (batches) => store.commit(batches),
	list: (scope, range) => store.list(scope, range),
	log: (scope, after, query) => store.log(scope, after, query),
	watch: (scope, listener) => store.watch(scope, listener),
	scopes: (range) => store.scopes(range),
	drop: (scope) => store.drop(scope),
	close: async () => {},
	...otherwise,
});

const keysUnder = async (scope: Scope, pattern: string): Promise<string[]> => {
	const keys: string[] = [];
	for await (const { key } of scope.list(pattern)) keys.push(key);
	return keys;
};

/** The scope of the device's store that holds what ada's pages have written. */
const queueOf = (bank: Bank): string =>
	formatScopeId({ namespace: "holdfast-offline", kind: "user", id: `${bank.server.url} ada` });

/** The same, to be read by keys. */
const rowsOf = (bank: Bank, device: Backend): Scope =>
	createStateManager({ backend: device, namespace: "holdfast-offline" }).user(`${bank.server.url} ada`);

describe("what a queue is given", { timeout: 120_000 }, () => {
	test("is not taken for what was given up before it, though the answer to that was lost", async () => {
		const bank = await Bank.open();
		const device = memory();
		let isAway = false;
		const losing: typeof fetch = async (input, init) => {
			if (isAway) throw new TypeError("Failed to fetch");
			const response = await bank.fetch(input, init);
			if (!String(input).endsWith("/v1/commit")) return response;
			isAway = true;
			throw new TypeError("Failed to fetch");
		};
		const first = load(bank, device, { fetch: losing });
		await first.manager.shared.get("a");
		await first.manager.shared.set("a", 1, deferred);
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe(1));
		await eventually(() => expect(isAway).toBe(true));
		await first.queue.logout({ pending: "discard" });
		await first.manager.close();

		const second = load(bank, device);
		await second.manager.shared.get("a");
		await second.manager.shared.set("b", 2, deferred);
		await sent(second);
		expect(await bank.manager.shared.get("b")).toBe(2);
	});

	test("in one turn may be more than a commit of the device's store can hold: each is kept, or refused for itself", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		await shared.get("a");
		await bank.server.stop();
		// Quotes take more room on the device.
		const text = '"'.repeat(200_000);
		// Each waits for those before it.
		const patiently = { ...deferred, timeout: "90s" } as const;
		const written = await Promise.all([
			...Array.from({ length: 4 }, (_, i) => codeOf(shared.set(`long/${i}`, text, patiently))),
			codeOf(shared.set("longer", '"'.repeat(520_000), patiently)),
			...Array.from({ length: 1000 }, (_, i) => codeOf(shared.set(`short/${i}`, i, patiently))),
		]);
		expect(new Set(written)).toEqual(new Set(["done", "too-large"]));
		const kept = written.filter((code) => code === "done").length;
		expect(kept).toBe(1004);
		expect(tab.backend.status.pending.count).toBe(kept);
		// And so many can be given up.
		await tab.queue.logout({ pending: "discard" });
		expect(tab.backend.status.pending.count).toBe(0);
	});

	test("is no more than may wait", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory(), {}, { queueLimit: 2 });
		const { shared } = tab.manager;
		await shared.get("a");
		await bank.server.stop();
		await shared.set("a", 1, deferred);
		await shared.update("a", (n: unknown) => (n as number) + 1, deferred);
		expect(await codeOf(shared.set("a", 3, deferred))).toBe("full");
		expect(await shared.get("a")).toBe(2);
		await bank.server.run();
		await sent(tab);
		expect(await codeOf(shared.set("a", 4, deferred))).toBe("done");
	});

	test("by a newer version of the page, which this one can't read, waits for that one, and what is behind it too", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.get("a");
		await bank.server.stop();
		await first.manager.shared.set("a", 1, deferred);
		await first.manager.user("ada").set("a", 1, deferred);
		await first.manager.close();
		const rows = rowsOf(bank, device);
		for await (const { key, value } of rows.list("writes/**")) {
			const row = value as { readonly scope: string; readonly commit: object };
			if (row.scope.endsWith("shared")) await rows.set(key, { ...row, commit: "of another kind" });
		}

		const second = load(bank, device);
		expect(await codeOf(second.manager.shared.set("b", 1, deferred))).toBe("done");
		await bank.server.run();
		await eventually(async () => expect(await bank.manager.user("ada").get("a")).toBe(1));
		await eventually(() => expect(second.queue.refused).toHaveLength(1));
		expect(second.queue.refused[0]).toMatchObject({ scope: "shared", keys: [], code: "failed" });
		expect(await bank.manager.shared.get("b")).toBeUndefined();
		expect(await second.queue.discard(second.queue.refused[0]?.id as string)).toBe(true);
		await sent(second);
		expect(await bank.manager.shared.get("b")).toBe(1);
	});
});

describe("a row of the device's store that can't be read", { timeout: 60_000 }, () => {
	/** Writes text that no codec knows, as another program's, or another version's, may be. */
	const spoil = async (device: Backend, scope: string, key: string): Promise<void> => {
		const [answer] = device.commit([
			{
				scope,
				writer: crypto.randomUUID(),
				sequence: 1,
				until: Date.now() + 30_000,
				floor: 0,
				step: 1,
				commits: [{ id: key, do: [{ op: "put", key, value: storedValue('{"$":"Later"}'), ttl: null }] }],
				keep: { changes: { count: 1000, age: 1e9 }, events: { count: 0, age: 0 } },
			},
		]);
		expect(await answer).toMatchObject({ outcomes: [{ ok: true }] });
	};

	test("is told as refused and stays, in a page that runs and in one that is loaded; other scopes go on", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.get("a");
		await bank.server.stop();
		await first.manager.shared.set("a", 1, deferred);
		await first.manager.shared.set("b", 1, deferred);
		const rows = rowsOf(bank, device);
		const [key] = await keysUnder(rows, "writes/**");
		await spoil(device, queueOf(bank), key as string);
		const isTold = (queue: OfflineQueue) =>
			eventually(() =>
				expect(queue.refused).toEqual([
					expect.objectContaining({ scope: "shared", keys: [], code: "failed", message: expect.any(String) }),
				]),
			);
		await isTold(first.queue);
		await first.manager.user("ada").set("c", 1, deferred);
		await first.manager.close();

		const second = load(bank, device);
		await isTold(second.queue);
		const [{ id }] = second.queue.refused as [RefusedWrite];
		await bank.server.run();
		await eventually(async () => expect(await bank.manager.user("ada").get("c")).toBe(1));
		expect(await second.queue.retry(id)).toBe(false);
		expect(await keysUnder(rows, "writes/**")).toContain(key);
		expect(await bank.manager.shared.get("b")).toBeUndefined();
		expect(await second.queue.discard(id)).toBe(true);
		await sent(second);
		expect(await bank.manager.shared.getMany(["a", "b"])).toEqual([undefined, 1]);
	});

	test("and says how far a scope was sent, is told to who writes: nothing is sent twice, nothing is lost", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.set("a", 1, deferred);
		await sent(first);
		await bank.server.stop();
		await first.manager.shared.set("b", 1, deferred);
		await first.manager.close();
		const rows = rowsOf(bank, device);
		const [key] = await keysUnder(rows, "sent/**");
		const waiting = await keysUnder(rows, "writes/**");
		await spoil(device, queueOf(bank), key as string);
		await bank.server.run();
		const second = load(bank, device);
		await second.manager.shared.get("a");
		expect(await codeOf(second.manager.shared.set("c", 1, deferred))).toBe("failed");
		expect(await keysUnder(rows, "writes/**")).toEqual(waiting);
		expect(await bank.manager.shared.get("b")).toBeUndefined();
	});
});

describe("tabs of one device", { timeout: 120_000 }, () => {
	test("that update one key in the same moment meet no conflict with each other, with a network and without", async () => {
		const bank = await Bank.open();
		const device = memory();
		// What one tab commits the others hear a little later.
		const late = (): Backend =>
			tabOf(device, {
				watch: (scope, listener) =>
					device.watch(scope, (signal) => void setTimeout(() => listener(signal), 3)),
			});
		const tabs = [1, 2].map(() => load(bank, late(), { page: tabPage }));
		const rounds = 15;
		const updateAll = async (): Promise<void> => {
			for (let i = 0; i < rounds; i++)
				await Promise.all(
					tabs.map(({ manager }) =>
						manager.shared.update("n", (n: unknown) => ((n as number | undefined) ?? 0) + 1, {
							...deferred,
							timeout: "60s",
						}),
					),
				);
		};
		for (const { manager } of tabs) await manager.shared.get("n");
		await updateAll();
		for (const tab of tabs) await sent(tab);
		expect(await bank.manager.shared.get("n")).toBe(2 * rounds);
		await bank.server.stop();
		await updateAll();
		await bank.server.run();
		for (const tab of tabs) await sent(tab);
		expect(await bank.manager.shared.get("n")).toBe(4 * rounds);
		expect(tabs.map(({ queue }) => queue.refused)).toEqual([[], []]);
	});

	test("close also where a lock is not answered, as in a page that is rendered ahead; what waits is sent by the next one", async () => {
		const bank = await Bank.open();
		const device = memory();
		let asked = 0;
		// Of a page that is never shown.
		const request = (): Promise<never> => {
			asked++;
			return new Promise(() => {});
		};
		const locks = { request, query: navigator.locks.query } as unknown as LockManager;
		const ahead = load(bank, device, { page: { ...tabPage, locks } });
		expect(await ahead.manager.shared.get("a")).toBeUndefined();
		await ahead.manager.shared.set("a", 1, deferred);
		await eventually(() => expect(asked).toBe(1));
		expect(await ahead.manager.shared.get("a")).toBe(1);
		await ahead.manager.close();
		expect(await bank.manager.shared.get("a")).toBeUndefined();
		const next = load(bank, device, { page: tabPage });
		await next.manager.shared.get("b");
		await sent(next);
		expect(await bank.history()).toEqual([["a", 1]]);
	});

	test("do not send at once where the device's store fails for one scope while another one is sent", async () => {
		const bank = await Bank.open();
		const store = memory();
		let isFull = false;
		const device = tabOf(store, {
			commit: (batches) =>
				batches.map((batch) =>
					isFull && batch.scope === queueOf(bank) && JSON.stringify(batch.commits).includes("sent/")
						? { failed: "refused", message: "no room" }
						: (store.commit([batch])[0] as Soon<BatchAnswer | Failure>),
				),
		});
		let running = 0;
		let most = 0;
		const { promise: opened, resolve: open } = Promise.withResolvers<void>();
		const options = {
			page: tabPage,
			fetch: (async (input, init) => {
				if (!String(input).endsWith("/v1/commit") || !String(init?.body).includes("held"))
					return bank.fetch(input, init);
				most = Math.max(most, ++running);
				await opened;
				return bank.fetch(input, init).finally(() => running--);
			}) as typeof fetch,
		};
		const tabs = [load(bank, device, options), load(bank, device, options)] as const;
		for (const { manager } of tabs) await manager.shared.get("a");
		await bank.server.stop();
		// Too long to go in the same request.
		const long = "a".repeat(600_000);
		await tabs[0].manager.user("ada").set("held", long, deferred);
		await tabs[0].manager.shared.set("a", long, deferred);
		isFull = true;
		await bank.server.run();
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe(long));
		await eventually(() => expect(running).toBe(1));
		// Both look again now and then: what the first one has begun is not begun anew.
		const asked = bank.server.count("read");
		await eventually(() => expect(bank.server.count("read")).toBeGreaterThanOrEqual(asked));
		for (const { queue } of tabs) await queue.retry("none");
		await new Promise((resolve) => setImmediate(resolve));
		isFull = false;
		for (const { manager } of tabs) await manager.shared.set("b", 1, deferred);
		open();
		for (const tab of tabs) await sent(tab);
		expect(most).toBe(1);
		expect(await bank.history(bank.manager.user("ada"))).toEqual([["held", long]]);
	});
});
