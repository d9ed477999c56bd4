import { describe, expect, test } from "vitest";
import { HoldfastError, isHoldfastError } from "./error.js";

describe("an error", () => {
	test("names its scope and key in the message", () => {
		const error = new HoldfastError("conflict", "it changed", { scope: "user/ada", key: 'a"b' });
		expect(error.message).toBe('it changed [user/ada "a\\"b"]');
		expect(error).toMatchObject({ name: "HoldfastError", code: "conflict", scope: "user/ada", key: 'a"b' });
	});

	test.each([
		["a key", { key: "a/*" }],
		["a scope", { scope: "shared" }],
		["both", { scope: "shared", key: "a/*" }],
	])("names its place once where it is told again of one that named %s", (_, inner) => {
		const { message } = new HoldfastError("invalid-key", "no segment can be [*]", inner);
		const error = new HoldfastError("invalid-key", message, { scope: "shared", key: "a/*" });
		expect(error.message).toBe('no segment can be [*] [shared "a/*"]');
	});

	test("has only the details that it was given", () => {
		const error = new HoldfastError("conflict", "it changed", { entry: null, index: 0, holder: undefined });
		expect(error).toMatchObject({ entry: null, index: 0 });
		expect("holder" in error).toBe(false);
		expect("scope" in error).toBe(false);
		expect("cause" in error).toBe(false);
	});

	test("keeps what caused it as its cause", () => {
		const cause = new Error("ECONNRESET");
		const error = new HoldfastError("unavailable", "the store is out of reach", { cause });
		expect(error.cause).toBe(cause);
		expect(Object.keys(error)).not.toContain("cause");
	});
});

describe("isHoldfastError", () => {
	test("tells the code", () => {
		const error = new HoldfastError("closed", "closed");
		expect(isHoldfastError(error)).toBe(true);
		expect(isHoldfastError(error, "closed")).toBe(true);
		expect(isHoldfastError(error, "conflict")).toBe(false);
	});

	test("knows the error of another copy of the library by its brand", () => {
		const other = Object.assign(new Error("closed"), {
			code: "closed",
			[Symbol.for("holdfast.error")]: true,
		});
		expect(isHoldfastError(other, "closed")).toBe(true);
	});

	test.each([undefined, null, "closed", new Error("closed"), { code: "closed" }])(
		"is false for %s",
		(error) => {
			expect(isHoldfastError(error)).toBe(false);
		},
	);
});
