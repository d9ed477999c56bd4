import { createStateManager, memory } from "@holdfast/core";
import { type CommitRequest, queueUnder } from "@holdfast/core/wire";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { describe, expect, test } from "vitest";
import {
	Bank,
	codeOf,
	deferred,
	ends,
	eventually,
	load,
	stillClock,
	withoutPauses,
} from "./offline-harness.js";
import { remote } from "./remote.js";

describe("without a network", { timeout: 60_000 }, () => {
	test("deferred writes are kept over a reload, and sent once and in order; all else refuses at once", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.set("gone", 1);
		await first.manager.close();
		await bank.server.stop();

		const second = load(bank, device);
		const { shared } = second.manager;
		const mine = second.manager.user("ada");
		// The first call, before anything was read: the page starts without a network.
		expect(await shared.set("a", 1, deferred)).toBe(0);
		expect(await codeOf(shared.set("a", 2))).toBe("offline");
		expect(await shared.get("a")).toBe(1);
		expect(await codeOf(shared.get("unknown"))).toBe("offline");
		expect(await codeOf(shared.update("unknown", (n: unknown) => n, deferred))).toBe("offline");
		expect(await codeOf(shared.lock("door"))).toBe("offline");
		expect(await codeOf(shared.increment("n", 1, { max: 5 }))).toBe("offline");
		expect(await codeOf(shared.increment("n", 1, { max: 5, ...deferred }))).toBe("invalid-argument");
		expect(await shared.increment("n", 2, deferred)).toBeNaN();
		expect(await shared.delete("gone", deferred)).toBe(true);
		const { revision } = await shared.commit((tx) => {
			tx.set("b", 1);
			tx.set("c", 1);
		}, deferred);
		expect(revision).toBe(0);
		await Promise.all([1, 2, 3].map((n) => mine.set("a", n, deferred)));
		await shared.set("a", 3, deferred);
		expect(second.backend.status.pending.count).toBe(8);
		expect(second.backend.status.pending.oldest).toBeLessThanOrEqual(Date.now());
		await second.manager.close();

		const third = load(bank, device);
		await eventually(() => expect(third.backend.status.pending.count).toBe(8));
		await bank.server.run();
		await eventually(() => expect(third.backend.status.pending).toEqual({ count: 0, oldest: null }));
		expect(await bank.history()).toEqual([
			["gone", 1],
			["a", 1],
			["n", 2],
			["gone", "delete"],
			["b", 1],
			["c", 1],
			["a", 3],
		]);
		expect(await bank.history(bank.manager.user("ada"))).toEqual([1, 2, 3].map((n) => ["a", n]));
		expect(third.queue.refused).toEqual([]);
	});

	test("nobody known is nobody to keep it for", async () => {
		const bank = await Bank.open();
		await bank.server.stop();
		const { manager, backend } = load(bank, memory());
		expect(await codeOf(manager.shared.set("a", 1, deferred))).toBe("offline");
		expect(backend.status.pending.count).toBe(0);
	});

	test("a device that is told of no network asks nobody", async () => {
		const bank = await Bank.open();
		let asked = 0;
		const { manager } = load(bank, memory(), {
			fetch: (...args) => {
				asked++;
				return bank.fetch(...args);
			},
			page: {
				hidden: false,
				connected: false,
				locks: undefined,
				channel: () => undefined,
				listen: () => () => {},
			},
		});
		expect(await codeOf(manager.shared.get("a"))).toBe("offline");
		expect(await codeOf(manager.shared.set("a", 1))).toBe("offline");
		expect(asked).toBe(0);
	});
});

describe("sending", { timeout: 120_000 }, () => {
	const writes = 60;

	/** Writes through a page that is loaded anew over and over, while connections break and answers are lost; answers what the server has stored. */
	async function writeAll(bank: Bank, meddle = (body: string): string => body): Promise<[string, number][]> {
		const proxy = await TcpProxy.to(bank.server.port, bank.server.host);
		ends.push(() => proxy.close());
		let turn = 0;
		let unanswered = 0;
		const losing: typeof fetch = async (input, init) => {
			const isCommit = String(input).endsWith("/v1/commit");
			const body = isCommit ? meddle(init?.body as string) : init?.body;
			const response = await bank.fetch(input, body == null ? init : { ...init, body });
			// As in a browser: nothing tells whether it had been sent.
			if (!isCommit || ++turn % 2 !== 0) return response;
			unanswered++;
			throw new TypeError("Failed to fetch");
		};
		const device = memory();
		const options = { url: `http://127.0.0.1:${proxy.port}`, fetch: losing };
		let lost = 0;
		const before = load(bank, device, options);
		await before.manager.shared.get("sum");
		await before.manager.close();
		for (let round = 0; round < 4; round++) {
			const tab = load(bank, device, options);
			for (let i = 0; i < writes / 4; i++) {
				const n = (round * writes) / 4 + i;
				const before = turn;
				await tab.manager.shared.commit((tx) => {
					tx.increment("sum");
					tx.set("last", n);
				}, deferred);
				// What is written at once is sent together.
				if (i % 3 === 2) await eventually(() => expect(turn).toBeGreaterThan(before));
				if (i % 5 === 4) lost += proxy.strike(i % 2 === 0 ? "cut" : "reset", 1);
			}
			await tab.manager.close();
		}
		expect(lost).toBeGreaterThan(0);
		const last = load(bank, device, options);
		await eventually(() => expect(last.backend.status.online).toBe(true));
		await eventually(async () => expect(await bank.manager.shared.get("last")).toBe(writes - 1));
		await eventually(() => expect(last.backend.status.pending.count).toBe(0));
		expect(unanswered).toBeGreaterThan(5);
		return (await bank.history()) as [string, number][];
	}

	/** Whether each was stored once, and in order. */
	function isOnceAndInOrder(history: readonly [string, number][]): boolean {
		const numbers = (key: string): number[] => history.filter(([of]) => of === key).map(([, n]) => n);
		const all = Array.from({ length: writes }, (_, i) => i);
		return numbers("last").join() === all.join() && numbers("sum").join() === all.map((i) => i + 1).join();
	}

	test("loses none and doubles none while connections break, answers are lost and the page is loaded anew", async () => {
		expect(isOnceAndInOrder(await writeAll(await Bank.open()))).toBe(true);
	});

	test("would double some if they were not counted where they are stored", async () => {
		const uncounted = (body: string): string => {
			const request = JSON.parse(body) as CommitRequest;
			for (const { commits } of request.batches)
				for (const commit of commits) {
					const counted = commit.do.findIndex((one) => "key" in one && one.key?.startsWith(queueUnder));
					expect(counted).toBeGreaterThan(0);
					(commit.do as unknown[]).splice(counted, 1);
				}
			return JSON.stringify(request);
		};
		expect(isOnceAndInOrder(await writeAll(await Bank.open(), uncounted))).toBe(false);
	});

	test("a confirmed write comes after the deferred ones before it", async () => {
		const bank = await Bank.open();
		const { manager } = load(bank, memory());
		for (let i = 0; i < 5; i++) void manager.shared.set("a", i, deferred);
		await manager.shared.set("a", 5, deferred);
		await manager.shared.set("a", 6);
		expect(await bank.history()).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => ["a", n]));
	});

	test("pauses while nobody is logged in", async () => {
		const bank = await Bank.open();
		const { manager, backend, queue } = load(bank, memory());
		await manager.shared.set("a", 1);
		bank.user = undefined;
		await manager.shared.set("a", 2, deferred);
		expect(await codeOf(manager.shared.get("a"))).toBe("unauthenticated");
		expect([backend.status.pending.count, queue.refused]).toEqual([1, []]);
		bank.user = "ada";
		await eventually(() => expect(backend.status.pending.count).toBe(0));
		expect(await bank.manager.shared.get("a")).toBe(2);
	});

	test("never happens as another user; what the first one wrote waits for him", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.set("a", "confirmed");
		await bank.server.stop();
		await first.manager.shared.set("a", "by ada", deferred);
		await first.manager.user("ada").set("secret", 1, deferred);
		bank.user = "bob";
		await bank.server.run();
		await eventually(() => expect(first.backend.status.online).toBe(true));
		await eventually(() => expect(first.backend.status.pending.count).toBe(0));
		await first.manager.shared.set("b", "by bob", deferred);
		await eventually(async () => expect(await bank.manager.shared.get("b")).toBe("by bob"));
		expect(await bank.manager.shared.get("a")).toBe("confirmed");
		expect(first.queue.refused).toEqual([]);
		await first.manager.close();

		bank.user = "ada";
		const again = load(bank, device);
		expect(await again.manager.shared.get("b")).toBe("by bob");
		await eventually(async () => expect(await bank.manager.user("ada").get("secret")).toBe(1));
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe("by ada"));
		const metadata = (await bank.manager.shared.entry("a"))?.metadata;
		expect(metadata).toEqual({ user: "ada" });
	});
});

describe("what is refused for good", { timeout: 60_000 }, () => {
	test("stays with its reason, blocks only its scope, and is sent or given up as is decided", async () => {
		const bank = await Bank.open();
		const device = memory();
		const first = load(bank, device);
		await first.manager.shared.set("a", 0);
		bank.closed.add("user");
		await first.manager.user("ada").set("x/1", 1, deferred);
		await first.manager.user("ada").set("x", 2, deferred);
		await first.manager.shared.set("a", 1, deferred);
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe(1));
		await eventually(() => expect(first.queue.refused).toHaveLength(1));
		expect(first.queue.refused[0]).toMatchObject({ scope: "user/ada", keys: ["x/1"], code: "denied" });
		await eventually(() => expect(first.backend.status.pending.count).toBe(1));
		await first.manager.close();

		const { queue, backend, manager } = load(bank, device);
		await manager.shared.get("a");
		await eventually(() => expect(queue.refused).toHaveLength(1));
		const id = queue.refused[0]?.id as string;
		bank.closed.clear();
		expect(await queue.retry(id)).toBe(true);
		expect(await queue.retry(id)).toBe(false);
		await eventually(() => expect(backend.status.pending.count).toBe(0));
		expect(queue.refused).toEqual([]);
		expect(await bank.history(bank.manager.user("ada"))).toEqual([
			["x/1", 1],
			["x", 2],
		]);

		await manager.shared.set("text", "no number");
		await manager.shared.increment("text", 1, deferred);
		await manager.shared.set("a", 2, deferred);
		await eventually(() => expect(queue.refused).toHaveLength(1));
		expect(queue.refused[0]).toMatchObject({ scope: "shared", keys: ["text"], code: "not-a-number" });
		expect(await queue.discard(queue.refused[0]?.id as string)).toBe(true);
		await eventually(async () => expect(await bank.manager.shared.get("a")).toBe(2));
		expect(queue.refused).toEqual([]);
	});
});

test("a backend without a queue takes a deferred write as a confirmed one", async () => {
	const bank = await Bank.open();
	const clock = stillClock();
	const backend = remote({ url: bank.server.url, fetch: bank.fetch });
	const manager = createStateManager({ backend, clock });
	ends.push(() => manager.close());
	expect(await manager.shared.set("a", 1, deferred)).toBeGreaterThan(0);
	expect(await bank.manager.shared.get("a")).toBe(1);
	await bank.server.stop();
	const refused = codeOf(manager.shared.set("a", 2, deferred));
	expect(await withoutPauses(clock, refused)).toBe("unavailable");
});
