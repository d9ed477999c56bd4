import { beforeEach, describe, expect, test } from "vitest";
import { Room } from "./room.js";
import type { Steps, Writes } from "./row-store.js";
import { SessionStore } from "./session-store.js";
import { StoreFailure } from "./store-failure.js";

let room: Room;
let store: SessionStore;

beforeEach(() => {
	room = new Room();
	store = new SessionStore(room, "p ");
});

const get = (key: string, from = store): unknown =>
	from.run("readonly", function* (): Steps<unknown> {
		const [row] = yield [{ key: ["e", "s", key] }];
		return row;
	});

const put = (rows: Readonly<Record<string, object>>): void =>
	store.run("readwrite", (writes: Writes) =>
		(function* (): Steps<void> {
			yield [];
			for (const [key, row] of Object.entries(rows)) writes.put(["e", "s", key], row);
		})(),
	);

describe("a transaction", () => {
	test("is written as a whole", () => {
		put({ a: [1], b: [2] });
		expect([get("a"), get("b"), get("c")]).toEqual([[1], [2], undefined]);
	});

	test("that does not fit leaves all as it was, and is said to be full", () => {
		put({ a: ["old"] });
		const before = new Map(room.items);
		room.room = 150;
		expect(() => put({ a: ["new"], b: ["x".repeat(200)] })).toThrow(
			expect.objectContaining({ reason: "full" }),
		);
		expect(room.items).toEqual(before);
	});

	test("that makes room finds the room that it needs", () => {
		put({ a: ["x".repeat(400)] });
		room.room = 450;
		put({ a: ["y"] });
		expect(get("a")).toEqual(["y"]);
	});

	test("takes the log's room where there is no other", () => {
		store.run("readwrite", (writes) =>
			(function* (): Steps<void> {
				yield [];
				writes.put(["l", "s", 1], ["y".repeat(300)]);
			})(),
		);
		room.room = 600;
		put({ a: ["x".repeat(400)] });
		expect(get("a")).toEqual(["x".repeat(400)]);
		expect([...room.items.keys()].some((item) => item.startsWith("p l "))).toBe(false);
	});

	test("whose tab is killed at any point is there whole or not at all", () => {
		put({ a: ["old"], b: ["old"] });
		const seen = new Set<string>();
		for (let writes = 0; writes < 8; writes++) {
			const before = new Map(room.items);
			room.writes = writes;
			try {
				put({ a: ["new"], b: ["new"], c: ["new"] });
			} catch (error) {
				// What a killed tab would have undone it could not do any more.
				expect(error).toBeInstanceOf(Error);
			}
			room.writes = Number.POSITIVE_INFINITY;
			const next = new SessionStore(room, "p ");
			seen.add(JSON.stringify([get("a", next), get("b", next), get("c", next) ?? null]));
			room.items.clear();
			for (const [item, text] of before) room.items.set(item, text);
		}
		expect([...seen].sort()).toEqual(['[["new"],["new"],["new"]]', '[["old"],["old"],null]']);
	});
});

test("rows come in the order of their keys, from either end", () => {
	store.run("readwrite", (writes) =>
		(function* (): Steps<void> {
			yield [];
			for (const revision of [10, 9, 100]) writes.put(["l", "s", revision], { revision });
			writes.put(["l", "s2", 1], { revision: 1 });
		})(),
	);
	const range = (newest: boolean, after?: number): unknown =>
		store.run("readonly", function* (): Steps<unknown> {
			const [rows] = yield [{ range: { table: "l", scope: "s", after, newest, limit: 2 } }];
			return rows;
		});
	expect(range(false)).toEqual([{ revision: 9 }, { revision: 10 }]);
	expect(range(false, 9)).toEqual([{ revision: 10 }, { revision: 100 }]);
	expect(range(true)).toEqual([{ revision: 100 }, { revision: 10 }]);
});

test("what fails in it is one of our failures", () => {
	room.getItem = () => {
		throw new Error("the disk is gone");
	};
	expect(() => get("a")).toThrow(StoreFailure);
});
