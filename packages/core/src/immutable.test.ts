import { describe, expect, test } from "vitest";
import { define, freezeCopy, freezeFresh } from "./immutable.js";

const frozen = <T>(value: T): T => freezeCopy(value).data as T;

const refusal = (...said: readonly string[]): object =>
	expect.objectContaining({
		code: "invalid-value",
		message: expect.stringMatching(said.map((part) => part.replace(/[.<>]/g, "\\$&")).join(".*")),
	});

const chain = (levels: number): unknown => {
	let value: unknown = 1;
	for (let i = 0; i < levels; i++) value = { in: value };
	return value;
};

describe("a copy", () => {
	test("is frozen through and through", () => {
		const copy = frozen({
			list: [{ n: 1 }],
			map: new Map([[{ k: 1 }, { v: [2] }]]),
			set: new Set([{ m: 1 }]),
			date: new Date(0),
			regexp: /a/,
			url: new URL("https://example.org/?a=1"),
		});
		const [[key, value]] = [...copy.map] as [[object, { v: number[] }]];
		const [member] = copy.set;
		for (const part of [copy, copy.list, copy.list[0], copy.map, key, value, value.v, copy.set, member])
			expect(Object.isFrozen(part)).toBe(true);
		expect(Object.isExtensible(copy.regexp)).toBe(false);
		for (const part of [copy.date, copy.url]) expect(Object.isFrozen(part)).toBe(true);
	});

	test("shares nothing with its input", () => {
		const bytes = new Uint8Array([1, 2]);
		const buffer = Buffer.from("ab");
		const input = {
			list: [{ n: 1 }],
			map: new Map([["k", { n: 1 }]]),
			set: new Set([1]),
			date: new Date(0),
			url: new URL("https://example.org/?a=1"),
			bytes,
			buffer,
			raw: bytes.buffer,
		};
		const copy = frozen(input);
		(input.list[0] as { n: number }).n = 2;
		(input.map.get("k") as { n: number }).n = 2;
		input.map.set("l", { n: 3 });
		input.set.add(2);
		input.date.setTime(5);
		input.url.searchParams.set("a", "2");
		bytes[0] = 9;
		buffer[0] = 9;
		expect(copy).toEqual({
			list: [{ n: 1 }],
			map: new Map([["k", { n: 1 }]]),
			set: new Set([1]),
			date: new Date(0),
			url: new URL("https://example.org/?a=1"),
			bytes: new Uint8Array([1, 2]),
			buffer: new Uint8Array([97, 98]),
			raw: new Uint8Array([1, 2]).buffer,
		});
	});

	test("leaves its input as it was", () => {
		const input = { map: new Map([["k", [1]]]), url: new URL("https://example.org") };
		freezeCopy(input);
		input.map.set("l", []).get("k")?.push(2);
		input.url.searchParams.set("a", "1");
		expect(input).toEqual({
			map: new Map([
				["k", [1, 2]],
				["l", []],
			]),
			url: new URL("https://example.org/?a=1"),
		});
	});

	test("of a copy is another, with guards of its own", () => {
		const once = frozen(new Map([["k", new Date(0)]]));
		const twice = frozen(once);
		expect(twice).not.toBe(once);
		expect(twice).toEqual(once);
		expect(() => twice.get("k")?.setTime(1)).toThrow("immutable");
	});

	test("holds undefined where an array has a hole", () => {
		const sparse = Object.assign(new Array<number>(3), { 0: 1, 2: 3 });
		const copy = frozen(sparse);
		expect(Object.keys(copy)).toEqual(["0", "1", "2"]);
		expect(copy[1]).toBeUndefined();
	});

	test("of a subclass of a built-in class is of the built-in one", () => {
		class Tags extends Array<string> {}
		class Index extends Map<string, number> {}
		expect(Object.getPrototypeOf(frozen(Tags.of("a", "b")))).toBe(Array.prototype);
		expect(Object.getPrototypeOf(frozen(new Index([["a", 1]])))).toBe(Map.prototype);
		expect(Object.getPrototypeOf(frozen(Buffer.from("ab")))).toBe(Uint8Array.prototype);
	});

	test("keeps a property named __proto__ and changes no prototype", () => {
		const copy = frozen(JSON.parse('{"__proto__": {"admin": true}}'));
		expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
		expect(Object.keys(copy)).toEqual(["__proto__"]);
		expect(copy.admin).toBeUndefined();
	});

	test("of an object without a prototype is a plain object", () => {
		const bare = Object.assign(Object.create(null), { a: 1 });
		expect(frozen(bare)).toStrictEqual({ a: 1 });
		expect(frozen(new Map([[bare, bare]]))).toStrictEqual(new Map([[{ a: 1 }, { a: 1 }]]));
	});

	test("may hold the same object twice where that is no cycle", () => {
		const shared = { n: 1 };
		expect(frozen({ a: shared, b: [shared, shared] })).toEqual({ a: { n: 1 }, b: [{ n: 1 }, { n: 1 }] });
	});

	test("says whether it holds bytes, which can't be frozen", () => {
		expect(freezeCopy({ a: [1] }).binary).toBe(false);
		expect(freezeCopy({ a: [new Uint8Array(1)] }).binary).toBe(true);
		expect(freezeCopy(new ArrayBuffer(1)).binary).toBe(true);
		expect(freezeCopy({}).binary).toBe(false);
	});
});

describe("a frozen value refuses to change", () => {
	const map = frozen(new Map([["a", 1]]));
	const set = frozen(new Set([1]));
	const date = frozen(new Date(0));
	const url = frozen(new URL("https://user:word@example.org:81/path?a=1#hash"));
	const regexp = frozen(/a/);

	test.each([
		["Map.set", () => map.set("b", 2)],
		["Map.delete", () => map.delete("a")],
		["Map.clear", () => map.clear()],
		["Set.add", () => set.add(2)],
		["Set.delete", () => set.delete(1)],
		["Set.clear", () => set.clear()],
		["RegExp.compile", () => regexp.compile("b")],
		["searchParams.append", () => url.searchParams.append("b", "2")],
		["searchParams.delete", () => url.searchParams.delete("a")],
		["searchParams.set", () => url.searchParams.set("a", "2")],
		["searchParams.sort", () => url.searchParams.sort()],
	])("by %s", (_, change) => {
		expect(change).toThrow("immutable");
	});

	const setters = Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith("set"));
	test.each(setters)("by Date.%s", (name) => {
		expect(() => (date as unknown as Record<string, (n: number) => void>)[name]?.(1)).toThrow("immutable");
	});

	const properties = Object.entries(Object.getOwnPropertyDescriptors(URL.prototype)).filter(
		([, { set }]) => set !== undefined,
	);
	test.each(properties.map(([name]) => name))("by URL.%s", (name) => {
		expect(() => {
			(url as unknown as Record<string, string>)[name] = "https://evil.example";
		}).toThrow("immutable");
	});

	test("and reads as before", () => {
		expect(map).toEqual(new Map([["a", 1]]));
		expect(set).toEqual(new Set([1]));
		expect(date.getTime()).toBe(0);
		expect(url.href).toBe("https://user:word@example.org:81/path?a=1#hash");
		expect([url.host, url.hash, url.searchParams.get("a")]).toEqual(["example.org:81", "#hash", "1"]);
		expect(regexp.test("cat")).toBe(true);
	});
});

describe("what can't be stored is refused with its path", () => {
	class Account {}
	const cycle: { in: { self?: unknown } } = { in: {} };
	cycle.in.self = cycle;
	const loop = new Map<string, unknown>();
	loop.set("self", loop);

	test.each<[string, unknown, string[]]>([
		["a function", { a: [{ b: () => {} }] }, ["a function at .a.0.b"]],
		["a symbol", { a: Symbol("s") }, ["a symbol at .a"]],
		["a symbol as a name", { a: { [Symbol("s")]: 1 } }, ["symbol as its name at .a"]],
		["a class instance", { a: [new Account()] }, ["an instance of Account at .a.0"]],
		["a promise", { a: Promise.resolve() }, ["an instance of Promise at .a"]],
		["a DataView", { a: new DataView(new ArrayBuffer(1)) }, ["an instance of DataView at .a"]],
		["a cycle", cycle, ["a cycle at .in.self"]],
		["a cycle through a Map", loop, ["a cycle at .self"]],
		["a lone surrogate in a string", { a: ["ok", "\ud800"] }, ["lone surrogate at .a.1"]],
		["a lone surrogate in a name", { a: { "\udc00": 1 } }, ["lone surrogate at .a"]],
		["a lone surrogate in a Map's key", { a: new Map([["\ud800", 1]]) }, ["lone surrogate at .a.<key>"]],
		["a lone surrogate in a Set", { a: new Set(["\ud800"]) }, ["lone surrogate at .a.<member>"]],
		["a Map's value", new Map([["k", { f() {} }]]), ["a function at .k.f"]],
		["a value under an object as a Map's key", new Map([[{}, () => {}]]), ["a function at .<value>"]],
		["a function as it is", () => {}, ["a function can't be stored"]],
		["too deep a structure", chain(502), ["more than 500 levels deep at .in.in"]],
	])("%s", (_, value, said) => {
		expect(() => freezeCopy(value)).toThrow(refusal(...said));
	});

	test("and what comes after a refusal is copied as if nothing had been", () => {
		const before = freezeCopy({ a: ["x"] });
		expect(() => freezeCopy({ a: { b: [new Uint8Array(9), () => {}] } })).toThrow(refusal(".a.b.1"));
		expect(freezeCopy({ a: ["x"] })).toEqual(before);
		expect(() => freezeCopy({ c: Symbol("s") })).toThrow(refusal("a symbol at .c"));
		expect(() => freezeCopy(cycle)).toThrow(refusal("at .in.self"));
		delete cycle.in.self;
		expect(frozen(cycle)).toEqual({ in: {} });
	});

	test("but 500 levels are fine", () => {
		expect(frozen(chain(500))).toEqual(chain(500));
	});
});

test("what was decoded is frozen in place", () => {
	const fresh = {
		list: [{ n: 1 }],
		map: new Map([[{ k: 1 }, new Set([{ m: 1 }])]]),
		bytes: new Uint8Array(1),
	};
	expect(freezeFresh(fresh).data).toBe(fresh);
	expect(freezeFresh({ plain: 1 }).binary).toBe(false);
	const [[key, set]] = [...fresh.map] as [[object, Set<object>]];
	for (const part of [fresh, fresh.list, fresh.list[0], fresh.map, key, set, ...set])
		expect(Object.isFrozen(part)).toBe(true);
	expect(() => set.add({})).toThrow("immutable");
});

test("define sets a property under any name", () => {
	const target: Record<string, unknown> = {};
	for (const name of ["a", "__proto__", "constructor"]) define(target, name, 1);
	expect(Object.entries(target)).toEqual([
		["a", 1],
		["__proto__", 1],
		["constructor", 1],
	]);
});
