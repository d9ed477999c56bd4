/** What is asked of SQLite again and again is planned once: a plan costs ten times what most statements do. */
import { constants, DatabaseSync } from "node:sqlite";
import { createStateManager } from "@holdfast/core";
import { expect, onTestFinished, test, vi } from "vitest";
import { sql } from "./sql.js";

test("what was asked before with other values is not planned anew", async () => {
	const prepare = vi.spyOn(DatabaseSync.prototype, "prepare");
	onTestFinished(() => prepare.mockRestore());
	const manager = createStateManager({
		backend: sql("sqlite::memory:", { driver: "node:sqlite" }),
		scopes: { book: { changes: { count: 8 } } },
	});
	onTestFinished(async () => {
		await manager.close();
	});
	await manager.ready();
	const database = prepare.mock.contexts.at(-1) as DatabaseSync;
	const ask = async (id: string): Promise<void> => {
		const book = manager.scope("book", id);
		const first = await book.set("positions/a", id);
		for (let i = 0; i < 16; i++) await book.set(`positions/${i}`, `${id}, ${i}`);
		await Promise.all([book.set("positions/b", 1), book.set("positions/c", 2), book.delete("positions/0")]);
		await book.set("timed", 1, { ttl: 60_000 });
		await book.commit(async (tx) => {
			for (const { key } of (await tx.list("positions/*")).slice(0, 2)) tx.set(key, "listed");
		});
		expect(await book.get("positions/b")).toBe(1);
		expect(await book.getMany(["positions/b", "positions/c"])).toEqual([1, 2]);
		expect(await Promise.all([book.get("positions/c"), manager.shared.get(id)])).toEqual([2, undefined]);
		const listed: string[] = [];
		for await (const { key } of book.list("positions/*", { limit: 10 })) listed.push(key);
		expect(listed).toHaveLength(10);
		expect(await book.count("none/*")).toBe(0);
		for await (const told of book.changes({ from: first })) {
			expect(told).toBeDefined();
			break;
		}
	};
	// SQLite asks what may be done each time that it plans a statement.
	let planned = 0;
	database.setAuthorizer(() => {
		planned++;
		return constants.SQLITE_OK;
	});
	await ask("one");
	expect(planned).toBeGreaterThan(0);
	planned = 0;
	await ask("two");
	expect(planned).toBe(0);
});
