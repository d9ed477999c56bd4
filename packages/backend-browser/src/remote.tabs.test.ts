import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memory } from "@holdfast/core";
import { Client, put, remembering } from "@holdfast/core/testing";
import { selfSigned } from "@holdfast/test-servers/certificate";
import type { Browser, BrowserContext, Page } from "playwright-core";
import {
	afterAll,
	afterEach,
	beforeAll,
	beforeEach,
	describe,
	expect,
	onTestFinished,
	test,
	vi,
} from "vitest";
import { hasChromium, launchChromium, patience } from "../../../scripts/chromium.ts";
import { bundleForBrowser } from "../../../scripts/size.ts";
import type { RemoteBackend } from "./remote-backend.js";
import { type Secure, StateServer } from "./state-server.js";

const root = join(import.meta.dirname, "../../..");

const source = `
  import { createStateManager } from "@holdfast/core";
  import { remote } from "@holdfast/backend-browser";
  const backend = remote({ url: "/" });
  const manager = createStateManager({ backend });
  manager.on("error", () => {});
  Object.assign(globalThis, { backend, manager });
`;

interface Tab {
	readonly backend: RemoteBackend;
	readonly manager: import("@holdfast/core").StateManager;
	mirror: import("@holdfast/core").Mirror<never, never> & {
		get(key: string): unknown;
		list(): readonly unknown[];
	};
}

const eventually = <T>(assertion: () => T | Promise<T>): Promise<T> =>
	vi.waitFor(assertion, { timeout: 60_000, interval: 50 });

describe.skipIf(!hasChromium)("tabs of one origin", () => {
	let browser: Browser;
	let code: string;
	let context: BrowserContext;
	let server: StateServer;
	const store = remembering(memory());

	const serve = (secure?: Secure): Promise<StateServer> =>
		StateServer.start(
			store,
			{
				authorize: (request) => {
					const subject = /user=(\w+)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "nobody";
					return {
						subject,
						can: ({ kind, id }) =>
							kind === "shared" || (kind === "user" && id === subject) ? "write" : "none",
					};
				},
			},
			(request, response) => {
				const isScript = request.url === "/app.js";
				response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
				response.end(isScript ? code : `<!doctype html><script type="module" src="/app.js"></script>`);
			},
			secure,
		);

	beforeAll(async () => {
		code = await bundleForBrowser(source, root, join(root, "tsconfig.base.json"));
		browser = await launchChromium();
	});

	afterAll(() => browser?.close());

	beforeEach(async () => {
		context = await browser.newContext();
		context.setDefaultTimeout(patience);
		server = await serve();
	});

	afterEach(async () => {
		await context.close();
		await server.stop();
	});

	const be = (user: string): Promise<void> =>
		context.addCookies([{ name: "user", value: user, url: server.url, httpOnly: true, sameSite: "Lax" }]);

	async function open(scope: "shared" | "ada" = "shared"): Promise<Page> {
		const page = await context.newPage();
		await page.goto(`${server.url}/page`);
		await page.waitForFunction(() => "manager" in globalThis);
		await page.evaluate(async (watched) => {
			const tab = globalThis as unknown as Tab;
			const of = watched === "shared" ? tab.manager.shared : tab.manager.user(watched);
			tab.mirror = of.mirror() as never;
			await tab.mirror.ready;
		}, scope);
		return page;
	}

	test("seven of them over HTTP/1.1 all write and all hear, on four streams", async () => {
		await be("ada");
		const tabs: Page[] = [];
		for (let i = 0; i < 7; i++) tabs.push(await open());
		await eventually(() => expect(server.streams).toBe(4));
		await Promise.all(
			tabs.map((tab) =>
				tab.evaluate(async () => {
					const { manager } = globalThis as unknown as Tab;
					for (let i = 0; i < 20; i++) await manager.shared.increment("n", 1, { timeout: "30s" });
				}),
			),
		);
		for (const tab of tabs)
			await eventually(async () =>
				expect(await tab.evaluate(() => (globalThis as unknown as Tab).mirror.get("n"))).toBe(140),
			);
		expect(await tabs[6]?.evaluate(() => (globalThis as unknown as Tab).backend.status.stale)).toBe(false);
		// Their places are taken by those that ask now and then.
		for (const tab of tabs.slice(0, 4)) await tab.close();
		await eventually(() => expect(server.streams).toBe(3));
		await new Client(store, "default/shared").apply(put("n", "last"));
		for (const tab of tabs.slice(4))
			await eventually(async () =>
				expect(await tab.evaluate(() => (globalThis as unknown as Tab).mirror.get("n"))).toBe("last"),
			);
	});

	test("six of them over HTTP/2 have a stream each, on one connection, also after the server's restart", async () => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-http2-"));
		onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
		const files = selfSigned(folder);
		await context.close();
		await server.stop();
		context = await browser.newContext({ ignoreHTTPSErrors: true });
		context.setDefaultTimeout(patience);
		server = await serve({ cert: readFileSync(files.certificate), key: readFileSync(files.key) });
		await be("ada");
		const tabs: Page[] = [];
		for (let i = 0; i < 6; i++) tabs.push(await open());
		const all = async (value: unknown): Promise<void> => {
			await eventually(() => expect([server.streams, server.sessions]).toEqual([6, 1]));
			await new Client(store, "default/shared").apply(put("n", value));
			for (const tab of tabs)
				await eventually(async () =>
					expect(await tab.evaluate(() => (globalThis as unknown as Tab).mirror.get("n"))).toBe(value),
				);
		};
		await all("before");
		await server.stop();
		await server.run();
		await all("after");
	});

	test("when another user logs in, the mirrors of all are empty before the first read", async () => {
		await be("ada");
		const [first, second] = [await open("ada"), await open("ada")];
		await first?.evaluate(async () => {
			const { manager } = globalThis as unknown as Tab;
			await manager.user("ada").set("secret", 1);
			await manager.shared.set("all", 1);
		});
		const shown = (tab: Page | undefined): Promise<unknown> | undefined =>
			tab?.evaluate(() => (globalThis as unknown as Tab).mirror.list().length);
		await eventually(async () => expect([await shown(first), await shown(second)]).toEqual([1, 1]));
		await be("bob");
		const third = await open();
		// The second asks for nothing: it hears of it from the third.
		await eventually(async () => expect([await shown(first), await shown(second)]).toEqual([0, 0]));
		const code = await first?.evaluate(() =>
			(globalThis as unknown as Tab).manager
				.user("ada")
				.get("secret")
				.catch((error: { code: string }) => error.code),
		);
		expect(code).toBe("denied");
		expect(await third.evaluate(() => (globalThis as unknown as Tab).mirror.list().length)).toBeGreaterThan(
			0,
		);
	});

	test("a page that goes back and forth between documents goes on where it was", async () => {
		await be("ada");
		const page = await open();
		await eventually(() => expect(server.streams).toBe(1));
		await page.goto("about:blank");
		await eventually(() => expect(server.streams).toBe(0));
		await new Client(store, "default/shared").apply(put("n", "while away"));
		await page.goBack();
		await page.waitForFunction(() => "manager" in globalThis);
		await eventually(async () =>
			expect(
				await page.evaluate(async () => {
					const tab = globalThis as unknown as Tab;
					tab.mirror ??= tab.manager.shared.mirror() as never;
					return tab.mirror.get("n");
				}),
			).toBe("while away"),
		);
	});
});
