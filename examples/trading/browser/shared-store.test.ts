import { createStateManager } from "@holdfast/core";
import { RedisServer } from "@holdfast/test-servers/redis-server";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, launchChromium } from "../../../scripts/chromium.ts";
import { openBackend } from "../backend.ts";
import { index, readMarket } from "../datasets.ts";
import { type Manager, state } from "../state.ts";
import { childrenOf } from "./children.ts";
import { buildPackages, type RunningDashboard, runDashboard, runDashboardIn } from "./dashboard.ts";
import { dayOf, enter, live, openMenu, setPaused } from "./page.ts";

// A lock whose holder was killed runs out after 15 s.
const takeover = { timeout: 60_000 };

describe.skipIf(!hasChromium)("two dashboards on one Redis", () => {
	let redis: RedisServer;
	let servers: [RunningDashboard, RunningDashboard];
	let manager: Manager;
	let browser: Browser;
	const contexts: BrowserContext[] = [];

	beforeAll(async () => {
		buildPackages();
		redis = await RedisServer.start();
		manager = createStateManager({ backend: await openBackend(redis.url), state, namespace: "trading" });
		servers = [
			await runDashboard("--backend", redis.url, "--speed", "15"),
			await runDashboardIn({ HOLDFAST_BACKEND: redis.url }),
		];
		browser = await launchChromium();
	});

	afterEach(async () => {
		for (const context of contexts.splice(0)) await context.close();
	});

	afterAll(async () => {
		await browser?.close();
		for (const server of servers ?? []) await server.stop();
		await manager?.close();
		await redis?.stop();
	});

	async function visit(name: string, { url }: RunningDashboard): Promise<Page> {
		const context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
		contexts.push(context);
		return enter(context, name, url);
	}

	const textOf = (page: Page, id: string): Promise<string> => page.locator(`#${id}`).innerText();
	const feedsOf = (server: RunningDashboard): number => childrenOf(server.pid).length;

	/** The days of the index that a listing holds, oldest first. */
	async function daysUnder(pattern: "bars/*/*" | "equity/*"): Promise<string[]> {
		const days: string[] = [];
		for await (const { key } of manager.shared.list(pattern))
			if (pattern === "equity/*" || key.startsWith(`bars/${index}/`))
				days.push(key.slice(key.lastIndexOf("/") + 1));
		return days;
	}

	test("what happens on one is on the other: prices, trades, the replay's pace", async () => {
		const [first, second] = [await visit("Ada", servers[0]), await visit("Grace", servers[1])];
		for (const page of [first, second]) {
			const day = await dayOf(page);
			await expect.poll(() => dayOf(page)).not.toBe(day);
			await expect
				.poll(() => page.locator("#activity li[data-type=trade_executed]").count())
				.toBeGreaterThan(0);
		}
		await setPaused(first, true);
		await second.getByRole("button", { name: "Go on with the replay" }).waitFor();
		await expect.poll(() => textOf(second, "activity")).toContain("Ada paused the replay");
		for (const id of ["card-equity", "card-position", "card-unrealised", "card-realised", "card-trades"])
			await expect.poll(async () => (await textOf(second, id)) === (await textOf(first, id))).toBe(true);
		await expect.poll(async () => (await dayOf(second)) === (await dayOf(first))).toBe(true);
		await setPaused(second, false);
		await expect.poll(() => textOf(first, "activity")).toContain("Grace set 15 days/s");
	});

	test("a sign-in and its settings hold on both, and nobody else sees them", async () => {
		const first = await visit("Ada", servers[0]);
		const other = await visit("Grace", servers[1]);
		const second = await first.context().newPage();
		await second.goto(servers[1].url);
		await live(second);
		await first.locator("#watch li[data-symbol=MSFT] button").click();
		await expect.poll(() => textOf(second, "price-title")).toBe("Microsoft");
		await openMenu(second);
		await second.getByLabel("Dark").check();
		await expect.poll(() => first.locator("html").getAttribute("data-theme")).toBe("dark");
		expect(await other.locator("html").getAttribute("data-theme")).toBe("system");
		await second.getByRole("button", { name: "Sign out" }).click();
		for (const page of [first, second]) await page.getByLabel("Your name").waitFor();
	});

	test("one of them runs the feed; when it is killed the other goes on, and no bar is missed or traded twice", async () => {
		await expect.poll(() => servers.map(feedsOf).sort()).toEqual([0, 1]);
		const leader = feedsOf(servers[0]) === 1 ? 0 : 1;
		const [killed, left] = [servers[leader] as RunningDashboard, servers[1 - leader] as RunningDashboard];
		const page = await visit("Ada", left);
		await killed.kill();
		await expect.poll(() => feedsOf(left), takeover).toBe(1);
		// Also the trader, whose lock the killed one may have held, has come to days after the feed's return.
		const day = await dayOf(page);
		await expect.poll(async () => ((await dayOf(page)) ?? "") > (day ?? ""), takeover).toBe(true);
		const since = (await manager.shared.get("replay"))?.date ?? "";
		await expect
			.poll(async () => ((await manager.shared.get("strategy"))?.date ?? "") > since, takeover)
			.toBe(true);

		await setPaused(page, true);
		const run = await manager.shared.get("run");
		expect(run, "the replay was not over yet").toBe(1);
		const expected = (await readMarket()).days.map(({ date }) => date);
		let bars: string[] = [];
		let trades: string[] = [];
		const isAlike = async (): Promise<boolean> => {
			bars = await daysUnder("bars/*/*");
			trades = [];
			for await (const { payload } of manager.shared.events.history({ type: "trade_executed" }))
				trades.push(payload.date);
			const valued = await daysUnder("equity/*");
			const shown = await textOf(page, "card-trades");
			return JSON.stringify(valued) === JSON.stringify(bars) && shown === String(trades.length);
		};
		// All of it anew each time: what the feed had sent before it heard of the pause still arrives.
		await expect.poll(isAlike, takeover).toBe(true);
		expect(bars).toEqual(expected.slice(0, bars.length));
		expect(new Set(trades).size, "no day is traded twice").toBe(trades.length);
		await setPaused(page, false);
	});
});
