import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonCodec } from "./codec.js";
import { define, freezeCopy } from "./immutable.js";

const { encode, decode } = jsonCodec;
const roundTrip = (value: unknown): unknown => decode(encode(freezeCopy(value).data));

const typedArrays = [
	new Int8Array([-1, 2]),
	new Uint8Array([1, 255]),
	new Uint8ClampedArray([0, 255]),
	new Int16Array([-1, 2]),
	new Uint16Array([1, 65_535]),
	new Int32Array([-1, 2]),
	new Uint32Array([1, 2 ** 32 - 1]),
	new Float32Array([0.5, Number.NaN, -0]),
	new Float64Array([0.1, Number.NEGATIVE_INFINITY]),
	new BigInt64Array([-1n, 2n]),
	new BigUint64Array([1n, 2n ** 64n - 1n]),
];

const name = fc.oneof(fc.constantFrom("$", "v", "__proto__", "toJSON", "1"), fc.string());
const scalar = fc.oneof(
	fc.double(),
	fc.constantFrom(undefined, null, true, -0, Number.NaN, Number.POSITIVE_INFINITY, "$", '"$"', ""),
	fc.bigInt(),
	fc.date({ noInvalidDate: false }),
	fc.string({ unit: "grapheme" }),
	fc.webUrl().map((url) => new URL(url)),
	fc.constantFrom(/a\/b\n/giu, /(?:)/, /(?<year>\d+)-\1/d),
	fc.constantFrom(...typedArrays),
	fc.uint8Array().map((bytes) => bytes.slice().buffer),
);
const { rich } = fc.letrec<{ rich: unknown }>((tie) => ({
	rich: fc.oneof(
		{ depthSize: "small", withCrossShrink: true },
		scalar,
		fc.array(tie("rich"), { maxLength: 3 }),
		fc.array(fc.tuple(name, tie("rich")), { maxLength: 3 }).map((members) => {
			const target: Record<string, unknown> = {};
			for (const [name, value] of new Map(members)) define(target, name, value);
			return target;
		}),
		fc.array(fc.tuple(tie("rich"), tie("rich")), { maxLength: 3 }).map((members) => new Map(members)),
		fc.array(tie("rich"), { maxLength: 3 }).map((members) => new Set(members)),
	),
}));

describe("the codec", () => {
	test("gives back every value that can be stored", () => {
		fc.assert(
			fc.property(rich, (value) => {
				expect(roundTrip(value)).toStrictEqual(value);
			}),
			{ numRuns: 500 },
		);
	});

	test("stores plain JSON as JSON.stringify writes it", () => {
		fc.assert(
			fc.property(fc.jsonValue(), (value) => {
				const text = JSON.stringify(value);
				fc.pre(!text.includes('"$"') && !text.includes("-0"));
				expect(encode(JSON.parse(text))).toBe(text);
				expect(decode(text)).toStrictEqual(JSON.parse(text));
			}),
		);
	});

	test.each(typedArrays.map((array) => [array.constructor.name, array] as const))(
		"keeps a %s",
		(_, array) => {
			expect(roundTrip({ array })).toStrictEqual({ array });
			expect(roundTrip(array)).toStrictEqual(array);
		},
	);

	test("keeps only the part of its buffer that a typed array shows", () => {
		const part = new Uint16Array(new Uint16Array([1, 2, 3, 4]).buffer, 2, 2);
		const read = roundTrip(part) as Uint16Array;
		expect([...read]).toEqual([2, 3]);
		expect(read.buffer.byteLength).toBe(4);
	});

	test("reads a Node Buffer as the Uint8Array that it is", () => {
		expect(roundTrip(Buffer.from("ab"))).toStrictEqual(new Uint8Array([97, 98]));
		expect(decode(encode(Buffer.from("ab")))).toStrictEqual(new Uint8Array([97, 98]));
	});

	test("keeps large bytes", () => {
		const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
		expect(roundTrip(bytes)).toStrictEqual(bytes);
	});

	test.each([
		["a tag of ours", { $: "date", v: "2024-01-01" }],
		["a version header", { $: "version", n: 1, v: 2 }],
		["a wrapped object", { $: "object", v: { $: "map", v: [] } }],
		["an unknown tag", { $: "no-such" }],
		["a number", { $: 5 }],
		["undefined", { $: undefined, v: [{ $: 1 }] }],
	])("mistakes no plain object for a tag: %j", (_, value) => {
		expect(roundTrip(value)).toStrictEqual(value);
		expect(roundTrip([new Map([[value, value]])])).toStrictEqual([new Map([[value, value]])]);
	});

	test("keeps the extremes of a Date", () => {
		for (const date of [new Date(8.64e15), new Date(-8.64e15), new Date(Number.NaN)])
			expect(roundTrip({ date })).toStrictEqual({ date });
	});

	test("reads a property named __proto__ as a property", () => {
		const value = JSON.parse('{"__proto__": {"$": 1}, "a": {"__proto__": null}}');
		const read = roundTrip(value) as object;
		expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
		expect(encode(read)).toBe(encode(value));
	});

	test("keeps what is nested 500 levels deep", () => {
		let value: unknown = new Map([["end", 1n]]);
		for (let i = 1; i < 500; i++) value = i % 2 === 0 ? [value] : new Map([["in", value]]);
		expect(roundTrip(value)).toStrictEqual(value);
	});

	test("refuses a tag that it does not know", () => {
		for (const text of ['{"$":"temporal","v":1}', '[{"$":5}]', '{"$":"constructor","v":""}'])
			expect(() => decode(text)).toThrow(expect.objectContaining({ code: "schema-mismatch" }));
	});
});
