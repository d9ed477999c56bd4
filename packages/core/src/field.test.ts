import { describe, expect, test } from "vitest";
import { z } from "zod";
import { jsonCodec } from "./codec.js";
import { type AnyField, FieldRule, field } from "./field.js";
import { storedValue } from "./value.js";

const rule = (declared: AnyField): FieldRule => new FieldRule(declared);
const written = (rule: FieldRule, input: unknown): string => rule.write(input, jsonCodec).text;
const read = (rule: FieldRule, text: string): unknown => rule.read(storedValue(text), jsonCodec);

describe("what is written", () => {
	test("is what the schema makes of it", () => {
		expect(written(rule(z.object({ n: z.number().default(1) })), { extra: true })).toBe('{"n":1}');
	});

	test("is refused where the schema refuses it, with what it said", () => {
		expect(() => written(rule(z.number()), "five")).toThrow(
			expect.objectContaining({
				code: "validation-failed",
				issues: [expect.objectContaining({ message: expect.stringContaining("number") })],
			}),
		);
	});

	test("can't be undefined", () => {
		for (const any of [new FieldRule(undefined), rule(z.any())])
			expect(() => written(any, undefined)).toThrow(expect.objectContaining({ code: "invalid-value" }));
	});

	test("may be anything where there is no schema", () => {
		expect(written(new FieldRule(undefined), [1, null])).toBe("[1,null]");
	});

	test("carries the version that its migrations lead to", () => {
		const versioned = field(z.string(), { migrations: [(old) => old, (old) => old] });
		expect(rule(versioned).write("a", jsonCodec).version).toBe(2);
		expect(rule(z.string()).write("a", jsonCodec).version).toBe(0);
	});

	test("reads as the same frozen reference, without being checked again", () => {
		let checks = 0;
		const counted = rule(z.object({ n: z.number() }).refine(() => ++checks > 0));
		const value = counted.write({ n: 1 }, jsonCodec);
		const data = counted.read(value, jsonCodec);
		expect(counted.read(value, jsonCodec)).toBe(data);
		expect(Object.isFrozen(data)).toBe(true);
		expect(checks).toBe(1);
	});
});

describe("what is read", () => {
	test("is checked once, frozen, and the same reference at each call", () => {
		const value = storedValue('{"n":1}');
		const checked = rule(z.object({ n: z.number() }));
		const data = checked.read(value, jsonCodec);
		expect(data).toEqual({ n: 1 });
		expect(Object.isFrozen(data)).toBe(true);
		expect(checked.read(value, jsonCodec)).toBe(data);
	});

	test("is refused where it no longer fits the schema", () => {
		expect(() => read(rule(z.number()), '"five"')).toThrow(
			expect.objectContaining({ code: "schema-mismatch", message: expect.stringContaining("migration") }),
		);
	});

	const price = rule(
		field(z.object({ cents: z.number() }), {
			migrations: [(old: number) => ({ price: old }), (old) => ({ cents: old.price * 100 })],
		}),
	);

	test.each([
		["0", "5", 500],
		["1", '{"$":"version","n":1,"v":{"price":6}}', 600],
		["2, the present one", '{"$":"version","n":2,"v":{"cents":7}}', 7],
	])("goes through the migrations that follow its version: %s", (_, text, cents) => {
		expect(read(price, text)).toEqual({ cents });
	});

	test("goes through migrations also without a schema's change of it", () => {
		const doubled = rule(field(z.any(), { migrations: [(old: number[]) => [...old, 2]] }));
		const data = read(doubled, "[1]");
		expect(data).toEqual([1, 2]);
		expect(Object.isFrozen(data)).toBe(true);
	});

	test("is refused where a newer program wrote it", () => {
		expect(() => read(price, '{"$":"version","n":3,"v":{}}')).toThrow(
			expect.objectContaining({ code: "schema-mismatch", message: expect.stringContaining("version 3") }),
		);
		expect(() => read(rule(z.any()), '{"$":"version","n":1,"v":{}}')).toThrow(
			expect.objectContaining({ code: "schema-mismatch" }),
		);
	});

	test("is anything where nothing is known of it", () => {
		expect(read(new FieldRule(undefined), '{"$":"version","n":3,"v":{"a":1}}')).toEqual({ a: 1 });
	});
});

describe("a default", () => {
	test.each([
		["of the schema", z.array(z.number()).default([1]), [1]],
		["of the field", field(z.array(z.number()), { default: [1] }), [1]],
		["that the schema completes", field(z.object({ n: z.number().default(1) }), { default: {} }), { n: 1 }],
		["that is null", field(z.null(), { default: null }), null],
		["that nobody gave", z.number(), undefined],
		["of an optional value", z.number().optional(), undefined],
	])("%s", (_, declared, expected) => {
		expect(rule(declared).default).toEqual(expected);
	});

	test("is frozen, and the same reference at each call", () => {
		const { default: given } = rule(z.object({ a: z.array(z.number()) }).default({ a: [] }));
		expect(Object.isFrozen((given as { a: number[] }).a)).toBe(true);
		const list = rule(field(z.array(z.number()), { default: [] }));
		expect(list.default).toBe(list.default);
	});

	test("is refused where it does not fit", () => {
		const wrong = rule(field(z.number(), { default: "five" as never }));
		expect(() => wrong.default).toThrow(expect.objectContaining({ code: "validation-failed" }));
	});
});

describe("a field", () => {
	test("has the ttl that it was given", () => {
		expect(rule(field(z.string(), { ttl: "30m" })).ttl).toBe(1_800_000);
		expect(rule(z.string()).ttl).toBeUndefined();
		expect(() => rule(field(z.string(), { ttl: 0 }))).toThrow(
			expect.objectContaining({ code: "invalid-argument" }),
		);
	});

	test("may be a schema of any library, also one with a property named schema", () => {
		const foreign = {
			schema: "foreign",
			"~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value: [value] }) },
		} as const;
		expect(written(rule(foreign), 1)).toBe("[1]");
	});

	test("can't be a schema that answers later", () => {
		const later = rule(z.string().refine(async () => true));
		expect(() => written(later, "a")).toThrow(expect.objectContaining({ code: "invalid-argument" }));
		expect(() => read(later, '"a"')).toThrow(expect.objectContaining({ code: "invalid-argument" }));
	});

	test("whose schema answers later by failing leaves no rejection that nobody awaits", async () => {
		const rejections: unknown[] = [];
		const note = (reason: unknown): void => void rejections.push(reason);
		process.on("unhandledRejection", note);
		const failing = rule({
			"~standard": { version: 1, vendor: "test", validate: () => Promise.reject(new Error("offline")) },
		});
		expect(failing.default).toBeUndefined();
		expect(() => written(failing, "a")).toThrow(expect.objectContaining({ code: "invalid-argument" }));
		await new Promise((turn) => setImmediate(turn));
		process.off("unhandledRejection", note);
		expect(rejections).toEqual([]);
	});
});
