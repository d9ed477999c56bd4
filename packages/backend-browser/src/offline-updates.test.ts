import { defineState, field, memory } from "@holdfast/core";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Conflict } from "./offline-conflict.js";
import { Bank, codeOf, deferred, eventually, load, sent } from "./offline-harness.js";

type Cart = readonly string[];

const add =
	(item: string) =>
	(cart: unknown): Cart => [...((cart as Cart | undefined) ?? []), item];

describe("a deferred update", { timeout: 60_000 }, () => {
	test("is kept with what it is made of, also of what waits itself, and sent once that stands", async () => {
		const bank = await Bank.open();
		const device = memory();
		await bank.manager.shared.set("cart", ["apple"]);
		const conflicts: Conflict[] = [];
		const options = { conflict: (one: Conflict) => void conflicts.push(one) };
		const first = load(bank, device, {}, options);
		expect(await first.manager.shared.get("cart")).toEqual(["apple"]);
		expect(await first.manager.shared.get("gone")).toBeUndefined();
		await bank.server.stop();
		const { shared } = first.manager;
		expect(await shared.update("cart", add("pear"), deferred)).toEqual(["apple", "pear"]);
		expect(await shared.update("cart", add("plum"), deferred)).toEqual(["apple", "pear", "plum"]);
		await shared.update("gone", add("x"), deferred);
		await shared.update("gone", () => undefined, deferred);
		await Promise.all(
			["a", "b", "c"].map((item) => shared.update("many", add(item), deferred).catch(() => {})),
		);
		await shared.set("many", [], deferred);
		await Promise.all([
			...["a", "b", "c"].map((item) => shared.update("many", add(item), deferred)),
			shared.set("beside", 1, deferred),
		]);
		await first.manager.close();

		const second = load(bank, device, {}, options);
		expect(await second.manager.shared.getMany(["cart", "gone", "many"])).toEqual([
			["apple", "pear", "plum"],
			undefined,
			["a", "b", "c"],
		]);
		expect(await second.manager.shared.update("cart", add("fig"), deferred)).toHaveLength(4);
		await bank.server.run();
		await sent(second);
		expect(await bank.manager.shared.getMany(["cart", "gone", "many"])).toEqual([
			["apple", "pear", "plum", "fig"],
			undefined,
			["a", "b", "c"],
		]);
		expect([conflicts, second.queue.refused]).toEqual([[], []]);
	});

	test("loses no other write while there is a network, though it does not wait for it", async () => {
		const bank = await Bank.open();
		const tabs = [1, 2].map(() =>
			load(bank, memory(), {}, { conflict: ({ theirs }) => (theirs as number) + 1 }),
		);
		await bank.manager.shared.set("n", 0);
		for (let i = 0; i < 20; i++)
			await Promise.all(
				tabs.map(({ manager }) => manager.shared.update("n", (n: unknown) => (n as number) + 1, deferred)),
			);
		for (const tab of tabs) await sent(tab);
		expect(await bank.manager.shared.get("n")).toBe(40);
	});

	test("is made of a sum that is on its way once", async () => {
		const bank = await Bank.open();
		const { manager, backend } = load(bank, memory());
		await bank.manager.shared.set("n", 0);
		for (let i = 0; i < 20; i++) {
			await manager.shared.increment("n", 1, deferred);
			await manager.shared.update("n", (n: unknown) => (n as number) + 1, deferred);
		}
		await eventually(() => expect(backend.status.pending.count).toBe(0));
		expect(await bank.manager.shared.get("n")).toBe(40);
	});

	test("meets a conflict: what is written is asked for, and what was made of it is asked for again", async () => {
		const bank = await Bank.open();
		const device = memory();
		const conflicts: Conflict[] = [];
		const merge = (one: Conflict): unknown => {
			conflicts.push(one);
			const [mine, theirs, base] = [one.mine, one.theirs, one.base].map((value) => (value ?? []) as Cart);
			return [...(theirs as Cart), ...(mine as Cart).filter((item) => !(base as Cart).includes(item))];
		};
		const tab = load(bank, device, {}, { conflict: merge });
		const { shared } = tab.manager;
		await bank.manager.shared.set("cart", ["apple"]);
		await shared.get("cart");
		const mirror = shared.mirror("cart");
		await mirror.ready;
		await bank.server.stop();
		await shared.update("cart", add("pear"), deferred);
		await shared.update("cart", add("plum"), deferred);
		await shared.set("after", 1, deferred);
		await bank.manager.shared.set("cart", ["apple", "theirs"]);
		await bank.server.run();
		await sent(tab);
		expect(await bank.manager.shared.get("cart")).toEqual(["apple", "theirs", "pear", "plum"]);
		expect(conflicts).toEqual([
			{
				scope: "shared",
				key: "cart",
				mine: ["apple", "pear"],
				theirs: ["apple", "theirs"],
				base: ["apple"],
			},
			{
				scope: "shared",
				key: "cart",
				mine: ["apple", "pear", "plum"],
				theirs: ["apple", "theirs", "pear"],
				base: ["apple", "pear"],
			},
		]);
		await eventually(() => expect(mirror.get("cart")).toEqual(["apple", "theirs", "pear", "plum"]));
		expect(await bank.history()).toEqual([
			["cart", ["apple"]],
			["cart", ["apple", "theirs"]],
			["cart", ["apple", "theirs", "pear"]],
			["cart", ["apple", "theirs", "pear", "plum"]],
			["after", 1],
		]);
	});

	test("is given up where nothing is to be written, with what was made of it", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory(), {}, { conflict: () => undefined });
		const { shared } = tab.manager;
		await shared.get("cart");
		await bank.server.stop();
		await shared.update("cart", add("pear"), deferred);
		await shared.update("cart", add("plum"), deferred);
		await shared.set("after", 1, deferred);
		await bank.manager.shared.set("cart", ["theirs"]);
		await bank.server.run();
		await sent(tab);
		expect(await shared.getMany(["cart", "after"])).toEqual([["theirs"], 1]);
		expect(tab.queue.refused).toEqual([]);
	});

	test("is refused where nobody settles conflicts: what was made of it goes with it", async () => {
		const bank = await Bank.open();
		const tab = load(bank, memory());
		const { shared } = tab.manager;
		await shared.get("cart");
		const mirror = shared.mirror();
		await mirror.ready;
		await bank.server.stop();
		await shared.update("cart", add("pear"), deferred);
		await shared.update("cart", add("plum"), deferred);
		await shared.set("after", 1, deferred);
		await bank.manager.shared.set("cart", ["theirs"]);
		await bank.server.run();
		await eventually(() => expect(tab.queue.refused).toHaveLength(1));
		expect(tab.queue.refused[0]).toMatchObject({ code: "conflict", keys: ["cart"] });
		await eventually(() => expect(mirror.get("cart")).toEqual(["theirs"]));
		expect(await codeOf(shared.set("after", 2))).toBe("done");
		expect(await tab.queue.discard(tab.queue.refused[0]?.id as string)).toBe(true);
		await sent(tab);
		await eventually(async () => expect(await shared.getMany(["cart", "after"])).toEqual([["theirs"], 1]));
	});

	test("is settled with values of the present schema", async () => {
		const state = defineState({
			shared: { n: field(z.object({ n: z.number() }), { migrations: [(n: number) => ({ n })] }) },
		});
		const bank = await Bank.open(state);
		const seen: Conflict[] = [];
		const conflict = (one: Conflict): unknown => {
			seen.push(one);
			return { n: (one.mine as { n: number }).n + (one.theirs as { n: number }).n };
		};
		const tab = load(bank, memory(), {}, { conflict, state });
		await tab.manager.shared.get("n");
		await bank.server.stop();
		// By a page of an earlier version.
		await tab.manager.shared.update("n", () => 5, deferred);
		await bank.manager.shared.set("n", 3);
		await bank.server.run();
		await sent(tab);
		expect(seen).toEqual([{ scope: "shared", key: "n", mine: { n: 5 }, theirs: { n: 3 }, base: undefined }]);
		expect(await bank.manager.shared.get("n")).toEqual({ n: 8 });
	});
});
