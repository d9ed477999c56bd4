import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration, parseTtl } from "./duration.js";

const refusal = (said: string): object =>
	expect.objectContaining({ code: "invalid-argument", message: expect.stringContaining(said) });

describe("a duration", () => {
	test.each([
		["250ms", 250],
		["1.5s", 1500],
		["30m", 1_800_000],
		["1h", 3_600_000],
		["7d", 604_800_000],
		["0s", 0],
	] as const)("of %s is %d ms", (text, ms) => {
		expect(parseDuration(text)).toBe(ms);
	});

	test("given as a number is milliseconds", () => {
		fc.assert(fc.property(fc.nat(), (ms) => void expect(parseDuration(ms)).toBe(ms)));
	});

	test.each([
		"",
		"5",
		"-5s",
		"5 s",
		" 5s",
		"5S",
		"5w",
		"1e3s",
		".5s",
		"5.s",
		"Infinitys",
		"5s5m",
		"5s\n",
		-1,
		Number.NaN,
		Number.POSITIVE_INFINITY,
		null,
		undefined,
		{},
		5n,
	])("is refused where it is malformed: %s", (duration) => {
		expect(() => parseDuration(duration as never, "timeout")).toThrow(refusal("timeout is "));
	});

	test("is named in its refusal as it was given", () => {
		expect(() => parseDuration("5 min" as never)).toThrow(refusal('duration is "5 min"'));
		expect(() => parseDuration(Number.NaN)).toThrow(refusal('duration is "NaN"'));
	});
});

test("a ttl of nothing is refused", () => {
	expect(parseTtl("1s")).toBe(1000);
	expect(() => parseTtl(0)).toThrow(refusal("ttl is 0"));
	expect(() => parseTtl("0ms")).toThrow(refusal("ttl is 0"));
});
