/** What a transaction is asked of IndexedDB. */
import { createStateManager } from "@holdfast/core";
import { promisifyRequest } from "idb-keyval";
import { expect, onTestFinished, test, vi } from "vitest";
import { browser, indexedDb } from "./browser.js";

const name = (): string => {
	const own = `database ${crypto.randomUUID()}`;
	onTestFinished(async () => void (await promisifyRequest(indexedDB.deleteDatabase(own))));
	return own;
};

test.each([
	["strict", () => browser({ name: name(), durability: "strict" })],
	["strict", () => indexedDb({ name: name(), durability: "strict" })],
	["relaxed", () => browser({ name: name() })],
])("what is written goes to the disk as it should: %s", async (durability, open) => {
	const begun = vi.spyOn(IDBDatabase.prototype, "transaction");
	onTestFinished(() => begun.mockRestore());
	const backend = open();
	const manager = createStateManager({ backend });
	await manager.shared.set("a", 1);
	await manager.close();
	const transactions = begun.mock.results.map(({ value }) => value as IDBTransaction);
	const written = transactions.filter(({ mode }) => mode === "readwrite");
	expect(written.length).toBeGreaterThan(0);
	expect(new Set(written.map((transaction) => transaction.durability))).toEqual(new Set([durability]));
});
