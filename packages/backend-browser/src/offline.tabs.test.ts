import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager, memory, type StateManager } from "@holdfast/core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { describe, expect, test, vi } from "vitest";
import { hasChromium, patience } from "../../../scripts/chromium.ts";
import { headlessShellPath } from "../../../scripts/provision.ts";
import { bundleForBrowser } from "../../../scripts/size.ts";
import type { OfflineQueue } from "./offline.js";
import type { RemoteBackend } from "./remote-backend.js";
import { StateServer } from "./state-server.js";

const root = join(import.meta.dirname, "../../..");

const sourceWith = (answerWithin: number): string => `
  import { createStateManager } from "@holdfast/core";
  import { indexedDb, offlineQueue, remote } from "@holdfast/backend-browser";
  const queue = offlineQueue(indexedDb({ name: "outbox" }), { grace: "1m" });
  const backend = remote({ url: "/", offline: queue, answerWithin: ${answerWithin} });
  const manager = createStateManager({ backend });
  manager.on("error", () => {});
  Object.assign(globalThis, { backend, manager, queue });
`;

interface Tab {
	readonly backend: RemoteBackend;
	readonly manager: StateManager;
	readonly queue: OfflineQueue;
}

const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> =>
	vi.waitFor(assertion, { timeout: 60_000, interval: 50 });

/** A browser with what it stored last time, whose pages come from its own cache, so to say: also without a server. */
class Device {
	readonly #folder: string;
	readonly #code: string;
	readonly #url: string;
	#context: BrowserContext | undefined;

	private constructor(folder: string, code: string, url: string) {
		this.#folder = folder;
		this.#code = code;
		this.#url = url;
	}

	/** `answerWithin`: how long its tabs wait for the server, and for one another, in ms. */
	static async of(url: string, answerWithin = 60_000): Promise<Device> {
		const source = sourceWith(answerWithin);
		const code = await bundleForBrowser(source, root, join(root, "tsconfig.base.json"));
		return new Device(await mkdtemp(join(tmpdir(), "holdfast-offline-")), code, url);
	}

	get context(): BrowserContext {
		return this.#context as BrowserContext;
	}

	async start(): Promise<void> {
		this.#context = await chromium.launchPersistentContext(this.#folder, {
			executablePath: headlessShellPath() ?? "",
			chromiumSandbox: process.getuid?.() !== 0,
			timeout: patience,
		});
		this.context.setDefaultTimeout(patience);
		await this.context.route("**/page", (route) =>
			route.fulfill({
				contentType: "text/html",
				body: '<!doctype html><script type="module" src="/app.js"></script>',
			}),
		);
		await this.context.route("**/app.js", (route) =>
			route.fulfill({ contentType: "text/javascript", body: this.#code }),
		);
	}

	/** Who is logged in, in all tabs. */
	async login(user: string): Promise<void> {
		await this.context.addCookies([
			{ name: "user", value: user, url: this.#url, expires: Date.now() / 1000 + 3600 },
		]);
	}

	async open(): Promise<Page> {
		const page = await this.context.newPage();
		await page.goto(`${this.#url}/page`);
		await page.waitForFunction(() => "manager" in globalThis);
		return page;
	}

	async stop(): Promise<void> {
		await this.#context?.close();
	}

	async remove(): Promise<void> {
		await this.stop();
		await rm(this.#folder, { recursive: true, force: true });
	}
}

const write = (page: Page, name: string): Promise<void> =>
	page.evaluate(async (written) => {
		const { shared } = (globalThis as unknown as Tab).manager;
		for (let i = 0; i < 5; i++)
			await shared.commit(
				(tx) => {
					tx.set(written, i);
					tx.increment("sum");
				},
				{ durability: "deferred" },
			);
	}, name);

const pending = (page: Page): Promise<number> =>
	page.evaluate(() => (globalThis as unknown as Tab).backend.status.pending.count);

const read = (page: Page, keys: readonly string[]): Promise<unknown> =>
	page.evaluate(
		(of) =>
			(globalThis as unknown as Tab).manager.shared
				.getMany(of)
				.catch((error: { code: string }) => error.code),
		keys,
	);

/** What {@link write} is stored as. */
const written = (names: readonly string[]): unknown[] =>
	names.flatMap((name, round) =>
		[0, 1, 2, 3, 4].flatMap((i) => [
			[name, i],
			["sum", round * 5 + i + 1],
		]),
	);

async function history(store: StateManager): Promise<unknown[]> {
	const seen: unknown[] = [];
	const { revision } = await store.shared.commit(() => {});
	for await (const record of store.shared.changes({ from: 0 })) {
		if (record.type === "reset") throw new Error("the log was cut");
		for (const change of record.changes)
			seen.push([change.key, change.type === "set" ? change.value : change.type]);
		if (record.revision >= revision) break;
	}
	return seen;
}

describe.skipIf(!hasChromium)("a queue of offline writes", () => {
	test("survives a reload and a restart of the browser, and is sent once and in order by one of its tabs, never as another user", async () => {
		const backend = memory();
		const store = createStateManager({ backend });
		const server = await StateServer.start(backend, {
			authorize: (request) => {
				const subject = /user=(\w+)/.exec(request.headers.get("cookie") ?? "")?.[1];
				return subject === undefined ? undefined : { subject, can: () => "write" };
			},
		});
		const device = await Device.of(server.url);
		try {
			await device.start();
			await device.login("ada");
			const first = await device.open();
			await first.evaluate(async () => {
				const { shared } = (globalThis as unknown as Tab).manager;
				await shared.set("before", 1);
				await shared.get("before");
			});
			await server.stop();
			const second = await device.open();
			await write(first, "one");
			await write(second, "two");
			// The first tab has told its device what it knew.
			await eventually(async () => expect(await read(second, ["before"])).toEqual([1]));
			await first.reload();
			await first.waitForFunction(() => "manager" in globalThis);
			await write(first, "three");
			await eventually(async () => expect([await pending(first), await pending(second)]).toEqual([15, 15]));
			await device.stop();

			await device.start();
			const tabs = [await device.open(), await device.open()];
			for (const tab of tabs) {
				await eventually(async () => expect(await pending(tab)).toBe(15));
				// What was known last, with what waits.
				expect(await read(tab, ["before", "three"])).toEqual([1, 4]);
			}
			await device.login("bob");
			await server.run();
			for (const tab of tabs) await eventually(async () => expect(await pending(tab)).toBe(0));
			await tabs[0]?.evaluate(() =>
				(globalThis as unknown as Tab).manager.shared.set("by bob", 1, { durability: "deferred" }),
			);
			await eventually(async () => expect(await store.shared.get("by bob")).toBe(1));
			expect(await history(store)).toEqual([
				["before", 1],
				["by bob", 1],
			]);
			expect(await tabs[1]?.evaluate(() => (globalThis as unknown as Tab).manager.user("bob").get("a"))).toBe(
				undefined,
			);
			await device.stop();

			await device.start();
			await device.login("ada");
			const last = [await device.open(), await device.open()];
			for (const tab of last)
				await tab.evaluate(() => (globalThis as unknown as Tab).manager.shared.get("before"));
			await eventually(async () => expect(await store.shared.get("sum")).toBe(15));
			for (const tab of last) await eventually(async () => expect(await pending(tab)).toBe(0));
			expect(await history(store)).toEqual([
				["before", 1],
				["by bob", 1],
				...written(["one", "two", "three"]),
			]);
			expect((await store.shared.entry("one"))?.metadata).toEqual({ user: "ada" });
			expect(await last[0]?.evaluate(() => (globalThis as unknown as Tab).queue.refused)).toEqual([]);
		} finally {
			await device.remove();
			await server.stop();
			await store.close();
		}
	});

	test("is forgotten in all tabs at once where one of them logs out of the device", async () => {
		const store = createStateManager({ backend: memory() });
		const server = await StateServer.start(store, {
			authorize: () => ({ subject: "ada", can: () => "write" }),
		});
		const device = await Device.of(server.url);
		try {
			await store.shared.set("secret", 1);
			await device.start();
			const [one, two] = [await device.open(), await device.open()];
			/** Watches, and tells what is shown. */
			const shown = (page: Page): Promise<unknown> =>
				page.evaluate(async () => {
					const tab = globalThis as unknown as Tab & {
						mirror?: { readonly ready: Promise<void>; readonly size: number };
					};
					tab.mirror ??= tab.manager.shared.mirror();
					await tab.mirror.ready;
					return tab.mirror.size;
				});
			for (const tab of [one, two]) await eventually(async () => expect(await shown(tab)).toBe(1));
			await one.evaluate(() => (globalThis as unknown as Tab).queue.logout());
			for (const tab of [one, two]) {
				await eventually(async () => expect(await shown(tab)).toBe(0));
				expect(await read(tab, ["secret"])).toBe("unauthenticated");
			}
			await server.stop();
			expect(await read(await device.open(), ["secret"])).toBe("offline");
			await server.run();

			// Who loads a page is who the cookie says, and the others hear of it.
			await one.reload();
			await one.waitForFunction(() => "manager" in globalThis);
			expect(await read(one, ["secret"])).toEqual([1]);
			await eventually(async () => expect(await shown(two)).toBe(1));
		} finally {
			await device.remove();
			await server.stop();
			await store.close();
		}
	});

	test("is sent by another tab where the one that sends is frozen in the middle, and once all the same", async () => {
		const backend = memory();
		const store = createStateManager({ backend });
		const server = await StateServer.start(backend, {
			authorize: () => ({ subject: "ada", can: () => "write" }),
		});
		const device = await Device.of(server.url, 2000);
		try {
			await device.start();
			const frozen = await device.open();
			await frozen.evaluate(async () => {
				await (globalThis as unknown as Tab).manager.shared.set("before", 1);
			});
			// The first commit of this tab that arrives is not answered before the end.
			const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
			const { promise: thawed, resolve: thaw } = Promise.withResolvers<void>();
			let held = false;
			await frozen.route("**/v1/commit", async (route) => {
				if (held) return route.continue();
				held = true;
				const response = await route.fetch();
				arrive();
				await thawed;
				await route.fulfill({ response }).catch(() => {});
			});
			await write(frozen, "one");
			await arrived;
			const cdp = await device.context.newCDPSession(frozen);
			// Nothing of it runs any more, and it keeps its lock: a page that DevTools are open for is not frozen otherwise.
			const paused = new Promise<void>((stands) => void cdp.once("Debugger.paused", () => stands()));
			await cdp.send("Debugger.enable");
			await cdp.send("Debugger.pause");
			await paused;

			const other = await device.open();
			await write(other, "two");
			await eventually(async () => expect(await pending(other)).toBe(0));
			await cdp.send("Debugger.resume");
			await cdp.detach();
			thaw();
			await write(frozen, "three");
			for (const tab of [frozen, other]) await eventually(async () => expect(await pending(tab)).toBe(0));
			expect(await history(store)).toEqual([["before", 1], ...written(["one", "two", "three"])]);
			for (const tab of [frozen, other])
				expect(await tab.evaluate(() => (globalThis as unknown as Tab).queue.refused)).toEqual([]);
		} finally {
			await device.remove();
			await server.stop();
			await store.close();
		}
	});
});
