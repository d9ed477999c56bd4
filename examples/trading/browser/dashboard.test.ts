import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { remote } from "@holdfast/backend-browser";
import { createStateManager } from "@holdfast/core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, launchChromium, patience } from "../../../scripts/chromium.ts";
import { childrenOf } from "./children.ts";
import { makeCuttable } from "./cuttable.ts";
import { buildPackages, type RunningDashboard, runDashboard } from "./dashboard.ts";
import { dayOf, enter, live, openMenu, setPaused, signIn, visitorOf } from "./page.ts";

describe.skipIf(!hasChromium)("the dashboard in Chromium", () => {
	let browser: Browser;
	let dashboard: RunningDashboard;
	const contexts: BrowserContext[] = [];
	const problems: string[] = [];

	beforeAll(async () => {
		buildPackages();
		// Slowly enough that these tests are over before the replay: its next run begins with an empty past, and stays so while it is paused.
		dashboard = await runDashboard("--speed", "20");
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
	async function visit(name: string, url = dashboard.url): Promise<{ context: BrowserContext; page: Page }> {
		const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
		contexts.push(context);
		context.on("console", (message) => {
			// A server that does not answer is what some of the tests are about.
			if (message.type() === "error" && !/^(Failed to load resource|HoldfastError)/.test(message.text()))
				problems.push(`${name}: ${message.text()}`);
		});
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

	const themeOf = (page: Page): Promise<string | null> => page.locator("html").getAttribute("data-theme");
	const textOf = (page: Page, id: string): Promise<string> => page.locator(`#${id}`).innerText();
	const firstEvent = (page: Page): Promise<string | null> =>
		page.locator("#activity li[data-type=trade_executed]").first().getAttribute("data-id");
	const chosen = (page: Page): Promise<string | null> =>
		page.locator("#watch li:has([aria-pressed=true])").getAttribute("data-symbol");

	test("it says that it is a replay, and asks who is there", async () => {
		const page = await browser.newPage();
		page.setDefaultTimeout(patience);
		await page.goto(dashboard.url);
		await page.getByLabel("Your name").waitFor();
		expect(await page.locator("#dashboard").count()).toBe(0);
		const listed = await page.request.post(`${dashboard.url}/state/v1/list`, {
			data: { s: "trading/shared", range: { from: "", to: null, limit: 1, bytes: 1000 } },
			headers: { origin: dashboard.url },
		});
		expect(listed.status()).toBe(403);
		await page.getByLabel("Your name").fill("<b>");
		await page.getByRole("button", { name: "Sign in" }).click();
		await expect.poll(() => page.getByRole("alert").innerText()).toContain("A name begins with");
		expect(await page.getByLabel("Your name").inputValue()).toBe("<b>");
		await page.close();

		const { page: signedIn } = await visit("Reader");
		expect(await signedIn.locator(".badge").innerText()).toBe("Replay of S&P 500 daily bars 2000–2020");
	});

	test("prices, positions, P&L and activity arrive in two windows of one user and in another user's", async () => {
		const { context, page: first } = await visit("Ada");
		const second = await openWindow(context);
		const { page: other } = await visit("Grace");
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
			const cards = ["card-equity", "card-position", "card-unrealised", "card-realised", "card-trades"];
			const shown = async (of: Page) => [
				...(await Promise.all(cards.map((id) => textOf(of, id)))),
				await dayOf(of),
				await firstEvent(of),
			];
			// Both anew each time: the first may hear last what came just before the pause.
			await expect
				.poll(async () => ({ here: await shown(page), first: await shown(first) }))
				.toSatisfy(({ here, first }) => JSON.stringify(here) === JSON.stringify(first));
			await expect.poll(() => textOf(page, "activity")).toContain("Ada paused the replay");
		}
		await setPaused(other, false);
		await expect.poll(() => textOf(first, "activity")).toContain("Grace set 20 days/s");
	});

	test("a bar is in the page within two seconds of its sending", async () => {
		const { page } = await visit("Clock");
		// One machine, so one clock; measured from the feed's own stamp to its arrival in the page's document.
		const delays = await page.evaluate(
			() =>
				new Promise<number[]>((resolve) => {
					const measured: number[] = [];
					const pipeline = document.getElementById("pipeline") as HTMLElement;
					const observer = new MutationObserver(() => {
						measured.push(Date.now() - Number(pipeline.dataset.sentAt));
						if (measured.length < 50) return;
						observer.disconnect();
						resolve(measured);
					});
					observer.observe(pipeline, { attributeFilter: ["data-sent-at"] });
				}),
		);
		// Half of them: this process, or the browser, may stand still for longer.
		expect(delays.sort((a, b) => a - b)[25]).toBeLessThan(2000);
	});

	test("a user's settings are in all windows of that user, and in nobody else's", async () => {
		const { context, page: first } = await visit("Ada");
		const second = await openWindow(context);
		const { page: other } = await visit("Grace");
		for (const page of [first, second, other]) await expect.poll(() => chosen(page)).toBe("SP500");

		await first.locator("#watch li[data-symbol=MSFT] button").click();
		await first.getByLabel("Trades", { exact: true }).check();
		await openMenu(first);
		await first.getByLabel("Dark").check();
		for (const page of [first, second]) {
			await expect.poll(() => chosen(page)).toBe("MSFT");
			await expect.poll(() => textOf(page, "price-title")).toBe("Microsoft");
			await expect.poll(() => themeOf(page)).toBe("dark");
			await expect.poll(() => page.getByLabel("Trades", { exact: true }).isChecked()).toBe(true);
		}

		// Once something that came later has arrived, the settings would have arrived too.
		await first.getByLabel("5", { exact: true }).check();
		await expect.poll(() => textOf(other, "activity")).toContain("Ada set 5 days/s");
		expect(await chosen(other)).toBe("SP500");
		expect(await themeOf(other)).toBe("system");
		expect(await other.getByLabel("Trades", { exact: true }).isChecked()).toBe(false);
		await other.reload();
		await expect.poll(() => chosen(other)).toBe("SP500");
	});

	test("a reload keeps the session and its settings, from the first paint on", async () => {
		const { page } = await visit("Keeper");
		await page.locator("#watch li[data-symbol=IBM] button").click();
		await openMenu(page);
		await page.getByLabel("Dark").check();
		await expect.poll(() => themeOf(page)).toBe("dark");
		// Left by keyboard, the menu is not in the way.
		await page.locator("#pause").focus();
		await expect.poll(() => page.locator("#account-menu").getAttribute("open")).toBeNull();
		await page.reload({ waitUntil: "commit" });
		expect(await themeOf(page)).toBe("dark");
		expect(await page.locator("html").getAttribute("data-user")).toBe("Keeper");
		await expect.poll(() => chosen(page)).toBe("IBM");
		await expect.poll(() => visitorOf(page)).toBe("Keeper");
	});

	test("signing out ends the session in all its windows, and the next user finds nothing of it", async () => {
		const { context, page } = await visit("Leaver");
		const second = await openWindow(context);
		await page.locator("#watch li[data-symbol=IBM] button").click();
		await openMenu(page);
		await page.getByLabel("Dark").check();
		for (const each of [page, second]) await expect.poll(() => themeOf(each)).toBe("dark");
		await page.getByRole("button", { name: "Sign out" }).click();
		for (const each of [page, second]) {
			await each.getByLabel("Your name").waitFor();
			expect(await themeOf(each)).toBe(null);
		}
		await signIn(page, "Follower");
		expect(await visitorOf(page)).toBe("Follower");
		expect(await themeOf(page)).toBe("system");
		expect(await chosen(page)).toBe("SP500");
	});

	test("who signs in as somebody else is so in all windows of the browser, at once", async () => {
		const { context, page } = await visit("Before");
		const second = await openWindow(context);
		await page.locator("#watch li[data-symbol=MSFT] button").click();
		for (const each of [page, second]) await expect.poll(() => chosen(each)).toBe("MSFT");
		let loads = 0;
		page.on("load", () => loads++);
		const { status } = await second.evaluate(async () => {
			const headers = { "content-type": "application/json" };
			const body = JSON.stringify({ name: "After" });
			return { status: (await fetch("api/sign-in", { method: "POST", headers, body })).status };
		});
		expect(status).toBe(200);
		await second.reload();
		for (const each of [page, second]) {
			await expect.poll(() => visitorOf(each)).toBe("After");
			await live(each);
			expect(await chosen(each)).toBe("SP500");
		}
		expect(loads).toBe(0);
	});

	test("what is on its way shows in its control and in the header, everywhere else once it is stored", async () => {
		const { page } = await visit("Sender");
		const gate = Promise.withResolvers<void>();
		await page.route("**/v1/commit", async (route) => {
			await gate.promise;
			await route.continue();
		});
		await openMenu(page);
		await page.getByLabel("Dark").check();
		await page.getByText("Saving a change").waitFor();
		expect(await page.getByLabel("Dark").isChecked()).toBe(true);
		expect(await themeOf(page)).toBe("system");
		gate.resolve();
		await expect.poll(() => themeOf(page)).toBe("dark");
		await page.getByText("Saving a change").waitFor({ state: "detached" });
		expect(await page.getByLabel("Dark").isChecked()).toBe(true);
	});

	test("what could not be changed is said, and goes back to what is stored", async () => {
		const way = await makeCuttable(dashboard.url);
		try {
			const { page } = await visit("Tunnel", way.url);
			way.cut();
			await page.getByText("Reconnecting", { exact: true }).waitFor();
			await page.getByText(/^as of \d+ s ago$/).waitFor();
			await openMenu(page);
			await page.locator("label", { hasText: "Dark" }).click();
			await page.getByText("The server is out of reach: this was not changed.").waitFor();
			await expect.poll(() => page.getByLabel("Dark").isChecked()).toBe(false);
			expect(await themeOf(page)).toBe("system");
			way.heal();
			await live(page);
			await page.getByLabel("Dark").check();
			await expect.poll(() => themeOf(page)).toBe("dark");
		} finally {
			way.close();
		}
	});

	test("a page outlives its server, and goes on with the next one", async () => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-trading-"));
		const where = ["--backend", `sqlite:${join(folder, "state.db")}`, "--speed", "20"];
		const first = await runDashboard(...where);
		const { port } = new URL(first.url);
		try {
			const { page } = await visit("Patient", first.url);
			await expect.poll(() => dayOf(page)).not.toBe(null);
			await page.locator("#watch li[data-symbol=SP500] button").click();
			await first.kill();
			await page.getByText("Reconnecting", { exact: true }).waitFor();
			const day = await dayOf(page);
			const second = await runDashboard(...where, "--port", port);
			try {
				await live(page);
				expect(await visitorOf(page)).toBe("Patient");
				// The locks of what was killed run out after 15 s.
				await expect.poll(() => dayOf(page), { timeout: 60_000 }).not.toBe(day);
			} finally {
				await second.stop();
			}
		} finally {
			await first.kill();
			rmSync(folder, { recursive: true, force: true });
		}
	});

	test("a page that lost its connection goes on where it was, and lists nothing anew", async () => {
		const way = await makeCuttable(dashboard.url);
		try {
			const { page } = await visit("Traveller", way.url);
			const heard = await dayOf(page);
			await expect.poll(() => dayOf(page)).not.toBe(heard);
			way.cut();
			await page.getByText("Reconnecting", { exact: true }).waitFor();
			const listed: string[] = [];
			const resumed: unknown[] = [];
			page.on("request", (request) => {
				const { range, subs = [] } = request.postDataJSON() ?? {};
				// The charts may still have been on their way through the past.
				if (range !== undefined && !/^(bars|equity|trades)/.test(range.from)) listed.push(range.from);
				resumed.push(...subs);
			});
			const day = await dayOf(page);
			way.heal();
			await live(page);
			await expect.poll(() => dayOf(page)).not.toBe(day);
			expect(listed).toEqual([]);
			expect(resumed.length).toBeGreaterThan(0);
			for (const sub of resumed) expect(sub).toHaveProperty("c");
		} finally {
			way.close();
		}
	});

	test("what changes something must come from the page itself, and must make sense", async () => {
		const { page } = await visit("Mallory");
		const post = (path: string, data: unknown, headers: Record<string, string> = {}): Promise<number> =>
			page.request
				.post(`${dashboard.url}/api/${path}`, {
					data: JSON.stringify(data),
					headers: { "content-type": "application/json", ...headers },
				})
				.then((response) => response.status());
		const own = { origin: dashboard.url };
		expect(await post("pace", { paused: false }, own)).toBe(200);
		expect(await post("pace", { paused: false })).toBe(403);
		expect(await post("pace", { paused: false }, { origin: "http://evil.example" })).toBe(403);
		expect(await post("pace", { paused: false }, { ...own, "sec-fetch-site": "cross-site" })).toBe(403);
		expect(await post("pace", { paused: false }, { ...own, "content-type": "text/plain" })).toBe(400);
		expect(await post("pace", { speed: 1e9 }, own)).toBe(400);
		expect(await post("pace", { admin: true }, own)).toBe(400);
		expect(await post("sign-in", { name: "<b>" }, own)).toBe(400);
	});

	test("a page reads the market and its own settings, writes these alone, and only what makes sense", async () => {
		const { context } = await visit("Mallory");
		await visit("Ada");
		const cookie = (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
		// Without the definition, so that nothing is refused before it is sent.
		await using manager = createStateManager({
			backend: remote({
				url: `${dashboard.url}/state`,
				headers: () => ({ cookie, origin: dashboard.url }),
			}),
			namespace: "trading",
		});
		expect(await manager.shared.get("replay")).toBeDefined();
		const mine = manager.user("mallory");
		await mine.set("settings", { symbol: "IBM" });
		expect(await mine.get("settings")).toMatchObject({ symbol: "IBM", theme: "system" });

		for (const settings of [{ theme: "pink" }, { admin: true }, "none"])
			await expect(mine.set("settings", settings)).rejects.toMatchObject({ code: "validation-failed" });
		await expect(mine.set("cash", 1)).rejects.toMatchObject({ code: "unknown-key" });
		const denied = { code: "denied" };
		await expect(manager.shared.set("pace", { speed: 1, paused: true })).rejects.toMatchObject(denied);
		await expect(manager.shared.events.emit("pace_changed", {})).rejects.toMatchObject(denied);
		await expect(manager.user("ada").get("settings")).rejects.toMatchObject(denied);
		await expect(manager.user("ada").set("settings", {})).rejects.toMatchObject(denied);
		await expect(manager.scope("server", "all").get("cookieSecret")).rejects.toMatchObject(denied);
		await expect(manager.scope("server", "all").events.emit("signed_out", {})).rejects.toMatchObject(denied);
	});

	test("it fits a phone, light and dark, without scrolling sideways", async () => {
		const { page } = await visit("Phone");
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
