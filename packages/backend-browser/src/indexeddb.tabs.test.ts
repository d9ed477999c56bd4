import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { hasChromium, hasWholeChromium } from "../../../scripts/chromium.ts";
import { openTabs, type Tabs } from "./tabs-harness.js";

// In pages: what a test left there for its next step.
declare global {
	var manager: import("@holdfast/core").StateManager;
	var heard: unknown[];
	var errors: string[];
}

const patience = { timeout: 30_000, interval: 20 };

// Where many tabs write at once, one waits for all the others.
const crowded = { patience: 55_000, timeout: 60_000 };

/** Makes a manager in a page. */
const begin = (page: Page, options: { readonly patience?: number; readonly timeout?: number } = {}) =>
	page.evaluate(({ patience, timeout }) => {
		const { browser, createStateManager } = holdfast;
		globalThis.errors = [];
		globalThis.manager = createStateManager({
			backend: browser({ name: "tabs", ...(patience === undefined ? {} : { patience }) }),
			...(timeout === undefined ? {} : { timeout }),
		});
		manager.on("error", (error) => errors.push(error.message));
	}, options);

const read = (page: Page, key: string): Promise<unknown> =>
	page.evaluate((name) => manager.shared.get(name), key);

const write = (page: Page, key: string, value: unknown): Promise<unknown> =>
	page.evaluate(
		([name, given]) =>
			manager.shared.set(name as string, given).catch((error: { code: string }) => error.code),
		[key, value] as const,
	);

/** Has a page keep what it hears. */
const listen = (page: Page): Promise<void> =>
	page.evaluate(async () => {
		globalThis.heard = [];
		await manager.shared.subscribe("**", ({ key, value }) => void heard.push([key, value]), {
			onReset: (entries) => void heard.push(["reset", entries.length]),
		}).ready;
	});

describe.skipIf(!hasChromium)("tabs on IndexedDB", () => {
	let tabs: Tabs;
	let context: BrowserContext;

	beforeAll(async () => {
		tabs = await openTabs();
	});

	afterAll(() => tabs?.close());

	beforeEach(async () => {
		await context?.close();
		context = await tabs.context();
	});

	const opened = async (options: Parameters<typeof begin>[1] = {}): Promise<Page> => {
		const page = await tabs.open(context);
		await begin(page, options);
		return page;
	};

	test("five tabs that add to one counter 1,000 times each lose none", async () => {
		const pages = await Promise.all(Array.from({ length: 5 }, () => opened(crowded)));
		await Promise.all(
			pages.map((page) =>
				page.evaluate(async () => {
					// Ten at a time: by reading and comparing, and by adding.
					for (let i = 0; i < 100; i++)
						await Promise.all(
							Array.from({ length: 10 }, (_, j) =>
								j === 0
									? manager.shared.update("counter", (n) => ((n as number | undefined) ?? 0) + 1, {
											retries: 1000,
										} as object)
									: manager.shared.increment("counter"),
							),
						);
				}),
			),
		);
		for (const page of pages) expect(await read(page, "counter")).toBe(5000);
	});

	test("a tab hears what another commits, with its value", async () => {
		const [writer, reader] = [await opened(), await opened()];
		await listen(reader);
		await write(writer, "a", { b: 1 });
		await vi.waitFor(
			async () => expect(await reader.evaluate(() => heard)).toEqual([["a", { b: 1 }]]),
			patience,
		);
	});

	test("what expires is told in every tab, and gone", async () => {
		const [writer, reader] = [await opened(), await opened()];
		await listen(reader);
		await writer.evaluate(() => manager.shared.set("a", 1, { ttl: 200 }));
		await vi.waitFor(
			async () =>
				expect(await reader.evaluate(() => heard)).toEqual([
					["a", 1],
					["a", undefined],
				]),
			patience,
		);
		expect(await read(writer, "a")).toBeUndefined();
	});

	test("a worker has the same store", async () => {
		const page = await opened();
		await write(page, "a", "from the page");
		const answer = await page.evaluate(async () => {
			const code = `import "${location.origin}/page.js";
				const manager = holdfast.createStateManager({ backend: holdfast.browser({ name: "tabs" }) });
				const found = await manager.shared.get("a");
				await manager.shared.set("b", "from the worker");
				await manager.close();
				postMessage(found);`;
			const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), {
				type: "module",
			});
			return new Promise((resolve, reject) => {
				worker.onmessage = ({ data }) => resolve(data);
				worker.onerror = (event) => reject(new Error(event.message));
			});
		});
		expect(answer).toBe("from the page");
		expect(await read(page, "b")).toBe("from the worker");
	});

	test("what was answered is there after a reload", async () => {
		const page = await opened();
		await write(page, "a", new Array(10).fill("long"));
		await page.reload();
		await page.waitForFunction(() => "holdfast" in globalThis);
		await begin(page);
		expect(await read(page, "a")).toEqual(new Array(10).fill("long"));
	});

	test("a lock whose tab was left is free at once, before its time is over", async () => {
		const [holder, waiter] = [await opened(), await opened()];
		await holder.evaluate(() => manager.shared.lock("orders", { ttl: "10m" }).then(() => undefined));
		await listen(waiter);
		const waited = waiter.evaluate(async () => {
			const lease = await manager.shared.lock("orders", { wait: "5m" } as object);
			await lease.release();
			return "had";
		});
		await holder.goto("about:blank");
		expect(await waited).toBe("had");
	});

	test("a lock whose tab was killed is free when its time is over", async () => {
		const [holder, waiter] = [await opened(), await opened()];
		await holder.evaluate(() => manager.shared.lock("orders", { ttl: 1500 }).then(() => undefined));
		const cdp = await context.newCDPSession(holder);
		void cdp.send("Page.crash").catch(() => {});
		const answer = await waiter.evaluate(async () => {
			const lease = await manager.shared.lock("orders", { wait: "5m" } as object);
			await lease.release();
			return "had";
		});
		expect(answer).toBe("had");
	});

	test("a database that another tab deletes is made anew: told as a reset, and reported", async () => {
		const [user, other] = [await opened(), await opened()];
		await write(user, "a", 1);
		await listen(user);
		await other.evaluate(async () => {
			await manager.close();
			await new Promise((resolve, reject) => {
				const request = indexedDB.deleteDatabase("tabs");
				request.onsuccess = resolve;
				request.onerror = reject;
				request.onblocked = () => reject(new Error("the other tab does not let go"));
			});
		});
		await vi.waitFor(async () => expect(await user.evaluate(() => heard)).toEqual([["reset", 0]]), patience);
		expect(await user.evaluate(() => errors)).toEqual([expect.stringContaining("was deleted")]);
		expect(await write(user, "b", 2)).toBeTypeOf("number");
		expect(await read(user, "b")).toBe(2);
	});

	test("what the browser takes away is a reset too, and a commit after it is whole", async () => {
		const page = await opened();
		await write(page, "a", 1);
		await listen(page);
		const cdp = await context.newCDPSession(page);
		await cdp.send("Storage.clearDataForOrigin", { origin: tabs.origin, storageTypes: "indexeddb" });
		await vi.waitFor(
			async () => expect(await page.evaluate(() => heard)).toContainEqual(["reset", 0]),
			patience,
		);
		expect(await write(page, "b", 2)).toBeTypeOf("number");
		expect(await page.evaluate(() => manager.shared.count())).toBe(1);
	});

	test("without room a commit is refused as full, nothing of it is written, and others go on", async () => {
		const page = await opened();
		const cdp = await context.newCDPSession(page);
		// Before the first use: the browser keeps for a while what it found.
		await cdp.send("Storage.overrideQuotaForOrigin", { origin: tabs.origin, quotaSize: 500_000 });
		await write(page, "small", 1);
		const refused = await page.evaluate(() =>
			manager.shared
				.commit((tx) => {
					tx.set("first", "v".repeat(500_000));
					tx.set("second", "v".repeat(500_000));
				})
				.catch((error: { code: string }) => error.code),
		);
		expect(refused).toBe("full");
		expect(await page.evaluate(() => manager.shared.count())).toBe(1);
		expect(await write(page, "first", 2)).toBeTypeOf("number");
		expect(await page.evaluate(() => manager.shared.count())).toBe(2);
	});

	test("while a tab stands still inside a transaction others are told so, and go on when it is over", async () => {
		const [frozen, other] = [await opened(), await opened()];
		await write(frozen, "a", 1);
		expect(await write(other, "a", 2)).toBeTypeOf("number");
		// From now on it shall not wait for long.
		await other.evaluate(() => manager.close());
		await begin(other, { patience: 500, timeout: 60_000 });
		// Its transaction begins, and then its page does not run any more.
		await frozen.evaluate(
			() =>
				new Promise<void>((resolve) => {
					const request = indexedDB.open("tabs");
					request.onsuccess = () => {
						const store = request.result.transaction("rows", "readwrite").objectStore("rows");
						const hold = (): void => {
							if (globalThis.errors.length === 0) store.get("nothing").onsuccess = hold;
							else request.result.close();
						};
						hold();
						resolve();
					};
				}),
		);
		const cdp = await context.newCDPSession(frozen);
		await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
		expect(await write(other, "a", 3)).toBe("store-blocked");
		expect(await other.evaluate(() => manager.health)).toMatchObject({
			status: "unreachable",
			storage: "blocked",
		});
		await cdp.send("Page.setWebLifecycleState", { state: "active" });
		await frozen.evaluate(() => void errors.push("over"));
		await vi.waitFor(async () => expect(await write(other, "a", 4)).toBeTypeOf("number"), patience);
		expect(await read(frozen, "a")).toBe(4);
		expect(await other.evaluate(() => manager.health)).toMatchObject({ status: "ok", storage: "evictable" });
	});

	test("a tab that is frozen while it is alone stops nobody, and then reads what others wrote", async () => {
		const alone = await opened();
		await write(alone, "a", 1);
		// It answers from memory.
		await alone.evaluate(async () => {
			let transactions = 0;
			const { transaction } = IDBDatabase.prototype;
			IDBDatabase.prototype.transaction = function (...given) {
				transactions++;
				return transaction.apply(this, given);
			};
			for (let before = -1; before !== transactions; ) {
				before = transactions;
				await manager.shared.get("a");
			}
		});
		const cdp = await context.newCDPSession(alone);
		await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
		const other = await opened();
		expect(await write(other, "a", 2)).toBeTypeOf("number");
		await cdp.send("Page.setWebLifecycleState", { state: "active" });
		expect(await read(alone, "a")).toBe(2);
		await write(alone, "a", 3);
		expect(await read(other, "a")).toBe(3);
	});

	test("a frame where storage is forbidden is told so", async () => {
		const page = await opened();
		const frame = await page.evaluateHandle((address) => {
			const made = document.createElement("iframe");
			made.sandbox.add("allow-scripts");
			made.srcdoc = `<script type="module">
				await import("${address}/page.js");
				const codes = [];
				for (const storage of ["indexeddb", "session"])
					await holdfast.createStateManager({ backend: holdfast.browser({ storage }) })
						.shared.set("a", 1).catch((error) => codes.push(error.code));
				parent.postMessage(codes, "*");
			</script>`;
			return new Promise((resolve) => {
				addEventListener("message", ({ data }) => resolve(data));
				document.body.append(made);
			});
		}, tabs.origin);
		expect(await frame.jsonValue()).toEqual(["unavailable", "unavailable"]);
	});

	test("100 tabs that are killed in a commit leave nothing half written", async () => {
		const checker = await opened(crowded);
		const kill = async (): Promise<void> => {
			const page = await opened(crowded);
			const cdp = await context.newCDPSession(page);
			await page.evaluate(() => {
				void (async () => {
					for (;;)
						await manager.shared.commit(async (tx) => {
							const n = ((await tx.get("n")) as number | undefined) ?? 0;
							tx.set("n", n + 1);
							for (let i = 0; i < 50; i++) tx.set(`part/${i}`, n + 1);
						});
				})().catch(() => {});
				return manager.shared.commit((tx) => void tx.set("begun", Math.random()));
			});
			const killed = page.waitForEvent("crash");
			// Nobody answers any more.
			void cdp.send("Page.crash").catch(() => {});
			await killed;
			await page.close();
		};
		for (let i = 0; i < 20; i++) {
			await Promise.all(Array.from({ length: 5 }, kill));
			const parts = await checker.evaluate(async () => {
				const found: unknown[] = [await manager.shared.get("n")];
				for await (const { value } of manager.shared.list("part/*")) found.push(value);
				return found;
			});
			// What is read in two reads may be of two commits: only while somebody writes, and they are dead.
			expect(parts).toHaveLength(51);
			expect(new Set(parts).size).toBe(1);
		}
		const chain = await checker.evaluate(async () => {
			const backend = holdfast.browser({ name: "tabs" });
			const { records, head } = await backend.log("default/shared", 0, {
				of: "changes",
				limit: 1e6,
				bytes: 1e9,
			});
			const broken = records.filter((record, i) => i > 0 && record.previous !== records[i - 1]?.revision);
			return { broken: broken.length, isWhole: records.at(-1)?.revision === head };
		});
		expect(chain).toEqual({ broken: 0, isWhole: true });
	}, 300_000);
});

describe.skipIf(!hasWholeChromium)("a page that is kept for the way back", () => {
	let tabs: Tabs;

	beforeAll(async () => {
		tabs = await openTabs({ whole: true });
	});

	afterAll(() => tabs?.close());

	test("is not thrown out by what others commit, and catches up when it is shown again", async () => {
		const context = await tabs.context();
		const [kept, writer] = [await tabs.open(context), await tabs.open(context)];
		for (const page of [kept, writer]) await begin(page);
		await write(writer, "a", 0);
		await listen(kept);
		await kept.goto(`${tabs.origin}/elsewhere`);
		for (let i = 1; i <= 3; i++) await write(writer, "a", i);
		await kept.evaluate(() => history.back());
		// The same page: what it had in memory is still there.
		await vi.waitFor(
			async () =>
				expect(await kept.evaluate(() => globalThis.heard)).toEqual([
					["a", 1],
					["a", 2],
					["a", 3],
				]),
			patience,
		);
		await write(writer, "a", 4);
		await vi.waitFor(async () => expect(await kept.evaluate(() => heard.at(-1))).toEqual(["a", 4]), patience);
	});
});
