import { type BackendHarness, conformance, TestClock } from "@holdfast/core/testing";
import { promisifyRequest } from "idb-keyval";
import { browser } from "./browser.js";

async function openDatabase(): Promise<BackendHarness> {
	const name = `conformance ${crypto.randomUUID()}`;
	const clock = new TestClock({ skew: 3_600_000 });
	const create = () => browser({ name, clock });
	const first = create();
	await Promise.all(first.read([{ scope: "first/shared", keys: [] }]));
	const admin = await promisifyRequest(indexedDB.open(name));
	const rows = (mode: IDBTransactionMode) => admin.transaction("rows", mode).objectStore("rows");
	return {
		create,
		advance: (ms) => clock.jump(ms),
		losesAnswers: true,
		restart: async () => {},
		reconnects: true,
		forget: async () => {
			await promisifyRequest(rows("readwrite").clear());
		},
		save: async () => {
			const store = rows("readonly");
			const [keys, values] = await Promise.all([
				promisifyRequest(store.getAllKeys()),
				promisifyRequest(store.getAll()),
			]);
			return async () => {
				const target = rows("readwrite");
				target.clear();
				for (const [i, key] of keys.entries()) target.put(values[i], key);
				await promisifyRequest(target.transaction);
			};
		},
		async dispose() {
			admin.close();
			await first.close();
			await promisifyRequest(indexedDB.deleteDatabase(name));
		},
	};
}

conformance("IndexedDB", openDatabase);
