import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareKeys, encodeKey, reservedKey } from "./key.js";
import { compilePattern } from "./pattern.js";

const segment = fc.constantFrom("a", "b", "ab", "", "*b", '*"', "a b", "é");
const key = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const pattern = fc
	.tuple(
		fc.array(fc.oneof(segment, fc.constant("*")), { maxLength: 3 }),
		fc.oneof(segment, fc.constantFrom("*", "**")),
	)
	.map(([parts, last]) => [...parts, last].join("/"));

function matchesNaively(
	[head, ...pattern]: readonly string[],
	[segment, ...key]: readonly string[],
): boolean {
	if (head === undefined || segment === undefined) return head === segment;
	if (head === "**") return true;
	return (head === "*" || head === segment) && matchesNaively(pattern, key);
}

describe("a pattern", () => {
	test("matches as segment after segment does", () => {
		fc.assert(
			fc.property(
				pattern.filter((pattern) => pattern !== ""),
				key.filter((key) => key !== ""),
				(pattern, key) => {
					expect(compilePattern(pattern).matches(encodeKey(key))).toBe(
						matchesNaively(pattern.split("/"), key.split("/")),
					);
				},
			),
			{ numRuns: 1000 },
		);
	});

	test("has all its matches in its span, and under its prefix", () => {
		fc.assert(
			fc.property(
				pattern.filter((pattern) => pattern !== ""),
				key.filter((key) => key !== ""),
				(pattern, key) => {
					const { matches, span, under } = compilePattern(pattern);
					const encoded = encodeKey(key);
					fc.pre(matches(encoded));
					expect(compareKeys(span.from, encoded)).toBeLessThanOrEqual(0);
					if (span.to !== null) expect(compareKeys(encoded, span.to)).toBeLessThan(0);
					expect(encoded.startsWith(under)).toBe(true);
				},
			),
		);
	});

	test.each(["*", "**", "*/*", "*/**", "*/*/*"])(
		"%s matches nothing that Holdfast keeps for itself",
		(pattern) => {
			expect(compilePattern(pattern).matches(reservedKey("lock", "orders"))).toBe(false);
		},
	);

	test("without a wildcard is one key, encoded", () => {
		expect(compilePattern("a b")).toMatchObject({ exact: encodeKey("a b"), text: "a b" });
		expect(compilePattern("a*").matches("a*")).toBe(true);
		expect(compilePattern("a*").matches("ab")).toBe(false);
	});

	test.each([
		["a subtree before its end", "**/a", "must come last"],
		["two subtrees", "a/**/**", "must come last"],
		["a lone surrogate", "\ud800/*", "lone surrogate"],
	])("is refused with %s", (_, pattern, message) => {
		expect(() => compilePattern(pattern)).toThrow(
			expect.objectContaining({ code: "invalid-pattern", message: expect.stringContaining(message) }),
		);
	});

	test.each(["", undefined, 5])("is refused where it names nothing: %j", (pattern) => {
		expect(() => compilePattern(pattern as never)).toThrow(expect.objectContaining({ code: "invalid-key" }));
	});
});
