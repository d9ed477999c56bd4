/** Who is alone, and what a tab that is alone does without asking the store or telling anybody. */
import { createStateManager, type StateManager } from "@holdfast/core";
import { History, type Random, seeded } from "@holdfast/core/testing";
import { promisifyRequest } from "idb-keyval";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { browser } from "./browser.js";
import { Presence, type PresenceMessage } from "./presence.js";

const patience = { timeout: 30_000, interval: 1 };

const below = (random: Random, end: number): number => Math.floor(random() * end);

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Tabs that share a store, whose messages may get lost. */
class Crowd {
	readonly #name = crypto.randomUUID();
	readonly #tabs = new Set<Presence>();
	/** Those whose `enter` was answered. */
	readonly #entered = new Set<Presence>();
	/** The times alone that were broken. */
	readonly #over = new Set<object>();
	readonly #latest = new Map<Presence, object>();
	/** How many times alone there were. */
	eras = 0;

	constructor() {
		onTestFinished(() => {
			for (const tab of this.#tabs) tab.leave();
		});
	}

	/** Makes one, that is heard and hears or not. */
	add(isHeard: boolean): Presence {
		const listeners = this.#tabs;
		const tab = new Presence(this.#name, (message: PresenceMessage) => {
			if (!isHeard) return;
			for (const other of listeners) if (other !== tab) setTimeout(() => other.hear(message), 0);
		});
		if (isHeard) this.#tabs.add(tab);
		onTestFinished(() => tab.leave());
		return tab;
	}

	async enter(tab: Presence): Promise<void> {
		await tab.enter();
		this.#entered.add(tab);
		for (const [other, era] of this.#latest) if (other !== tab) this.#over.add(era);
		this.check();
	}

	leave(tab: Presence): void {
		this.#entered.delete(tab);
		this.#latest.delete(tab);
		tab.leave();
	}

	/** Who believes to be alone is, and was since it began to. */
	check(): void {
		for (const tab of this.#entered) {
			const { alone } = tab;
			if (alone === undefined) continue;
			expect(this.#entered.size).toBe(1);
			expect(this.#over.has(alone)).toBe(false);
			if (this.#latest.get(tab) !== alone) this.eras++;
			this.#latest.set(tab, alone);
		}
	}
}

describe("presence", () => {
	test("who is there first is alone until another one is there, and again when that one left", async () => {
		const crowd = new Crowd();
		const [first, second] = [crowd.add(true), crowd.add(true)];
		await crowd.enter(first);
		const era = await vi.waitUntil(() => first.alone, patience);
		await crowd.enter(second);
		expect([first.alone, second.alone]).toEqual([undefined, undefined]);
		crowd.leave(first);
		const later = await vi.waitUntil(() => second.alone, patience);
		await crowd.enter(first);
		crowd.leave(second);
		expect([era, later]).not.toContain(await vi.waitUntil(() => first.alone, patience));
	});

	test("who hears nobody and says nothing stops nobody, and does not believe to be alone for long", async () => {
		const crowd = new Crowd();
		const [deaf, other] = [crowd.add(false), crowd.add(true)];
		await crowd.enter(deaf);
		await vi.waitUntil(() => deaf.alone, patience);
		let isIn = false;
		const entering = crowd.enter(other).then(() => {
			isIn = true;
		});
		while (!isIn) {
			crowd.check();
			await turn();
		}
		await entering;
		expect(deaf.alone).toBeUndefined();
	});

	test("however tabs come and go, heard or not, nobody believes to be alone who is not", async () => {
		const random = seeded(1);
		const crowd = new Crowd();
		let isOver = false;
		const visit = async (isHeard: boolean): Promise<void> => {
			const tab = crowd.add(isHeard);
			// Until there were times alone: otherwise nothing was tested.
			for (let i = 0; i < 12 || crowd.eras <= 3; i++) {
				await crowd.enter(tab);
				for (let turns = below(random, 60); turns > 0; turns--) {
					await turn();
					crowd.check();
				}
				crowd.leave(tab);
				for (let turns = below(random, 200); turns > 0; turns--) await turn();
			}
		};
		const checking = (async () => {
			while (!isOver) {
				crowd.check();
				await turn();
			}
		})();
		await Promise.all([visit(true), visit(true), visit(false)]);
		isOver = true;
		await checking;
	});

	test("what a tab saw before another one came counts no more, though it is told later", async () => {
		const crowd = new Crowd();
		const [first, second] = [crowd.add(true), crowd.add(true)];
		await crowd.enter(first);
		await vi.waitUntil(() => first.alone, patience);
		const { query } = LockManager.prototype;
		onTestFinished(() => {
			LockManager.prototype.query = query;
		});
		const told = Promise.withResolvers<void>();
		let isSeen = false;
		LockManager.prototype.query = async function () {
			LockManager.prototype.query = query;
			const found = await query.call(this);
			isSeen = true;
			await told.promise;
			return found;
		};
		await vi.waitUntil(() => {
			void first.alone;
			return isSeen;
		}, patience);
		await crowd.enter(second);
		told.resolve();
		await turn();
		crowd.check();
		expect(first.alone).toBeUndefined();
	});

	test("who leaves before it is in is not there", async () => {
		const crowd = new Crowd();
		const [first, second] = [crowd.add(true), crowd.add(true)];
		await crowd.enter(first);
		const entering = second.enter();
		second.leave();
		await entering;
		expect(second.alone).toBeUndefined();
		await vi.waitUntil(() => first.alone, patience);
	});
});

/** How many transactions and messages there were. */
function counting(): { readonly counts: { transactions: number; told: number } } {
	const counts = { transactions: 0, told: 0 };
	const { transaction } = IDBDatabase.prototype;
	const { postMessage } = BroadcastChannel.prototype;
	IDBDatabase.prototype.transaction = function (...given) {
		counts.transactions++;
		return transaction.apply(this, given);
	};
	BroadcastChannel.prototype.postMessage = function (message) {
		counts.told++;
		postMessage.call(this, message);
	};
	onTestFinished(() => {
		IDBDatabase.prototype.transaction = transaction;
		BroadcastChannel.prototype.postMessage = postMessage;
	});
	return { counts };
}

const managerOf = (name: string): StateManager => {
	const manager = createStateManager({ backend: browser({ name }), timeout: 30_000 });
	onTestFinished(async () => void (await manager.close()));
	return manager;
};

/** Waits until a manager answers from memory. */
async function isAlone({ shared }: StateManager, counts: { transactions: number }): Promise<void> {
	await vi.waitFor(async () => {
		const before = counts.transactions;
		await shared.get("a");
		expect(counts.transactions).toBe(before);
	}, patience);
}

describe("a tab that is alone on IndexedDB", () => {
	test("reads without asking the store and tells nobody, until another one comes", async () => {
		const name = crypto.randomUUID();
		const { counts } = counting();
		const first = managerOf(name);
		await first.shared.set("a", 1);
		await isAlone(first, counts);
		await vi.waitFor(async () => {
			const before = { ...counts };
			await first.shared.set("a", 2);
			expect(counts).toEqual({ transactions: before.transactions + 1, told: before.told });
			expect(await first.shared.get("a")).toBe(2);
			expect(counts.transactions).toBe(before.transactions + 1);
		}, patience);
		const second = managerOf(name);
		await second.shared.set("a", 3);
		const before = counts.transactions;
		expect(await first.shared.get("a")).toBe(3);
		expect(counts.transactions).toBe(before + 1);
	});

	test("does not read what is not committed yet", async () => {
		const { counts } = counting();
		const { shared } = managerOf(crypto.randomUUID());
		await shared.set("a", 1);
		for (let i = 0; i < 50; i++) {
			const order: string[] = [];
			// While another transaction runs it assumes nothing.
			const counted = i % 2 === 0 ? shared.count() : undefined;
			const set = shared.set("a", i).then(() => order.push("set"));
			const get = shared.get("a").then((found) => order.push(`get ${found}`));
			await Promise.all([set, get, counted]);
			expect(order).toEqual(["set", `get ${i}`]);
		}
		expect(counts.transactions).toBeGreaterThan(100);
	});

	test("finds what the store holds when that is not what it took for granted", async () => {
		const name = crypto.randomUUID();
		const { counts } = counting();
		const manager = managerOf(name);
		const { shared } = manager;
		await shared.set("a", 1);
		await shared.set("old", 1);
		const admin = await promisifyRequest(indexedDB.open(name));
		onTestFinished(() => admin.close());
		const rows = (mode: IDBTransactionMode) => admin.transaction("rows", mode).objectStore("rows");
		const keys = await promisifyRequest(rows("readonly").getAllKeys());
		const values = await promisifyRequest(rows("readonly").getAll());
		await shared.set("a", 2);
		await shared.set("new", 1);
		await isAlone(manager, counts);
		const target = rows("readwrite");
		target.clear();
		for (const [i, key] of keys.entries()) target.put(values[i], key);
		await promisifyRequest(target.transaction);
		// An older state: what is added to it must be all that is added to it.
		await shared.increment("a", 10);
		expect(await shared.get("a")).toBe(11);
		expect(await shared.get("new")).toBeUndefined();
		const other = managerOf(name);
		expect(await other.shared.getMany(["a", "old", "new"])).toEqual([11, 1, undefined]);
	});

	test("another one that comes in the middle of its commits misses none", async () => {
		const name = crypto.randomUUID();
		const { counts } = counting();
		const first = managerOf(name);
		let isOver = false;
		let written = 0;
		let untold = 0;
		const writing = (async () => {
			while (!isOver) {
				const { told } = counts;
				written = await first.shared.increment("n");
				untold = counts.told === told ? untold + 1 : 0;
			}
		})();
		for (let i = 0; i < 12; i++) {
			await vi.waitUntil(() => untold > i, patience);
			const second = managerOf(name);
			const heard: number[] = [];
			const watching = second.shared.subscribe("n", ({ value }) => void heard.push(value as number));
			await watching.ready;
			const from = (await second.shared.get("n")) as number;
			const upTo = written + 5;
			await vi.waitUntil(() => (heard.at(-1) ?? 0) >= upTo, patience);
			const first = heard[0] as number;
			expect(heard).toEqual(heard.map((_, j) => first + j));
			expect(first).toBeLessThanOrEqual(from + 1);
			await second.close();
		}
		isOver = true;
		await writing;
	}, 120_000);

	test("what tabs that come and go read and write could have happened in some order", async () => {
		const name = crypto.randomUUID();
		const { counts } = counting();
		const history = new History();
		const random = seeded(1);
		const keys = ["x", "y"];
		const work = async (process: number, { shared }: StateManager, count: number): Promise<void> => {
			for (let i = 0; i < count; i++) {
				const key = keys[below(random, keys.length)] as string;
				const value = `${history.length}`;
				if (random() < 0.6)
					await history.record(process, key, { ask: "read" }, async () => ({
						saw: ((await shared.get(key)) as string | undefined) ?? null,
					}));
				else
					await history.record(
						process,
						key,
						{ ask: "write", value: `${process} ${i} ${value}` },
						async () => {
							await shared.set(key, `${process} ${i} ${value}`);
							return { written: true };
						},
					);
				if (random() < 0.2) await turn();
			}
		};
		let stays = managerOf(name);
		await stays.shared.set("a", 1);
		for (let process = 1; process <= 20; process++) {
			await isAlone(stays, counts);
			const comes = managerOf(name);
			await Promise.all([work(0, stays, 20), work(process, comes, 1 + below(random, 20))]);
			const goes = random() < 0.5 ? stays : comes;
			if (goes === stays) stays = comes;
			await goes.close();
			await work(0, stays, 5);
		}
		history.verify();
	}, 120_000);
});
