import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, launchChromium } from "../../../scripts/chromium.ts";
import { childrenOf } from "./children.ts";
import { makeCuttable } from "./cuttable.ts";
import { buildPackages, type RunningDashboard, runDashboard } from "./dashboard.ts";
import { dayOf, enter, live, setPaused } from "./page.ts";

describe.skipIf(!hasChromium)("the dashboard in Chromium", () => {
	let browser: Browser;
	let dashboard: RunningDashboard;
	const contexts: BrowserContext[] = [];
	const problems: string[] = [];

	beforeAll(async () => {
		buildPackages();
		dashboard = await runDashboard("--speed", "50");
		browser = await launchChromium();
	});

	afterEach(async () => {
		for (const context of contexts.splice(0)) await context.close();
		expect(problems.splice(0)).toEqual([]);
	});

	afterAll(async () => {
		await browser?.close();
		await dashboard?.stop();
	});

	/** A browser of one user, signed in. */
	async function signIn(name: string, url = dashboard.url): Promise<{ context: BrowserContext; page: Page }> {
		const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
		contexts.push(context);
		context.on("weberror", (error) => problems.push(`${name}: ${error.error()}`));
		return { context, page: await enter(context, name, url) };
	}

	/** A second window: a tab would hide the first one, and a hidden page is drawn once a second. */
	const openWindow = async (context: BrowserContext): Promise<Page> => {
		const opening = context.waitForEvent("page");
		await context.pages()[0]?.evaluate(() => {
			window.open("/", "_blank", "popup,width=1200,height=800");
		});
		const page = await opening;
		await live(page);
		return page;
	};

	const textOf = (page: Page, id: string): Promise<string> => page.locator(`#${id}`).innerText();
	const firstEvent = (page: Page): Promise<string | null> =>
		page.locator("#activity li[data-type=trade_executed]").first().getAttribute("data-id");
	const chosen = (page: Page): Promise<string | null> =>
		page.locator("#watch li:has([aria-pressed=true])").getAttribute("data-symbol");

	test("it says that it is a replay, and asks who is there", async () => {
		const page = await browser.newPage();
		await page.goto(dashboard.url);
		expect(await page.getByLabel("Your name").isVisible()).toBe(true);
		expect(await page.locator("#dashboard").isVisible()).toBe(false);
		expect((await page.request.get(`${dashboard.url}/api/stream`)).status()).toBe(401);
		await page.close();

		const { page: signedIn } = await signIn("Reader");
		expect(await signedIn.locator(".badge").innerText()).toBe("Replay of S&P 500 daily bars 2000–2020");
	});

	test("prices, positions, P&L and activity arrive in two windows of one user and in another user's", async () => {
		const { context, page: first } = await signIn("Ada");
		const second = await openWindow(context);
		const { page: other } = await signIn("Grace");
		const pages = [first, second, other];

		for (const page of pages) {
			const day = await dayOf(page);
			await expect.poll(() => dayOf(page)).not.toBe(day);
		}
		// A trade comes after the page is there, by push.
		const before = await firstEvent(first).catch(() => null);
		await expect.poll(() => firstEvent(first)).not.toBe(before);
		for (const page of pages) {
			await expect.poll(() => textOf(page, "card-position")).toMatch(/^(Flat|\d+ @ [\d,.]+)$/);
			await expect.poll(() => textOf(page, "card-trades")).toMatch(/^\d+$/);
		}

		// Stopped by one, all show the same.
		await setPaused(first, true);
		for (const page of pages) {
			await page.getByRole("button", { name: "Go on with the replay" }).waitFor();
			for (const id of ["card-equity", "card-position", "card-unrealised", "card-realised", "card-trades"])
				await expect.poll(() => textOf(page, id)).toBe(await textOf(first, id));
			await expect.poll(() => dayOf(page)).toBe(await dayOf(first));
			await expect.poll(() => firstEvent(page)).toBe(await firstEvent(first));
			await expect.poll(() => textOf(page, "activity")).toContain("Ada paused the replay");
		}
		await setPaused(other, false);
		await expect.poll(() => textOf(first, "activity")).toContain("Grace set 50 days/s");
	});

	test("a bar is in the page within two seconds of its sending", async () => {
		const { page } = await signIn("Clock");
		// One machine, so one clock; measured from the feed's own stamp to the event's arrival in the page.
		const delays = await page.evaluate(async () => {
			const source = new EventSource("api/stream");
			const measured: number[] = [];
			await new Promise<void>((resolve) => {
				source.addEventListener("commit", ({ data }) => {
					const { changes } = JSON.parse(data) as { changes: { key: string; value?: { sentAt?: number } }[] };
					const sentAt = changes.find(({ key }) => key === "pipeline")?.value?.sentAt;
					if (sentAt !== undefined) measured.push(Date.now() - sentAt);
					if (measured.length === 50) resolve();
				});
			});
			source.close();
			return measured;
		});
		expect(Math.max(...delays)).toBeLessThan(2000);
	});

	test("a user's settings are in all windows of that user, and in nobody else's", async () => {
		const { context, page: first } = await signIn("Ada");
		const second = await openWindow(context);
		const { page: other } = await signIn("Grace");
		for (const page of [first, second, other]) await expect.poll(() => chosen(page)).toBe("SP500");

		await first.locator("#watch li[data-symbol=MSFT] button").click();
		await first.getByLabel("Trades", { exact: true }).check();
		await first.locator("#account-menu summary").click();
		await first.getByLabel("Dark").check();
		for (const page of [first, second]) {
			await expect.poll(() => chosen(page)).toBe("MSFT");
			await expect.poll(() => textOf(page, "price-title")).toBe("Microsoft");
			await expect.poll(() => page.locator("html").getAttribute("data-theme")).toBe("dark");
			await expect.poll(() => page.getByLabel("Trades", { exact: true }).isChecked()).toBe(true);
		}

		// Once something that came later has arrived, the settings would have arrived too.
		await first.getByLabel("100", { exact: true }).check();
		await expect.poll(() => textOf(other, "activity")).toContain("Ada set 100 days/s");
		expect(await chosen(other)).toBe("SP500");
		expect(await other.locator("html").getAttribute("data-theme")).toBe("system");
		expect(await other.getByLabel("Trades", { exact: true }).isChecked()).toBe(false);
		await other.reload();
		await expect.poll(() => chosen(other)).toBe("SP500");
	});

	test("a reload keeps the session and its settings, from the first paint on", async () => {
		const { page } = await signIn("Keeper");
		await page.locator("#watch li[data-symbol=IBM] button").click();
		await page.locator("#account-menu summary").click();
		await page.getByLabel("Dark").check();
		await expect.poll(() => page.locator("html").getAttribute("data-theme")).toBe("dark");
		await page.reload({ waitUntil: "commit" });
		expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
		expect(await page.locator("html").getAttribute("data-user")).toBe("Keeper");
		await expect.poll(() => chosen(page)).toBe("IBM");
		await expect.poll(() => page.locator("#account-menu .name").innerText()).toBe("Keeper");
	});

	test("signing out ends the session in all its windows", async () => {
		const { context, page } = await signIn("Leaver");
		const second = await openWindow(context);
		await page.locator("#account-menu summary").click();
		await page.getByRole("button", { name: "Sign out" }).click();
		for (const each of [page, second]) await each.getByLabel("Your name").waitFor();
	});

	test("a page that lost its connection goes on where it was, without a new snapshot", async () => {
		const way = await makeCuttable(dashboard.url);
		try {
			const { page } = await signIn("Traveller", way.url);
			const ids = await page.evaluateHandle(() => {
				const heard: { type: string; id: string }[] = [];
				const source = new EventSource("api/stream");
				for (const type of ["snapshot", "commit"])
					source.addEventListener(type, ({ lastEventId }) => heard.push({ type, id: lastEventId }));
				return heard;
			});
			const heard = (): Promise<{ type: string; id: string }[]> => ids.jsonValue();
			await expect.poll(async () => (await heard()).length).toBeGreaterThan(5);
			way.cut();
			await page.getByText("Reconnecting", { exact: true }).waitFor();
			const before = (await heard()).length;
			way.heal();
			await live(page);
			const day = await dayOf(page);
			await expect.poll(() => dayOf(page)).not.toBe(day);
			await expect.poll(async () => (await heard()).length).toBeGreaterThan(before + 5);
			const all = await heard();
			expect(all.filter(({ type }) => type === "snapshot")).toHaveLength(1);
			expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
		} finally {
			way.close();
		}
	});

	test("what changes something must come from the page itself, and must make sense", async () => {
		const { page } = await signIn("Mallory");
		const post = (path: string, data: unknown, headers: Record<string, string> = {}): Promise<number> =>
			page.request
				.post(`${dashboard.url}/api/${path}`, {
					data: JSON.stringify(data),
					headers: { "content-type": "application/json", ...headers },
				})
				.then((response) => response.status());
		const own = { origin: dashboard.url };
		expect(await post("pace", { paused: false }, own)).toBe(204);
		expect(await post("pace", { paused: false })).toBe(403);
		expect(await post("pace", { paused: false }, { origin: "http://evil.example" })).toBe(403);
		expect(await post("pace", { paused: false }, { ...own, "sec-fetch-site": "cross-site" })).toBe(403);
		expect(await post("pace", { paused: false }, { ...own, "content-type": "text/plain" })).toBe(400);
		expect(await post("pace", { speed: 1e9 }, own)).toBe(400);
		expect(await post("settings", { theme: "pink" }, own)).toBe(400);
		expect(await post("settings", { admin: true }, own)).toBe(400);
		expect(await post("sign-in", { name: "<b>" }, own)).toBe(400);
	});

	test("it fits a phone, light and dark, without scrolling sideways", async () => {
		const { page } = await signIn("Phone");
		for (const colorScheme of ["light", "dark"] as const) {
			await page.emulateMedia({ colorScheme });
			for (const width of [360, 390, 768, 1180, 1920]) {
				await page.setViewportSize({ width, height: 800 });
				const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
				expect(overflow, `${width}px`).toBeLessThanOrEqual(0);
			}
		}
	});

	test("asked to end, it ends cleanly: with pages open, and with its feed", async () => {
		const server = await runDashboard("--speed", "500");
		const context = await browser.newContext();
		contexts.push(context);
		const page = await enter(context, "Ada", server.url);
		const feeds = childrenOf(server.pid);
		const { code, output } = await server.stop();
		expect(code).toBe(0);
		expect(output.trim()).toBe(`The dashboard is at ${server.url}`);
		for (const feed of feeds) expect(() => process.kill(feed, 0)).toThrow("ESRCH");
		await page.getByText("Reconnecting", { exact: true }).waitFor();
	});
});
