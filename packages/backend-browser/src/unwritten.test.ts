/** Entries whose rows are behind are what they would be if each commit wrote them, whichever tab reads or writes. */
import { type Backend, type Batch, createStateManager } from "@holdfast/core";
import { agreesWithMemory, type Random, seeded, TestClock } from "@holdfast/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { Room } from "./room.js";
import { RowBackend } from "./row-backend.js";
import type { Work } from "./row-store.js";
import { SessionStore } from "./session-store.js";
import { StoreFailure } from "./store-failure.js";

const below = (random: Random, end: number): number => Math.floor(random() * end);

/** Rows that may be behind, in a store that never makes room at the cost of its logs, and whose transactions may be cut off. */
class Behind extends SessionStore {
	override readonly mostBehind: number;
	/** Whether each transaction is cut off once before it is done, as where the browser takes the connection away. */
	cutsOff = false;
	/** Whether no transaction that writes is done. */
	fails = false;

	constructor(items: Room, mostBehind: number) {
		super(items, "p ");
		this.mostBehind = mostBehind;
	}

	override run<T>(mode: IDBTransactionMode, work: Work<T>): T {
		if (this.cutsOff || this.fails) super.run(mode, () => work({ put() {}, delete() {}, deleteAll() {} }));
		if (this.fails && mode === "readwrite") throw new StoreFailure("unavailable", "cut off");
		return super.run(mode, work);
	}
}

/** Tabs that share rows; each call goes to one of them, and now and then one is opened anew, which knows nothing but the rows. */
function tabs(mostBehind: number, random: Random, cutsOff = false) {
	const room = new Room();
	const clock = new TestClock();
	const name = `unwritten ${crypto.randomUUID()}`;
	const open = (): RowBackend =>
		new RowBackend({
			traits: { reach: "device", durable: true },
			clock,
			open: () => ({
				rows: Object.assign(new Behind(room, mostBehind), { cutsOff }),
				channel: name,
			}),
		});
	const opened = [open(), open()];
	onTestFinished(async () => {
		for (const tab of opened) await tab.close();
	});
	const any = (): RowBackend => {
		const i = below(random, opened.length);
		if (below(random, 4) === 0) {
			void opened[i]?.close();
			opened[i] = open();
		}
		return opened[i] as RowBackend;
	};
	const backend: Backend = {
		name: "tabs",
		traits: { reach: "device", durable: true },
		read: (asks) => any().read(asks),
		commit: (batches: readonly Batch[]) => any().commit(batches),
		list: (scope, range) => any().list(scope, range),
		log: (scope, after, query) => any().log(scope, after, query),
		watch: (scope, listener) => any().watch(scope, listener),
		scopes: (range) => any().scopes(range),
		drop: (scope) => any().drop(scope),
		close: async () => {},
	};
	const rows = (table: string): number =>
		[...room.items.keys()].filter((item) => item.startsWith(`p ${table} `)).length;
	return { backend, clock, rows };
}

for (const mostBehind of [1, 4, 1000])
	test(`random batches end alike in tabs whose rows may be ${mostBehind} records behind and in memory`, {
		timeout: 60_000,
	}, async () => {
		const { backend, clock } = tabs(mostBehind, seeded(mostBehind));
		await agreesWithMemory(backend, { advance: (ms) => clock.jump(ms), runs: 100, time: 8000 });
	});

test("rows are written a part at a time, and the rest is read from the log", {
	timeout: 60_000,
}, async () => {
	const random = seeded(7);
	const { backend, rows } = tabs(100, random);
	const manager = createStateManager({ backend });
	onTestFinished(async () => void (await manager.close()));
	const { shared } = manager;
	const model = new Map<string, number>();
	for (let turn = 0; turn < 40; turn++) {
		await Promise.all(
			Array.from({ length: 90 }, async () => {
				const key = `key/${below(random, 2000)}`;
				const value = below(random, 1000);
				if (value < 200) {
					model.delete(key);
					await shared.delete(key);
				} else {
					model.set(key, value);
					await shared.set(key, value);
				}
			}),
		);
		const found = new Map<string, unknown>();
		for await (const { key, value } of shared.list()) found.set(key, value);
		expect(found).toEqual(new Map([...model].sort(([a], [b]) => (a < b ? -1 : 1))));
	}
	expect(rows("e")).toBeGreaterThan(256);
	expect(rows("e")).toBeLessThan(model.size + 400);
});

test("one entry that is written over and over has its row written once in a while", {
	timeout: 60_000,
}, async () => {
	const { backend, rows } = tabs(1000, seeded(1));
	const manager = createStateManager({ backend });
	onTestFinished(async () => void (await manager.close()));
	for (let i = 0; i < 20; i++) await manager.shared.set("counter", i);
	expect(rows("e")).toBe(0);
	for (let i = 0; i < 1000; i++) await manager.shared.set("counter", i);
	expect(rows("e")).toBe(1);
	expect(await manager.shared.get("counter")).toBe(999);
});

test("what was cut off and is tried again knows nothing of its first try", { timeout: 60_000 }, async () => {
	const { backend, clock } = tabs(1, seeded(3), true);
	await agreesWithMemory(backend, { advance: (ms) => clock.jump(ms), time: 4000 });
});

for (const trouble of ["cutsOff", "fails"] as const)
	test(`a log that is trimmed while its store ${trouble} leaves no entry behind`, async () => {
		const room = new Room();
		const clock = new TestClock();
		const rows = new Behind(room, 1000);
		const open = (): RowBackend =>
			new RowBackend({
				traits: { reach: "device", durable: true },
				clock,
				open: () => ({ rows, channel: crypto.randomUUID() }),
			});
		const tab = open();
		const manager = createStateManager({ backend: tab, clock });
		for (let i = 0; i < 20; i++) await manager.shared.set(`key/${i}`, i);
		clock.jump(2 * 3_600_000);
		rows[trouble] = true;
		await tab.scopes({ prefix: "", after: null, limit: 10, due: true }).catch(() => {});
		rows[trouble] = false;
		await manager.shared.set("last", 1);
		await manager.close();
		const other = createStateManager({ backend: open(), clock });
		onTestFinished(async () => void (await other.close()));
		expect(await other.shared.count()).toBe(21);
	});
