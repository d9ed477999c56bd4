import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	compareKeys,
	decodeKey,
	encodeKey,
	formatScopeId,
	isUnder,
	lockUnder,
	maxKeyBytes,
	parseScopeId,
	reservedKey,
	reservedUnder,
	spanUnder,
	utf8Length,
} from "./key.js";

// Every ASCII character, both sides of the surrogates, and characters beyond U+FFFF.
const character = fc.oneof(
	fc.integer({ min: 0, max: 0x7f }).map((code) => String.fromCharCode(code)),
	fc.constantFrom("/", "!", "~", "\u0080", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"),
);
const text = fc.string({ unit: character, minLength: 1, maxLength: 12 });
const key = text.filter((key) => !/(^|\/)\*\*?(\/|$)/.test(key));

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe("an encoded key", () => {
	test("decodes to the key, so no two keys share one", () => {
		fc.assert(fc.property(key, (key) => void expect(decodeKey(encodeKey(key))).toBe(key)));
	});

	test("sorts as the plain key does, by UTF-8 bytes", () => {
		fc.assert(
			fc.property(key, key, (a, b) => {
				expect(Math.sign(byBytes(encodeKey(a), encodeKey(b)))).toBe(Math.sign(byBytes(a, b)));
			}),
		);
	});

	test("holds no control character, space, quote or brace, and keeps its segments", () => {
		fc.assert(
			fc.property(key, (key) => {
				const encoded = encodeKey(key);
				expect(encoded).not.toMatch(/[\0-\x20'"{}\x7f]/);
				expect(encoded.split("/").map(decodeKey)).toEqual(key.split("/"));
			}),
		);
	});

	test("is never in the reserved segment, and sorts after it", () => {
		fc.assert(
			fc.property(key, text, (key, name) => {
				const encoded = encodeKey(key);
				expect(encoded.startsWith(reservedUnder)).toBe(false);
				expect(byBytes(reservedKey("lock", name), encoded)).toBeLessThan(0);
				expect(byBytes(spanUnder("").from, encoded)).toBeLessThanOrEqual(0);
			}),
		);
	});

	test("is the key itself where that is plain", () => {
		expect(encodeKey("positions/AAPL.O:1-2_3")).toBe("positions/AAPL.O:1-2_3");
	});

	test("may have stars inside a segment", () => {
		for (const key of ["a*b", "***", "*a/b*", "a/*.ts"]) expect(decodeKey(encodeKey(key))).toBe(key);
	});
});

test("compareKeys orders as UTF-8 bytes do", () => {
	fc.assert(
		fc.property(text, text, (a, b) => {
			expect(Math.sign(compareKeys(a, b))).toBe(Math.sign(byBytes(a, b)));
		}),
	);
});

test("utf8Length counts bytes", () => {
	fc.assert(fc.property(text, (text) => void expect(utf8Length(text)).toBe(Buffer.byteLength(text))));
});

describe("a key is refused", () => {
	test.each([
		["empty", ""],
		["with a lone surrogate", "a\ud800"],
		["with a wildcard segment", "a/*/b"],
		["with a subtree segment", "**"],
	])("as invalid-key: %s", (_, key) => {
		expect(() => encodeKey(key)).toThrow(expect.objectContaining({ code: "invalid-key" }));
	});

	test.each([undefined, null, 5, true, ["a"], {}])("as invalid-key where it is no string: %j", (key) => {
		expect(() => encodeKey(key as never)).toThrow(expect.objectContaining({ code: "invalid-key" }));
	});

	test.each(["a", "é", "€", "\u{1f600}", " "])("as too-large above 1,024 bytes of %j", (character) => {
		const longest = character.repeat(maxKeyBytes / utf8Length(character));
		const padded = longest + "x".repeat(maxKeyBytes - utf8Length(longest));
		expect(decodeKey(encodeKey(padded))).toBe(padded);
		expect(() => encodeKey(`${padded}x`)).toThrow(
			expect.objectContaining({ code: "too-large", message: expect.stringContaining("1025 bytes") }),
		);
	});
});

describe("a span", () => {
	const under = fc.oneof(
		fc.constantFrom("", reservedUnder, lockUnder),
		key.map((key) => `${encodeKey(key)}/`),
	);
	const anyKey = fc.oneof(
		key.map(encodeKey),
		text.map((name) => reservedKey("lock", name)),
	);

	test("holds exactly the keys that are under its prefix", () => {
		fc.assert(
			fc.property(under, anyKey, (under, key) => {
				for (const candidate of [key, under + key]) {
					const { from, to } = spanUnder(under);
					const inside = compareKeys(from, candidate) <= 0 && (to === null || compareKeys(candidate, to) < 0);
					expect(inside).toBe(isUnder(candidate, under));
				}
			}),
		);
	});

	test("of a segment leaves out the segments that merely start like it", () => {
		expect(isUnder("ab/c", "a/")).toBe(false);
		expect(isUnder("a", "a/")).toBe(false);
		expect(isUnder("a/", "a/")).toBe(true);
	});
});

describe("a scope id", () => {
	test("parses to what it was made of, so no two scopes share one", () => {
		fc.assert(
			fc.property(text, (id) => {
				const name = { namespace: "shop-1.eu", kind: "room", id };
				const scope = formatScopeId(name);
				expect(scope).not.toMatch(/[\0-\x20'"{}\x7f]/);
				expect(parseScopeId(scope)).toEqual(name);
			}),
		);
	});

	test("has no id only where the kind has a single scope", () => {
		expect(formatScopeId({ namespace: "default", kind: "shared", id: undefined })).toBe("default/shared");
		expect(parseScopeId("default/shared")).toEqual({ namespace: "default", kind: "shared", id: undefined });
		expect(() => formatScopeId({ namespace: "default", kind: "user", id: undefined })).toThrow(
			expect.objectContaining({ code: "invalid-id" }),
		);
	});

	test.each([
		{ namespace: "", kind: "user", id: "a" },
		{ namespace: "a/b", kind: "user", id: "a" },
		{ namespace: ".a", kind: "user", id: "a" },
		{ namespace: "a", kind: "1user", id: "a" },
		{ namespace: "a", kind: "us/er", id: "a" },
		{ namespace: "a", kind: "user\n", id: "a" },
		{ namespace: "a", kind: "user", id: "" },
		{ namespace: "a", kind: "user", id: "\udc00" },
	])("is refused where it is malformed: %j", (name) => {
		expect(() => formatScopeId(name)).toThrow(expect.objectContaining({ code: "invalid-id" }));
	});

	test("is refused above 1,024 bytes", () => {
		expect(() => formatScopeId({ namespace: "a", kind: "user", id: "é".repeat(513) })).toThrow(
			expect.objectContaining({ code: "too-large" }),
		);
	});
});
