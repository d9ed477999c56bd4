import { TestClock } from "@holdfast/core/testing";
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

test("what was stored is remembered once, for a minute of its scope's life, with the revision that its keys have by it", () => {
	const clock = new TestClock({ still: true });
	let life = 0;
	const stored = new StoredWrites(clock, () => life);
	const revisions = (): number[] => Array.from(stored.of("shared").values(), ({ revision }) => revision);
	expect([stored.add(write(1), 10), stored.add(write(1), 11)]).toEqual([true, false]);
	expect([...stored.of("shared").keys(), ...revisions()]).toEqual(["shared/1", 10]);
	expect(stored.of("other").size).toBe(0);
	stored.add(write(2), 20);
	expect([stored.revisionOf("shared", -1, "a"), stored.revisionOf("shared", -2, "a")]).toEqual([10, 0]);
	expect(stored.revisionOf("shared", -3, "a")).toBeUndefined();
	clock.jump(60_001);
	stored.add(write(3), 30);
	expect(revisions()).toEqual([30]);
	life = 1;
	expect(revisions()).toEqual([]);
	stored.add(write(3), 40);
	expect(revisions()).toEqual([40]);
});
