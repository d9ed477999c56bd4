import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager, memory } from "@holdfast/core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { describe, expect, test, vi } from "vitest";
import { hasChromium } from "../../../scripts/chromium.ts";
import { chromiumPath } from "../../../scripts/provision.ts";
import { bundleForBrowser } from "../../../scripts/size.ts";
import type { OfflineQueue } from "./offline.js";
import type { RemoteBackend } from "./remote.js";
import { StateServer } from "./state-server.js";

const root = join(import.meta.dirname, "../../..");

const source = `
  import { createStateManager } from "@holdfast/core";
  import { browser, offlineQueue, remote } from "@holdfast/backend-browser";
  const queue = offlineQueue(browser({ storage: "indexeddb", name: "outbox" }));
  const backend = remote({ url: "/", offline: queue });
  const manager = createStateManager({ backend });
  manager.on("error", () => {});
  Object.assign(globalThis, { backend, manager, queue });
`;

interface Tab {
	readonly backend: RemoteBackend;
	readonly manager: import("@holdfast/core").StateManager;
	readonly queue: OfflineQueue;
}

const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> =>
	vi.waitFor(assertion, { timeout: 60_000, interval: 50 });

describe.skipIf(!hasChromium)("a queue of offline writes", () => {
	test("survives a reload and a restart of the browser, and is sent once and in order by one of its tabs", async () => {
		const code = await bundleForBrowser(source, root, join(root, "tsconfig.base.json"));
		const folder = await mkdtemp(join(tmpdir(), "holdfast-offline-"));
		const backend = memory();
		const store = createStateManager({ backend });
		const server = await StateServer.start(backend, {
			authorize: () => ({ subject: "ada", can: () => "write" }),
		});

		/** A browser with what it stored last time. Its pages come from its own cache, so to say: also without a server. */
		async function start(): Promise<BrowserContext> {
			const context = await chromium.launchPersistentContext(folder, {
				executablePath: chromiumPath() ?? "",
				chromiumSandbox: process.getuid?.() !== 0,
			});
			await context.route("**/page", (route) =>
				route.fulfill({
					contentType: "text/html",
					body: '<!doctype html><script type="module" src="/app.js"></script>',
				}),
			);
			await context.route("**/app.js", (route) =>
				route.fulfill({ contentType: "text/javascript", body: code }),
			);
			return context;
		}

		async function open(context: BrowserContext): Promise<Page> {
			const page = await context.newPage();
			await page.goto(`${server.url}/page`);
			await page.waitForFunction(() => "manager" in globalThis);
			return page;
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

		let context = await start();
		try {
			const first = await open(context);
			await first.evaluate(async () => {
				await (globalThis as unknown as Tab).manager.shared.set("before", 1);
			});
			await server.stop();
			const second = await open(context);
			await write(first, "one");
			await write(second, "two");
			await first.reload();
			await first.waitForFunction(() => "manager" in globalThis);
			await write(first, "three");
			await eventually(async () => expect([await pending(first), await pending(second)]).toEqual([15, 15]));
			await context.close();

			context = await start();
			const tabs = [await open(context), await open(context)];
			for (const tab of tabs) await eventually(async () => expect(await pending(tab)).toBe(15));
			await server.run();
			for (const tab of tabs) await eventually(async () => expect(await pending(tab)).toBe(0));
			const seen: unknown[] = [];
			for await (const record of store.shared.changes({ from: 0 })) {
				if (record.type === "reset") throw new Error("the log was cut");
				for (const change of record.changes)
					seen.push([change.key, change.type === "set" ? change.value : change.type]);
				if (seen.length === 31) break;
			}
			expect(seen).toEqual([
				["before", 1],
				...["one", "two", "three"].flatMap((name, round) =>
					[0, 1, 2, 3, 4].flatMap((i) => [
						[name, i],
						["sum", round * 5 + i + 1],
					]),
				),
			]);
			expect(await store.shared.get("sum")).toBe(15);
			expect(await tabs[0]?.evaluate(() => (globalThis as unknown as Tab).queue.refused)).toEqual([]);
		} finally {
			await context.close();
			await server.stop();
			await store.close();
			await rm(folder, { recursive: true, force: true });
		}
	});
});
