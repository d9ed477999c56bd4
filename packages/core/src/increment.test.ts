import { describe, expect } from "vitest";
import { z } from "zod";
import { field } from "./field.js";
import { test, untyped } from "./with-trial.js";

const state = untyped({
	shared: {
		n: z.number(),
		ten: z.number().default(10),
		text: z.string(),
		"a text by default": z.string().default("none"),
		kept: field(z.number(), { ttl: 100_000 }),
		moved: field(z.number(), { migrations: [(old) => old] }),
	},
});

describe("increment", () => {
	test("adds to what is there, to the default where nothing is, else to 0", async ({ trial }) => {
		const { shared } = await trial.manager({ state });
		expect([
			await shared.increment("n"),
			await shared.increment("n", -3),
			await shared.increment("n", 0.5),
		]).toEqual([1, -2, -1.5]);
		expect([await shared.increment("ten", 5), await shared.increment("ten")]).toEqual([15, 16]);
		expect(await shared.getMany(["n", "ten"])).toEqual([-1.5, 16]);
	});

	test("loses none of many at once, with a default, too, by several managers", async ({ remote }) => {
		const managers = [await remote.manager({ state }), await remote.manager({ state })];
		const each = 10;
		const added = managers.flatMap(({ shared }) =>
			Array.from({ length: each }, () => [shared.increment("n"), shared.increment("ten")]).flat(),
		);
		await remote.advance(200);
		await Promise.all(added);
		expect(await managers[0]?.shared.getMany(["n", "ten"])).toEqual([2 * each, 10 + 2 * each]);
	});

	test("within bounds answers whether it was done, and the number; nothing is written where not", async ({
		trial,
	}) => {
		const { shared } = await trial.manager({ state });
		for (const [key, start] of [
			["n", 0],
			["ten", 10],
		] as const) {
			const max = start + 5;
			expect(await shared.increment(key, 9, { max })).toEqual({ ok: false, value: start });
			expect(await shared.has(key)).toBe(false);
			expect(await shared.increment(key, 3, { max })).toEqual({ ok: true, value: start + 3 });
			expect(await shared.increment(key, 3, { max })).toEqual({ ok: false, value: start + 3 });
			expect(await shared.increment(key, 2, { max })).toEqual({ ok: true, value: max });
			expect(await shared.increment(key, -1, { min: start + 5 })).toEqual({ ok: false, value: max });
			expect(await shared.increment(key, 0, { min: start, max })).toEqual({ ok: true, value: max });
			expect(await shared.get(key)).toBe(max);
		}
	});

	test("of what is no number, or by none, is refused", async ({ trial }) => {
		const { shared } = await trial.manager({ state });
		await shared.set("text", "t");
		for (const key of ["text", "a text by default"])
			await expect(shared.increment(key)).rejects.toMatchObject({
				code: "not-a-number",
				scope: "shared",
				key,
			});
		await shared.set("a text by default", "t");
		await expect(shared.increment("a text by default")).rejects.toMatchObject({ code: "not-a-number" });
		await expect(shared.increment("moved")).rejects.toMatchObject({ code: "invalid-argument", key: "moved" });
		await expect(shared.increment("absent")).rejects.toMatchObject({ code: "unknown-key" });
		for (const by of [Number.NaN, Number.POSITIVE_INFINITY])
			await expect(shared.increment("n", by)).rejects.toMatchObject({ code: "invalid-argument", key: "n" });
		await expect(shared.increment("n", 1, { max: Number.NaN })).rejects.toMatchObject({
			code: "invalid-argument",
		});
	});

	test("past what a number can be is refused as out of bounds, and as a result within bounds", async ({
		trial,
	}) => {
		const { shared } = await trial.manager({ state });
		for (const key of ["n", "ten"]) {
			await shared.set(key, Number.MAX_VALUE);
			await expect(shared.increment(key, Number.MAX_VALUE)).rejects.toMatchObject({
				code: "out-of-bounds",
				key,
			});
			expect(await shared.get(key)).toBe(Number.MAX_VALUE);
		}
		await shared.delete("ten");
		await expect(
			shared.increment("ten", Number.MAX_VALUE).then((sum) => shared.increment("ten", sum)),
		).rejects.toMatchObject({
			code: "out-of-bounds",
		});
	});

	test("keeps the deadline, unless a ttl says otherwise: of the call, else of the key", async ({ trial }) => {
		const { shared } = await trial.manager({ state });
		const left = async (key: string): Promise<number | null> => {
			const entry = await shared.entry(key);
			return entry?.expiresAt === null || entry === undefined
				? null
				: entry.expiresAt - (trial.clock.now() + 10_800_000);
		};
		await shared.set("n", 1, { ttl: 600_000 });
		await shared.increment("n");
		expect(await left("n")).toBeCloseTo(600_000, -4);
		await shared.increment("n", 1, { ttl: 50_000 });
		expect(await left("n")).toBeCloseTo(50_000, -4);
		await shared.increment("kept");
		expect(await left("kept")).toBeCloseTo(100_000, -4);
		await shared.increment("kept", 1, { ttl: 200_000 });
		await shared.increment("kept");
		expect(await left("kept")).toBeCloseTo(100_000, -4);
		await shared.increment("ten", 1, { ttl: 50_000 });
		expect(await left("ten")).toBeCloseTo(50_000, -4);
		await trial.advance(60_000);
		expect(await shared.getMany(["n", "ten"])).toEqual([undefined, 10]);
		expect(await shared.increment("ten")).toBe(11);
		expect(await left("ten")).toBeNull();
	});
});
