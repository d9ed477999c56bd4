import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Codec } from "./backend.js";
import { jsonCodec } from "./codec.js";
import { givenValue, storedValue } from "./value.js";

/** Writes what it is given as it is, without a mark of its own. */
const bareCodec: Codec = { encode: (value) => String(value), decode: (text) => `bare ${text}` };
/** As a careless codec would: tags stay as they are. */
const looseCodec: Codec = { encode: (value) => JSON.stringify(value), decode: (text) => JSON.parse(text) };

const anything = fc.anything({
	withBigInt: true,
	withDate: true,
	withMap: true,
	withSet: true,
	withSparseArray: true,
	withTypedArray: true,
	values: [
		fc.string({ unit: "binary" }),
		fc.double(),
		fc.boolean(),
		fc.constantFrom(null, undefined, "\0", "\u2028", "€", "\u{1f600}", '"', "", -0, Number.NEGATIVE_INFINITY),
		fc.constantFrom(/a/dgimsuy, new URL("https://example.org/%00")),
	],
	key: fc.oneof(fc.constantFrom("$", "__proto__", "\u0001", ""), fc.string({ unit: "grapheme" })),
});

describe("a given value", () => {
	test("takes at most six times its estimated size when encoded", () => {
		fc.assert(
			fc.property(anything, fc.constantFrom(0, 1, 12), (data, version) => {
				const value = givenValue(data, jsonCodec, version);
				expect(Buffer.byteLength(value.text)).toBeLessThanOrEqual(value.size * 6);
			}),
			{ numRuns: 2000 },
		);
	});

	test.each([
		"",
		null,
		0,
		true,
		[],
		{},
		{ "": "" },
		{ $: null },
		[[]],
		new Map(),
		-1.234567890123456e-300,
		0n,
	])("takes at most six times its estimated size when encoded, however little it is: %s", (data) => {
		for (const version of [0, 1, 999]) {
			const { text, size } = givenValue(data, jsonCodec, version);
			expect(text.length).toBeLessThanOrEqual(size * 6);
		}
	});

	test("and what is stored of it are the same data", () => {
		fc.assert(
			fc.property(anything, fc.constantFrom(0, 3), (data, version) => {
				const given = givenValue(data, jsonCodec, version);
				const stored = storedValue(given.text);
				expect(stored.data(jsonCodec)).toStrictEqual(given.data(jsonCodec));
				expect(stored).toMatchObject({ version, number: given.number });
			}),
		);
	});

	test("answers the same frozen reference at each call", () => {
		for (const value of [givenValue({ a: [1] }), storedValue('{"a":[1]}')]) {
			const data = value.data(jsonCodec) as { a: number[] };
			expect(value.data(jsonCodec)).toBe(data);
			expect(Object.isFrozen(data.a)).toBe(true);
		}
	});

	test("is not reached by what a reader writes into its bytes", () => {
		const value = givenValue(new Uint8Array([1, 2]));
		const { text } = value;
		(value.data(jsonCodec) as Uint8Array)[0] = 9;
		expect(value.text).toBe(text);
		expect(storedValue(value.text).data(jsonCodec)).toEqual(new Uint8Array([1, 2]));
	});
});

describe("a number", () => {
	const numbers = [0, -0, 1, -1.5, 1e21, 5e-324, Number.MAX_SAFE_INTEGER, -Number.MAX_VALUE];

	test.each(numbers)("%d can be added to, given or stored, under any codec", (number) => {
		for (const codec of [jsonCodec, bareCodec, looseCodec]) {
			const given = givenValue(number, codec);
			const stored = storedValue(given.text);
			for (const value of [given, stored]) {
				expect(value.number).toBe(number);
				expect(value.data(codec)).toBe(number);
			}
		}
	});

	test.each(["1", "-1", "", Number.NaN, Number.POSITIVE_INFINITY, 1n, true, null, [1], new Date(1)])(
		"is not what %s is",
		(data) => {
			const given = givenValue(data);
			expect(given.number).toBeUndefined();
			expect(storedValue(given.text).number).toBeUndefined();
		},
	);

	test("under a version can't be added to: the sum would lose the version", () => {
		for (const codec of [jsonCodec, looseCodec]) {
			const given = givenValue(5, codec, 1);
			const stored = storedValue(given.text);
			for (const value of [given, stored]) {
				expect(value).toMatchObject({ number: undefined, version: 1 });
				expect(value.data(codec)).toBe(5);
			}
		}
	});
});

describe("the text of another codec", () => {
	test.each(["5", "-5", "5abc", "1e5", "~5", "~", "-", "", "text", '{"$":"version","n":1,"v":2}'])(
		"is taken for nothing else: %j",
		(text) => {
			for (const version of [0, 2]) {
				const given = givenValue(text, bareCodec, version);
				const stored = storedValue(given.text);
				expect(stored).toMatchObject({ version, number: undefined });
				expect(stored.data(bareCodec)).toBe(`bare ${text}`);
				expect(given.data(bareCodec)).toBe(`bare ${text}`);
			}
		},
	);

	test("may hold what looks like our header", () => {
		const data = { $: "version", n: 1, v: 2 };
		expect(storedValue(givenValue(data, looseCodec).text).data(looseCodec)).toEqual(data);
	});
});

describe("a version", () => {
	test("is told by a header around the text, and only where there is one", () => {
		expect(givenValue("a").text).toBe('"a"');
		expect(givenValue("a", jsonCodec, 3).text).toBe('{"$":"version","n":3,"v":"a"}');
		expect(storedValue('{"$":"version","n":3,"v":"a"}')).toMatchObject({ version: 3 });
		expect(storedValue('"a"').version).toBe(0);
	});
});
