/** Key order and pages: part of what promise 10 bounds and promise 4 keeps apart. */
import { expect } from "vitest";
import { compareKeys, encodeKey, spanUnder } from "../key.js";
import { type Check, check } from "./check.js";
import { put, remove } from "./client.js";
import { hostileNames } from "./hostile.js";
import { pick, seeded } from "./random.js";

const encoder = new TextEncoder();

/** The order that counts, by the bytes themselves. */
function compareBytes(a: string, b: string): number {
	const [x, y] = [encoder.encode(a), encoder.encode(b)];
	for (let i = 0; i < Math.min(x.length, y.length); i++)
		if (x[i] !== y[i]) return (x[i] as number) - (y[i] as number);
	return x.length - y.length;
}

const characters = [
	"a",
	"A",
	"z",
	"/",
	"0",
	"9",
	"-",
	".",
	"_",
	" ",
	"!",
	"~",
	"é",
	"\uffee",
	"\ue000",
	"\u{10000}",
	"\u{1f600}",
	"\0",
	"\x7f",
];

/** Keys of every kind of character, many with the same beginnings. */
function manyKeys(): readonly string[] {
	const random = seeded(7);
	const keys = new Set(hostileNames.filter((name) => !/(^|\/)\*\*?(\/|$)/.test(name)));
	while (keys.size < 400) {
		let key = "";
		for (let length = 1 + Math.floor(random() * 5); length > 0; length--) key += pick(random, characters);
		keys.add(key);
	}
	return [...keys];
}

export const listing: readonly Check[] = [
	check(4, "what is listed behind a key, and a mirror of one key, hold what they should", async (trial) => {
		const { shared } = await trial.manager();
		const keys = ["a", "a b", "a!", "a/b", "ab", "\0", "a\0"];
		for (const key of keys) await shared.set(key, key);
		const all: string[] = [];
		for await (const { key } of shared.list()) all.push(key);
		for (const [i, after] of all.entries()) {
			const behind: string[] = [];
			for await (const { key } of shared.list("**", { after })) behind.push(key);
			expect(behind).toEqual(all.slice(i + 1));
			using mirror = shared.mirror(after);
			await mirror.ready;
			expect(mirror.list()).toEqual([{ key: after, value: after }]);
		}
	}),
	check(
		4,
		"keys are listed in the order of their UTF-8 bytes, whatever the size of a page",
		async (trial) => {
			const client = await trial.client();
			const plain = manyKeys();
			const keys = plain.map(encodeKey);
			await client.apply(...keys.map((key) => put(key, key)));
			const expected = [...keys].sort(compareBytes);
			expect([...keys].sort(compareKeys), "core's own order").toEqual(expected);
			expect([...plain].sort(compareBytes).map(encodeKey), "encoding keeps the order").toEqual(expected);
			for (const limit of [1, 13, 400, 5000])
				expect(
					(await client.list("", limit)).map(({ key }) => key),
					`in pages of ${limit}`,
				).toEqual(expected);
		},
	),

	check(4, "a range holds what lies in it by bytes: its start, and all before its end", async (trial) => {
		const client = await trial.client();
		const keys = manyKeys().map(encodeKey).sort(compareBytes);
		await client.apply(...keys.map((key) => put(key, 1)));
		const random = seeded(11);
		for (let i = 0; i < 40; i++) {
			const bounds = [pick(random, keys), pick(random, [...keys, "~2", "b0", "!", `${pick(random, keys)}!`])];
			const [from, to] = bounds.sort(compareBytes) as [string, string];
			const { entries } = await client.backend.list(client.scope, { from, to, limit: 1000, bytes: 2 ** 20 });
			expect(
				entries.map(({ key }) => key),
				`from ${JSON.stringify(from)} to ${JSON.stringify(to)}`,
			).toEqual(keys.filter((key) => compareBytes(key, from) >= 0 && compareBytes(key, to) < 0));
		}
	}),

	check(4, "a prefix takes whole segments", async (trial) => {
		const client = await trial.client();
		const keys = ["a", "a!0", "a-", "a/", "a/b", "a/b/c", "a/~0", "a0", "ab", "ab/c", "b/a/b", "A/b"];
		await client.apply(...keys.map((key) => put(key, 1)));
		const under = async (prefix: string): Promise<readonly string[]> =>
			(await client.list(prefix)).map(({ key }) => key);
		expect(await under("a/")).toEqual(["a/", "a/b", "a/b/c", "a/~0"]);
		expect(await under("a/b/")).toEqual(["a/b/c"]);
		expect(await under("ab/")).toEqual(["ab/c"]);
		expect(await under("c/")).toEqual([]);
	}),

	check(10, "a page has at most so many entries and about so many bytes, but always one", async (trial) => {
		const client = await trial.client();
		await client.apply(
			...Array.from({ length: 50 }, (_, i) => put(`k${String(i).padStart(2, "0")}`, "x".repeat(1000))),
		);
		const { from, to } = spanUnder("");
		const page = async (limit: number, bytes: number): Promise<{ length: number; next: string | null }> => {
			const { entries, next } = await client.backend.list(client.scope, { from, to, limit, bytes });
			return { length: entries.length, next };
		};
		expect(await page(10, 2 ** 20)).toEqual({ length: 10, next: "k10" });
		expect(await page(50, 2 ** 20), "a page that takes just all").toEqual({ length: 50, next: null });
		expect(await page(51, 2 ** 20)).toEqual({ length: 50, next: null });
		const small = await page(50, 10_000);
		expect(small.length, "entries in about 10,000 bytes").toBeGreaterThan(0);
		expect(small.length, "entries in about 10,000 bytes").toBeLessThan(15);
		expect(await page(50, 1), "entries in a byte").toEqual({ length: 1, next: "k01" });
	}),

	check(10, "a listing that is read in pages misses nothing that was there all the time", async (trial) => {
		const client = await trial.client();
		const writer = await trial.client();
		const keys = Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(2, "0")}`);
		await client.apply(...keys.map((key) => put(key, 1)));
		const listed: string[] = [];
		const { from, to } = spanUnder("");
		for (let next: string | null = from, i = 0; next !== null; i++) {
			const page = await client.backend.list(client.scope, { from: next, to, limit: 7, bytes: 2 ** 20 });
			listed.push(...page.entries.map(({ key }) => key));
			next = page.next;
			// Also the key at which the next page begins goes away, and others come.
			await writer.apply(
				put(`j${i}`, 1),
				put(`k${String(i).padStart(2, "0")}-new`, 1),
				...(next === null ? [] : [remove(next)]),
			);
		}
		expect(listed, "in order").toEqual([...listed].sort(compareBytes));
		expect(new Set(listed).size, "nothing twice").toBe(listed.length);
		const left = new Set((await client.list()).map(({ key }) => key));
		expect(
			keys.filter((key) => left.has(key) && !listed.includes(key)),
			"what was missed",
		).toEqual([]);
	}),
];
