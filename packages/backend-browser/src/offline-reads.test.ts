import { createStateManager, defineState, field, memory, type StateManager } from "@holdfast/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { Bank, codeOf, deferred, ends, eventually, load, sent } from "./offline-harness.js";

const keysOf = async (manager: StateManager, pattern = "**"): Promise<string[]> => {
	const keys: string[] = [];
	for await (const { key } of manager.shared.list(pattern)) keys.push(key);
	return keys;
};

describe("without a network, what was known last", { timeout: 60_000 }, () => {
	test("is read after a reload: what was read, what was listed, what was mirrored", async () => {
		const bank = await Bank.open();
		for (const key of ["a", "p/1", "p/2", "q/1"]) await bank.manager.shared.set(key, `${key} 1`);
		const device = memory();
		const first = load(bank, device);
		expect(await first.manager.shared.getMany(["a", "none"])).toEqual(["a 1", undefined]);
		const mirror = first.manager.shared.mirror("p/*");
		await mirror.ready;
		await bank.manager.shared.set("p/2", "p/2 2");
		await bank.manager.shared.set("p/3", "p/3 1");
		await bank.manager.shared.delete("p/1");
		await eventually(() => expect(mirror.list().map(({ key }) => key)).toEqual(["p/2", "p/3"]));
		await first.manager.close();
		await bank.server.stop();

		const second = load(bank, device);
		const { shared } = second.manager;
		expect(await shared.getMany(["a", "none", "p/2", "p/4"])).toEqual(["a 1", undefined, "p/2 2", undefined]);
		expect((await shared.entry("a"))?.metadata).toBeUndefined();
		expect(await shared.has("p/1")).toBe(false);
		expect(await keysOf(second.manager, "p/*")).toEqual(["p/2", "p/3"]);
		// What was never told is not made up.
		expect(await codeOf(shared.get("q/1"))).toBe("offline");
		expect(await codeOf(keysOf(second.manager))).toBe("offline");
		const again = shared.mirror("p/*");
		await again.ready;
		expect([again.stale, again.list().map(({ value }) => value)]).toEqual([true, ["p/2 2", "p/3 1"]]);
		const { status } = second.backend;
		expect([status.online, status.stale]).toEqual([false, true]);
		expect(status.age).toBeLessThan(60_000);

		// And goes on from there.
		await bank.manager.shared.set("p/2", "p/2 3");
		await bank.manager.shared.delete("p/3");
		const resets: unknown[] = [];
		shared.subscribe("p/*", () => {}, { onReset: (reset) => resets.push(reset) });
		await bank.server.run();
		await eventually(() => expect(again.list().map(({ value }) => value)).toEqual(["p/2 3"]));
		await eventually(() => expect([again.stale, status.online, status.stale]).toEqual([false, true, false]));
		expect(resets).toEqual([]);
	});

	test("is never another user's, and not told to nobody", async () => {
		const bank = await Bank.open();
		await bank.manager.shared.set("a", 1);
		await bank.manager.user("ada").set("secret", 1);
		const device = memory();
		const first = load(bank, device);
		expect(await first.manager.shared.get("a")).toBe(1);
		expect(await first.manager.user("ada").get("secret")).toBe(1);
		bank.user = "bob";
		await eventually(async () => expect(await first.manager.shared.get("b")).toBeUndefined());
		await bank.server.stop();
		expect(await first.manager.shared.get("b")).toBeUndefined();
		expect(await codeOf(first.manager.shared.get("a"))).toBe("offline");
		expect(await codeOf(first.manager.user("ada").get("secret"))).toBe("offline");
		await first.manager.close();
		const second = load(bank, device);
		expect(await codeOf(second.manager.user("ada").get("secret"))).toBe("offline");
		expect(await second.manager.shared.get("b")).toBeUndefined();
		await second.manager.close();

		bank.user = "ada";
		await bank.server.run();
		const third = load(bank, device);
		await third.manager.shared.get("c");
		await bank.server.stop();
		expect(await third.manager.user("ada").get("secret")).toBe(1);
	});

	test("takes no more room than it may: the scope that was confirmed longest ago goes", async () => {
		const bank = await Bank.open();
		const device = memory();
		const text = "x".repeat(3000);
		const write = async (n: number): Promise<void> => {
			await bank.manager.user("ada").set(`a${n}`, text);
			await bank.manager.shared.set(`a${n}`, text);
		};
		await write(1);
		await write(2);
		const limited = { copyBytes: 8000 };
		const first = load(bank, device, {}, limited);
		expect(await first.manager.shared.get("a1")).toBe(text);
		await first.manager.close();
		const second = load(bank, device, {}, limited);
		await second.manager.user("ada").getMany(["a1", "a2"]);
		await second.manager.close();
		await bank.server.stop();
		const third = load(bank, device, {}, limited);
		expect(await codeOf(third.manager.shared.get("a1"))).toBe("offline");
		expect(await third.manager.user("ada").get("a2")).toBe(text);
		await third.manager.close();
		await bank.server.run();

		const none = load(bank, memory(), {}, { copyBytes: 0 });
		expect(await none.manager.shared.get("a1")).toBe(text);
		await none.manager.close();
		await bank.server.stop();
		expect(await codeOf(load(bank, memory(), {}, { copyBytes: 0 }).manager.shared.get("a1"))).toBe("offline");
	});

	test("of two tabs is put together, and holds this page's own confirmed writes", async () => {
		const bank = await Bank.open();
		const device = memory();
		await bank.manager.shared.set("p/1", 1);
		await bank.manager.shared.set("q/1", 1);
		const tabs = [load(bank, device), load(bank, device)];
		const mirrors = tabs.map(({ manager }, i) => manager.shared.mirror(i === 0 ? "p/*" : "q/*"));
		for (const mirror of mirrors) await mirror.ready;
		await tabs[0]?.manager.user("ada").set("own", "written");
		await tabs[0]?.manager.user("ada").increment("sum", 3);
		for (const { manager } of tabs) await manager.close();
		await bank.server.stop();
		const { manager } = load(bank, device);
		expect(await manager.user("ada").getMany(["own", "sum"])).toEqual(["written", 3]);
		expect([await keysOf(manager, "p/*"), await keysOf(manager, "q/*")]).toEqual([["p/1"], ["q/1"]]);
	});
});

describe("what waits", { timeout: 60_000 }, () => {
	test("is shown over what the server has, in reads, listings and mirrors of all tabs, after a reload too", async () => {
		const bank = await Bank.open();
		const device = memory();
		for (const key of ["p/1", "p/2", "p/3"]) await bank.manager.shared.set(key, 1);
		const [one, two] = [load(bank, device), load(bank, device)];
		const mirrors = [one, two].map(({ manager }) => manager.shared.mirror("p/*"));
		for (const mirror of mirrors) await mirror.ready;
		await bank.server.stop();
		const { shared } = one.manager;
		await shared.set("p/2", "mine", deferred);
		await shared.delete("p/1", deferred);
		await shared.increment("p/3", 2, deferred);
		await shared.increment("p/3", 3, deferred);
		await shared.set("p/4", "new", deferred);
		const shown = [
			["p/2", "mine"],
			["p/3", 6],
			["p/4", "new"],
		];
		for (const mirror of mirrors)
			await eventually(() => expect(mirror.list().map(({ key, value }) => [key, value])).toEqual(shown));
		expect(await shared.getMany(["p/1", "p/2", "p/3", "p/4"])).toEqual([undefined, "mine", 6, "new"]);
		for (const { manager } of [one, two]) await manager.close();

		const again = load(bank, device);
		const mirror = again.manager.shared.mirror("p/*");
		await mirror.ready;
		expect(mirror.list().map(({ key, value }) => [key, value])).toEqual(shown);
		expect(await keysOf(again.manager, "p/*")).toEqual(["p/2", "p/3", "p/4"]);
		// Somebody else has written meanwhile: what waits is over that.
		await bank.manager.shared.set("p/3", 10);
		await bank.manager.shared.set("p/2", "theirs");
		await bank.server.run();
		await sent(again);
		await eventually(() => expect(mirror.get("p/3")).toBe(15));
		expect(mirror.list().map(({ key, value }) => [key, value])).toEqual([
			["p/2", "mine"],
			["p/3", 15],
			["p/4", "new"],
		]);
		expect(await bank.manager.shared.get("p/3")).toBe(15);
	});

	test("leaves as its record comes: no listener sees what was before, and no sum is counted twice", async () => {
		const bank = await Bank.open();
		await bank.manager.shared.set("note", "old");
		await bank.manager.shared.set("sum", 0);
		const tabs = [load(bank, memory())];
		tabs.push(load(bank, memory()));
		const [tab, other] = tabs as [(typeof tabs)[0], (typeof tabs)[0]];
		const mirror = tab.manager.shared.mirror();
		await mirror.ready;
		const seen: unknown[] = [];
		mirror.subscribe(() => seen.push([mirror.get("note"), mirror.get("sum")]));
		const reads: unknown[] = [];
		const rounds = 40;
		for (let i = 1; i <= rounds; i++) {
			await tab.manager.shared.commit((tx) => {
				tx.set("note", i);
				tx.increment("sum");
			}, deferred);
			reads.push(await tab.manager.shared.getMany(["note", "sum"]));
			const listed: unknown[] = [];
			for await (const { value } of tab.manager.shared.list()) listed.push(value);
			reads.push(listed.filter((value) => value !== "noise"));
			// Others' records come in between.
			if (i % 3 === 0) await other.manager.shared.set("noise", "noise");
		}
		expect(reads).toEqual(
			Array.from({ length: rounds }, (_, i) => [i + 1, i + 1]).flatMap((one) => [one, one]),
		);
		await sent(tab);
		await mirror.at((await bank.manager.shared.commit(() => {})).revision);
		const numbers = (seen as [unknown, number][]).map(([note, sum]) => [note, sum]);
		expect(numbers[0]).toEqual(["old", 0]);
		for (const [i, [note, sum]] of numbers.slice(1).entries()) {
			expect(note).toBe(sum);
			expect(sum).toBeGreaterThanOrEqual(numbers[i]?.[1] as number);
		}
		expect(numbers.at(-1)).toEqual([rounds, rounds]);
	});

	test("is shown no more once it is refused", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const mine = tab.manager.user("ada");
		await mine.set("a", 1);
		const mirror = mine.mirror();
		await mirror.ready;
		bank.closed.add("user");
		await mine.set("a", 2, deferred);
		await eventually(() => expect(tab.queue.refused).toHaveLength(1));
		await eventually(() => expect(mirror.get("a")).toBe(1));
		bank.closed.clear();
		await tab.queue.retry(tab.queue.refused[0]?.id as string);
		await eventually(() => expect(mirror.get("a")).toBe(2));
		await eventually(async () => expect(await bank.manager.user("ada").get("a")).toBe(2));
	});

	test("carries the version of its schema, and is migrated where it arrives", async () => {
		const device = memory();
		const old = defineState({
			shared: { note: field(z.object({ text: z.string() }), { migrations: [(v) => v] }) },
		});
		const now = defineState({
			shared: {
				note: field(z.object({ body: z.string() }), {
					migrations: [(v) => v, ({ text }: { text: string }) => ({ body: text })],
				}),
			},
		});
		const bank = await Bank.open(now);
		const before = load(bank, device);
		const early = createStateManager({ backend: before.backend, state: old });
		ends.push(() => early.close({ timeout: 1000 }));
		await before.manager.user("ada").get("a");
		await bank.server.stop();
		await early.shared.set("note", { text: "kept" }, deferred);
		await early.close();
		await before.manager.close();

		const after = load(bank, device);
		const late = createStateManager({ backend: after.backend, state: now });
		ends.push(() => late.close({ timeout: 1000 }));
		expect(await late.shared.get("note")).toEqual({ body: "kept" });
		await bank.server.run();
		await sent(after);
		const stored = createStateManager({ backend: bank.store, state: now });
		ends.push(() => stored.close());
		expect(await stored.shared.get("note")).toEqual({ body: "kept" });
		expect(after.queue.refused).toEqual([]);
	});
});
