/** Promise 9: rich values, identical on every store; what can't be stored is refused before it can spoil anything. */
import fc from "fast-check";
import { expect } from "vitest";
import { jsonCodec } from "../codec.js";
import { givenValue } from "../value.js";
import { type Check, check } from "./check.js";
import { add, put } from "./client.js";

const values: Record<string, unknown> = {
	null: null,
	true: true,
	false: false,
	zero: 0,
	"minus zero": -0,
	"a half": 0.5,
	"a tenth and two": 0.1 + 0.2,
	"the greatest integer": Number.MAX_SAFE_INTEGER,
	"the least integer": Number.MIN_SAFE_INTEGER,
	"the greatest number": Number.MAX_VALUE,
	"the smallest number": Number.MIN_VALUE,
	NaN: Number.NaN,
	infinity: Number.POSITIVE_INFINITY,
	"minus infinity": Number.NEGATIVE_INFINITY,
	"a bigint": 2n ** 80n,
	"a negative bigint": -1n,
	"no text": "",
	text: "plain",
	"text with everything":
		"\0\x01\b\t\n\r\x1b\"'\\/`$<{}>&\x7f\u0080\u2028\u2029\ufeff\uffff é e\u0301 \u{1f600}\u{10ffff}",
	"text that looks like a tag": '{"$":"date","v":"2020-01-01"}',
	"text that looks like a number": "007",
	"no members": [],
	"no properties": {},
	"an array in an array": [[], [[]], [[[1]]]],
	"undefined in an array": [undefined, 1, undefined],
	"undefined in an object": { a: undefined, b: 1 },
	"properties in an order of their own": { z: 1, a: 2, 10: 3, 9: 4, "": 5 },
	"awkward names": { __proto__x: 1, constructor: 2, toString: 3, "a b": 4, "\0": 5, $: 6 },
	"a property named __proto__": JSON.parse('{"__proto__":{"a":1},"b":2}'),
	"an object that looks like a tag": { $: "date", v: "2020-01-01" },
	"an object within one that looks like a tag": { $: "map", v: { $: "set", v: [] }, w: 1 },
	"a date": new Date("2024-02-29T12:34:56.789Z"),
	"a date of long ago": new Date(-8.64e15),
	"no date": new Date(Number.NaN),
	"a map": new Map<unknown, unknown>([
		["a", 1],
		[1, "one"],
		[{ b: 1 }, new Map([[null, undefined]])],
	]),
	"a set": new Set([1, "1", 1n, null, { a: new Set() }]),
	"a url": new URL("https://user:pass@example.org:8080/päth/?q=1&q=2#ä"),
	"a regular expression": /^a\/"b\u{1f600}$/giu,
	"a buffer": new Uint8Array([0, 127, 128, 255]).buffer,
	"no bytes": new Uint8Array(),
	bytes: Uint8Array.from({ length: 300 }, (_, i) => i),
	"clamped bytes": new Uint8ClampedArray([0, 255]),
	"signed bytes": new Int8Array([-128, 127]),
	shorts: new Int16Array([-1, 256]),
	"unsigned shorts": new Uint16Array([65535]),
	ints: new Int32Array([-1, 2 ** 31 - 1]),
	"unsigned ints": new Uint32Array([2 ** 32 - 1]),
	floats: new Float32Array([0.5, Number.NaN]),
	doubles: new Float64Array([0.1, Number.NEGATIVE_INFINITY, -0]),
	"big ints": new BigInt64Array([-(2n ** 63n)]),
	"unsigned big ints": new BigUint64Array([2n ** 64n - 1n]),
	"a view of a part of a buffer": new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
	"all sorts, deep": {
		a: [new Map([["k", new Set([new Date(0), { u: undefined, n: -0 }])]])],
		b: { c: [1n] },
	},
};

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;

class Account {
	balance = 1;
}

const refused: Record<string, unknown> = {
	"a function": () => {},
	"a symbol": Symbol("s"),
	"a cycle": cyclic,
	"an instance of a class": new Account(),
	"a function deep inside": { a: [{ b: () => {} }] },
	"a lone surrogate": "\ud800",
	"a lone surrogate in a name": { "\udfff": 1 },
	"a promise": Promise.resolve(1),
	"an error": new Error("e"),
	"a weak map": new WeakMap(),
	"a symbol as a name": { [Symbol("s")]: 1 },
	undefined: undefined,
};

/** Any value that can be stored, nested at will. */
const anything = fc.letrec<{ value: unknown }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4, withCrossShrink: true },
		fc.oneof(
			fc.constantFrom(null, undefined, true, false),
			fc.double(),
			fc.integer(),
			fc.bigInt(),
			fc.string({ unit: "binary" }),
			fc.date({ noInvalidDate: false }),
			fc.uint8Array(),
			fc.float64Array(),
		),
		fc.array(tie("value"), { maxLength: 4 }),
		fc.dictionary(fc.string({ unit: "binary" }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
		fc.array(tie("value"), { maxLength: 3 }).map((members) => new Set(members)),
		fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((members) => new Map(members)),
	),
})).value;

export const rich: readonly Check[] = [
	check(9, "every kind of value comes back as it was, text for text", async (trial) => {
		const client = await trial.client();
		const reader = await trial.client();
		const given = Object.entries(values).map(([, value], i) => ({ key: `k${i}`, value }));
		await client.apply(...given.map(({ key, value }) => put(key, value)));
		const { entries } = await reader.read(...given.map(({ key }) => key));
		for (const [i, name] of Object.keys(values).entries()) {
			const entry = entries[i];
			expect(entry?.value.text, `the text of ${name}`).toBe(givenValue(values[name]).text);
			expect(entry?.value.data(jsonCodec), name).toStrictEqual(values[name]);
		}
	}),

	check(9, "and from one manager to another: read, listed, heard and mirrored", async (trial) => {
		const [writer, reader] = [await trial.manager(), await trial.manager()];
		const heard = new Map<string, unknown>();
		await reader.shared.subscribe("*", ({ key, value }) => heard.set(key, value)).ready;
		const mirror = reader.shared.mirror();
		await mirror.ready;
		let last = 0;
		for (const [name, value] of Object.entries(values)) last = await writer.shared.set(name, value);
		await trial.within("the mirror", mirror.at(last));
		await trial.eventually("all is heard", () => expect(heard.size).toBe(Object.keys(values).length));
		const listed = new Map<string, unknown>();
		for await (const { key, value } of reader.shared.list("*")) listed.set(key, value);
		for (const [name, value] of Object.entries(values)) {
			expect(await reader.shared.get(name), `${name}, read`).toStrictEqual(value);
			expect(listed.get(name), `${name}, listed`).toStrictEqual(value);
			expect(heard.get(name), `${name}, heard`).toStrictEqual(value);
			expect(mirror.get(name), `${name}, mirrored`).toStrictEqual(value);
		}
	}),

	check(9, "null is a value, and what is absent is undefined", async (trial) => {
		const { shared } = await trial.manager();
		await shared.set("null", null);
		expect(await shared.getMany(["null", "absent"])).toEqual([null, undefined]);
		expect([await shared.has("null"), await shared.has("absent")]).toEqual([true, false]);
		expect(await shared.entry("null")).toMatchObject({ key: "null", value: null });
		expect(await shared.entry("absent")).toBeUndefined();
		expect(await shared.getOrSet("null", 1), "getOrSet of a null").toBeNull();
	}),

	check(9, "plain JSON is stored as it is written", async (trial) => {
		const client = await trial.client();
		const plain = { z: [1, 2.5, "text", null, true], a: { b: {} }, 10: "ten" };
		await client.apply(put("a", plain), put("n", 12.5), put("t", "text"));
		expect(await client.text("a")).toBe(JSON.stringify(plain));
		expect(await client.text("n")).toBe("12.5");
		expect(await client.text("t")).toBe('"text"');
	}),

	check(9, "a number that was added to is the number that was written", async (trial) => {
		const client = await trial.client();
		const sums = [0.1, 1e21, 5e-324, 2 ** 53 - 1, 123_456_789.123_456_79, -2.5];
		await client.apply(...sums.map((sum, i) => put(`put/${i}`, sum)));
		await client.apply(...sums.map((sum, i) => add(`add/${i}`, sum)));
		for (const [i, sum] of sums.entries()) {
			const [written, added] = (await client.read(`put/${i}`, `add/${i}`)).entries;
			expect(added?.value.data(jsonCodec), `${sum}, added`).toBe(sum);
			expect(written?.value.data(jsonCodec), `${sum}, written`).toBe(sum);
			expect(added?.value.number, `${sum}, as the number that a store adds to`).toBe(sum);
		}
	}),

	...Object.entries(refused).map(([name, value]) =>
		check(9, `${name} is refused, and nothing of its commit is written`, async (trial) => {
			const { shared } = await trial.manager();
			await expect(shared.set("a", value)).rejects.toMatchObject({ code: "invalid-value", key: "a" });
			const transaction = shared.commit((tx) => {
				tx.set("good", 1);
				tx.set("bad", value);
			});
			await expect(transaction).rejects.toMatchObject({ code: "invalid-value" });
			await expect(shared.update("a", () => ({ value })))
				.resolves.toBeDefined()
				.catch(() => {});
			if (value !== undefined)
				await expect(shared.events.emit("happened", value)).rejects.toMatchObject({ code: "invalid-value" });
			expect(await shared.has("good")).toBe(false);
			await shared.set("after", 1);
			expect(await shared.get("after"), "the next write").toBe(1);
		}),
	),

	check(9, "any value that can be stored comes back as it was", async (trial) => {
		const [writer, reader] = [await trial.client(), await trial.client()];
		await fc.assert(
			fc.asyncProperty(fc.array(anything, { minLength: 1, maxLength: 8 }), async (given) => {
				await writer.apply(...given.map((value, i) => put(`k${i}`, { value })));
				const { entries } = await reader.read(...given.map((_, i) => `k${i}`));
				for (const [i, value] of given.entries())
					expect(entries[i]?.value.data(jsonCodec)).toStrictEqual({ value });
			}),
			{ numRuns: 40 },
		);
	}),
];
