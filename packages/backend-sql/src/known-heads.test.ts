import { type Batch, type Entry, storedValue } from "@holdfast/core";
import { expect, test } from "vitest";
import { KnownHeads } from "./known-heads.js";

const entry = (key: string, revision: number): Entry => ({
	key,
	value: storedValue("1"),
	revision,
	createdRevision: 1,
	expiresAt: null,
	metadata: undefined,
});

const putting = (...put: Entry[]) => ({ put, extended: [], deleted: [] });

const batch = (...keys: string[]): Batch => ({
	scope: "a",
	writer: "w",
	sequence: 1,
	until: 0,
	floor: 0,
	step: 1,
	commits: [{ id: "1", do: keys.map((key) => ({ op: "delete", key })) }],
	keep: { changes: { count: 1, age: 1 }, events: { count: 1, age: 1 } },
});

test("entries are known while the scope has the head that was left", () => {
	const heads = new KnownHeads();
	heads.keep("a", 0, 5, putting(entry("k", 5)));
	expect(heads.at("a", 5)?.get("k")).toMatchObject({ revision: 5, createdRevision: 1 });
	expect(heads.at("a", 6)).toBeUndefined();
	heads.keep("a", 5, 7, { ...putting(entry("l", 7)), deleted: ["k"] });
	expect(heads.at("a", 7)?.get("k")).toBeNull();
	expect(heads.at("a", 7)?.get("l")).toMatchObject({ revision: 7 });
	// Somebody else had written.
	heads.keep("a", 8, 9, putting(entry("m", 9)));
	expect([...(heads.at("a", 9)?.keys() ?? [])]).toEqual(["m"]);
});

test("only a scope that was found as it had been left, or new, is counted on, and only for keys that are known", () => {
	const heads = new KnownHeads();
	heads.keep("b", 0, 5, putting(entry("k", 5)));
	expect(heads.covers({ ...batch("k"), scope: "b" })).toBe(true);
	heads.keep("a", 4, 5, putting(entry("k", 5)));
	expect(heads.covers(batch("k"))).toBe(false);
	heads.keep("a", 5, 6, putting(entry("k", 6)));
	expect(heads.covers(batch("k"))).toBe(true);
	expect(heads.covers(batch("k", "l"))).toBe(false);
	heads.keep("a", 7, 8, putting(entry("k", 8)));
	expect(heads.covers(batch("k"))).toBe(false);
});

test("keys that are not known are likely to be new where they were so the last time", () => {
	const heads = new KnownHeads();
	heads.keep("a", 4, 5, putting(entry("k", 5)));
	heads.keep("a", 5, 6, putting(entry("k", 6)));
	expect(heads.named(batch("k"), 6)).toMatchObject({ entries: [{ key: "k" }], fresh: [] });
	// It had been created by the first revision: another one, too, may be there.
	expect(heads.named(batch("l"), 6)).toBeUndefined();
	heads.keep("a", 6, 7, putting({ ...entry("l", 7), createdRevision: 7 }));
	expect(heads.named(batch("k", "m"), 7)).toMatchObject({ entries: [{ key: "k" }], fresh: ["m"] });
	heads.keep("a", 7, 8, putting(entry("m", 8)));
	expect(heads.named(batch("n"), 8)).toBeUndefined();
	expect(heads.named(batch("k"), 7)).toBeUndefined();
});

test("no more than a bounded number is kept, of the scopes that were written last", () => {
	const heads = new KnownHeads();
	for (let i = 0; i < 30; i++)
		heads.keep(`${i}`, 0, 1, putting(...Array.from({ length: 1000 }, (_, n) => entry(`${n}`, 1))));
	const kept = Array.from({ length: 30 }, (_, i) => heads.at(`${i}`, 1)?.size ?? 0);
	expect(kept).toEqual(kept.map((_, i) => (i < 11 ? 0 : 1000)));
	// Scopes without entries take room, too.
	for (let i = 0; i < 20_000; i++) heads.keep(`empty/${i}`, 0, 1, putting());
	expect([heads.wayOf("29"), heads.wayOf("empty/0")]).toEqual([undefined, "guess"]);
	heads.keep("one more", 0, 1, putting());
	expect([heads.wayOf("empty/0"), heads.wayOf("empty/1")]).toEqual([undefined, "guess"]);
});

test("a scope that others write is looked at first, and locked where that came too early", () => {
	const heads = new KnownHeads();
	const nothing = new Map<string, null>();
	expect(heads.wayOf("a")).toBeUndefined();
	heads.keep("a", 4, 5, putting(entry("k", 5)), nothing);
	expect(heads.wayOf("a")).toBe("guess");
	heads.keep("a", 6, 7, putting(entry("k", 7)), nothing);
	expect(heads.wayOf("a")).toBe("look");
	expect(heads.named(batch("k"), 7)).toBeUndefined();
	heads.miss("a", 8);
	expect(heads.wayOf("a")).toBe("lock");
	heads.keep("a", 9, 10, putting(entry("k", 10)));
	expect(heads.wayOf("a")).toBe("lock");
	heads.keep("a", 10, 11, putting(entry("k", 11)));
	expect(heads.wayOf("a")).toBe("guess");
	heads.keep("a", 12, 13, putting(entry("k", 13)));
	expect(heads.wayOf("a")).toBe("look");
});

test("what a look found is known, and tells whether keys are likely to be new", () => {
	const heads = new KnownHeads();
	const withMetadata = { ...entry("m", 3), metadata: { by: "somebody" } };
	heads.keep(
		"a",
		4,
		5,
		putting(entry("k", 5)),
		new Map([
			["k", entry("k", 2)],
			["l", null],
			["m", withMetadata],
		]),
	);
	expect(heads.at("a", 5)?.get("k")).toMatchObject({ revision: 5 });
	expect(heads.at("a", 5)?.get("l")).toBeNull();
	expect(heads.at("a", 5)?.has("m")).toBe(false);
	expect(heads.named(batch("n"), 5)).toBeUndefined();
	heads.keep("a", 5, 6, putting({ ...entry("n", 6), createdRevision: 6 }), new Map([["n", null]]));
	expect(heads.named(batch("o"), 6)).toMatchObject({ fresh: ["o"] });
});
