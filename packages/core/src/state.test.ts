import { describe, expect, test } from "vitest";
import { z } from "zod";
import { encodeKey } from "./key.js";
import { defineState, FieldRules, StateRules } from "./state.js";

const unknownKey = expect.objectContaining({ code: "unknown-key" });
const defaultAt = (rules: FieldRules, key: string): unknown => rules.at(encodeKey(key)).default;

describe("the fields of a kind", () => {
	const rules = new FieldRules({
		counter: z.number().default(0),
		"a b": z.string().default("exact"),
		"positions/*": z.string().default("family"),
		"positions/**": z.string().default("subtree"),
		"positions/AAPL": z.string().default("itself"),
	});

	test("are found by key: an exact one, else the first family that matches", () => {
		expect(defaultAt(rules, "counter")).toBe(0);
		expect(defaultAt(rules, "a b")).toBe("exact");
		expect(defaultAt(rules, "positions/AAPL")).toBe("itself");
		expect(defaultAt(rules, "positions/MSFT US")).toBe("family");
		expect(defaultAt(rules, "positions/MSFT/lots")).toBe("subtree");
	});

	test.each(["other", "positions", "counter/a", "constructor"])("do not include %s", (key) => {
		expect(() => rules.at(encodeKey(key))).toThrow(unknownKey);
	});

	test("are the same rule for the same key, so that a value stays checked", () => {
		expect(rules.at("positions/MSFT")).toBe(rules.at("positions/MSFT"));
		expect(rules.at("positions/MSFT")).toBe(rules.at("positions/IBM"));
	});

	test("may be a family after more keys than are remembered", () => {
		const first = rules.at("positions/0");
		for (let i = 0; i <= 10_000; i++) rules.at(`positions/${i}`);
		expect(rules.at("positions/0")).toBe(first);
	});
});

describe("a state definition", () => {
	const state = defineState({
		shared: { counter: z.number().default(1) },
		user: { theme: z.string().default("dark") },
		events: { "trade executed": z.object({ symbol: z.string() }), "audit/*": z.string() },
	});

	test("has the fields of each kind, and none for another", () => {
		const rules = new StateRules(state);
		expect(rules.kind("shared").at("counter").default).toBe(1);
		expect(rules.kind("user").at("theme").default).toBe("dark");
		expect(() => rules.kind("user").at("counter")).toThrow(unknownKey);
		for (const kind of ["room", "constructor", "toString"])
			expect(() => rules.kind(kind).at("counter")).toThrow(unknownKey);
	});

	test("has its events, by encoded type", () => {
		const rules = new StateRules(state);
		expect(rules.event(encodeKey("trade executed"))).toBe(rules.event(encodeKey("trade executed")));
		expect(rules.event("audit/login")).toBeDefined();
		expect(() => rules.event("trade")).toThrow(unknownKey);
		expect(() => new StateRules(defineState({ shared: {} })).event("trade")).toThrow(unknownKey);
	});

	test("that is missing allows every key and event", () => {
		const rules = new StateRules(undefined);
		expect(rules.kind("room").at("any/key").default).toBeUndefined();
		expect(rules.event("any")).toBeDefined();
	});

	test("keeps its shape for the types", () => {
		expect(Object.keys(state.shape)).toEqual(["shared", "user", "events"]);
	});
});
