import { expect, test } from "vitest";
import { Recent } from "./recent.js";

test("what was set last is last, also after it had gone", () => {
	const recent = new Recent<string, number>();
	for (const key of ["a", "b", "c", "a", "a"]) recent.set(key, 1);
	expect(recent.oldest()).toBe("b");
	recent.delete("a");
	recent.set("b", 2);
	recent.set("a", 3);
	expect([recent.oldest(), recent.get("a"), recent.size]).toEqual(["c", 3, 3]);
	recent.clear();
	recent.set("a", 4);
	recent.set("b", 5);
	expect([recent.oldest(), recent.size]).toEqual(["a", 2]);
});
