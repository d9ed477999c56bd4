import { expect, test } from "vitest";
import { StoredWrites } from "./offline-stored.js";
import type { WaitingWrite } from "./offline-write.js";

const write = (n: number): WaitingWrite => ({
	id: `shared/${n}`,
	scope: "shared",
	commit: { id: String(n), do: [] },
	made: { id: String(n), do: [{ op: n === 2 ? "delete" : "touch", key: "a", ttl: 1 }] },
	keep: { changes: { count: 1, age: 1 }, events: { count: 1, age: 1 } },
	at: 0,
	place: 0,
	token: -n,
});

test("what was stored is remembered once, for a minute, with the revision that its keys have by it", () => {
	let now = 0;
	const stored = new StoredWrites(() => now);
	expect([stored.add(write(1), 10), stored.add(write(1), 11)]).toEqual([true, false]);
	expect([stored.has(write(1)), stored.has(write(2))]).toEqual([true, false]);
	expect(stored.of("other")).toEqual([]);
	stored.add(write(2), 20);
	expect([stored.revisionOf("shared", -1, "a"), stored.revisionOf("shared", -2, "a")]).toEqual([10, 0]);
	expect(stored.revisionOf("shared", -3, "a")).toBeUndefined();
	now = 60_001;
	stored.add(write(3), 30);
	expect(stored.of("shared").map(({ revision }) => revision)).toEqual([30]);
});
