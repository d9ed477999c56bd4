import { memory } from "@holdfast/core";
import { TestClock } from "@holdfast/core/testing";
import { describe, expect, test, vi } from "vitest";
import { Bank, codeOf, deferred, eventually, load, sent, type Tab } from "./offline-harness.js";

/** A page's fetch, some of whose answers are held back on their way. */
class Delay {
	readonly #bank: Bank;
	#isHeld: (body: string) => boolean = () => false;
	#go = Promise.withResolvers<void>();
	/** How many answers were held. */
	held = 0;

	constructor(bank: Bank) {
		this.#bank = bank;
	}

	readonly fetch: typeof fetch = async (input, init) => {
		const response = await this.#bank.fetch(input, init);
		if (!this.#isHeld(`${input} ${init?.body}`)) return response;
		// What the server said by then is what arrives later, also where its connection has ended.
		const body = await response.text();
		this.held++;
		await this.#go.promise;
		return new Response(body, response);
	};

	hold(isHeld: (request: string) => boolean): void {
		this.#isHeld = isHeld;
	}

	release(): void {
		this.#isHeld = () => false;
		this.#go.resolve();
		this.#go = Promise.withResolvers();
	}
}

const keysIn = async ({ manager }: Tab): Promise<string[]> => {
	const keys: string[] = [];
	for await (const { key } of manager.shared.list()) keys.push(key);
	return keys;
};

/** A page that shows what its server holds, over a network that can be held up. */
async function mirrored() {
	const bank = await Bank.open();
	await bank.manager.shared.set("old", 1);
	const delay = new Delay(bank);
	const tab = load(bank, memory(), { fetch: delay.fetch });
	const { shared } = tab.manager;
	const mirror = shared.mirror();
	await mirror.ready;
	return { bank, delay, tab, shared, mirror };
}

describe("where the server has lost what it held", { timeout: 60_000 }, () => {
	test("a page shows what is there now, and what waits: not what it had sent before", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		const mirror = shared.mirror();
		await mirror.ready;
		await shared.set("old", 1, deferred);
		await shared.increment("sum", 5, deferred);
		await sent(tab);
		await eventually(() => expect(mirror.size).toBe(2));
		await bank.lose();
		await eventually(() => expect(mirror.list()).toEqual([]));
		expect(await shared.getMany(["old", "sum"])).toEqual([undefined, undefined]);
		expect(await keysIn(tab)).toEqual([]);
		// What waits is over that, and nothing else.
		await bank.server.stop();
		await shared.increment("sum", 2, deferred);
		await eventually(() => expect(mirror.list()).toEqual([{ key: "sum", value: 2 }]));
		await bank.server.run();
		await sent(tab);
		expect(await bank.manager.shared.get("sum")).toBe(2);
		await eventually(() => expect([mirror.stale, mirror.get("sum")]).toEqual([false, 2]));
	});

	test("a page that only reads is told so by the first answer, and does not fall back on what it knew", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		await shared.set("own", 1, deferred);
		await sent(tab);
		expect(await shared.getMany(["own", "none"])).toEqual([1, undefined]);
		await bank.lose();
		await eventually(async () => expect(await shared.get("other")).toBeUndefined());
		await bank.server.stop();
		expect(await shared.get("other").catch(() => undefined)).toBeUndefined();
		expect(await codeOf(shared.get("own"))).toBe("offline");
	});

	test("a page that is loaded anew does not go back to what the device keeps while the server is slow", async () => {
		const bank = await Bank.open();
		await bank.manager.shared.set("old", 1);
		const device = memory();
		const clock = new TestClock();
		const first = load(bank, device, { clock });
		await first.manager.shared.mirror().ready;
		expect(await first.manager.shared.get("old")).toBe(1);
		await first.manager.close();
		clock.jump(1);
		await bank.lose();

		const delay = new Delay(bank);
		delay.hold((request) => request.includes("/v1/list"));
		const second = load(bank, device, { clock, fetch: delay.fetch }, { grace: "10m" });
		const mirror = second.manager.shared.mirror();
		const seen: unknown[] = [];
		mirror.subscribe((members) => seen.push(...members));
		await vi.waitFor(() => expect(delay.held).toBe(1), { timeout: 30_000 });
		// The server has said nothing for the grace.
		for (let i = 0; i < 4; i++) clock.jump(300_000);
		// All that the device may tell, it tells before an answer of another store does.
		await second.manager.user("ada").set("kept", 1, deferred);
		delay.release();
		await mirror.ready;
		expect([mirror.list(), seen]).toEqual([[], []]);
		await bank.manager.shared.set("new", 2);
		await eventually(() => expect(mirror.list()).toEqual([{ key: "new", value: 2 }]));
	});

	test("an answer of before that comes late is not what is known", async () => {
		const { bank, delay, tab, shared, mirror } = await mirrored();
		delay.hold((request) => request.includes('"old"') || request.includes('"limit":7'));
		const reading = shared.get("old");
		const listing = shared.list("**", { limit: 7 })[Symbol.asyncIterator]().next();
		await eventually(() => expect(delay.held).toBe(2));
		await bank.lose();
		await eventually(() => expect(mirror.list()).toEqual([]));
		delay.release();
		await Promise.all([reading, listing]);
		await bank.server.stop();
		await eventually(() => expect(tab.backend.status.online).toBe(false));
		expect(await shared.get("old")).toBeUndefined();
		expect(await keysIn(tab)).toEqual([]);
	});

	test("a write that was stored before, and is told late, is not shown", async () => {
		const { bank, delay, tab, shared, mirror } = await mirrored();
		delay.hold((request) => request.includes("/v1/commit"));
		await shared.set("sent", 1, deferred);
		await eventually(() => expect(delay.held).toBe(1));
		const confirmed = tab.manager.user("ada").set("own", 1);
		await eventually(() => expect(delay.held).toBe(2));
		expect(await tab.manager.user("ada").get("own")).toBe(1);
		await bank.lose();
		await eventually(() => expect(mirror.get("old")).toBeUndefined());
		expect(await tab.manager.user("ada").get("own")).toBeUndefined();
		delay.release();
		await confirmed;
		await sent(tab);
		await eventually(() => expect(mirror.list()).toEqual([]));
		expect(await keysIn(tab)).toEqual([]);
		await bank.server.stop();
		await eventually(() => expect(tab.backend.status.online).toBe(false));
		expect(await tab.manager.user("ada").get("own")).toBeUndefined();
		expect(await shared.get("sent")).toBeUndefined();
	});
});

test("what was deleted while a page was away is not found again in what the device keeps", {
	timeout: 60_000,
}, async () => {
	const bank = await Bank.open();
	await bank.manager.shared.set("a", 1);
	const device = memory();
	const first = load(bank, device);
	expect(await first.manager.shared.get("a")).toBe(1);
	await first.manager.close();
	await bank.manager.shared.delete("a");
	const second = load(bank, device);
	expect(await second.manager.shared.get("a")).toBeUndefined();
	await second.manager.close();
	await bank.server.stop();
	expect(await load(bank, device).manager.shared.get("a")).toBeUndefined();
});
