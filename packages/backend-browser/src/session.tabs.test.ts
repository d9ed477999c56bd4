import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hasChromium } from "../../../scripts/chromium.ts";
import { openTabs, type Tabs } from "./tabs-harness.js";

const begin = (page: Page): Promise<void> =>
	page.evaluate(() => {
		const { browser, createStateManager } = holdfast;
		globalThis.manager = createStateManager({ backend: browser({ storage: "session", name: "tabs" }) });
	});

const read = (page: Page): Promise<unknown> => page.evaluate(() => manager.shared.get("a"));

const write = (page: Page, value: unknown): Promise<unknown> =>
	page.evaluate((given) => manager.shared.set("a", given), value);

const loaded = async (page: Page): Promise<void> => {
	await page.waitForFunction(() => "holdfast" in globalThis);
	await begin(page);
};

describe.skipIf(!hasChromium)("tabs on sessionStorage", () => {
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

	const opened = async (): Promise<Page> => {
		const page = await tabs.open(context);
		await begin(page);
		return page;
	};

	test("a tab keeps its state through reloads and other pages of the origin", async () => {
		const page = await opened();
		await write(page, 1);
		await page.reload();
		await loaded(page);
		expect(await read(page)).toBe(1);
		await page.goto(`${tabs.origin}/elsewhere`);
		await loaded(page);
		expect(await read(page)).toBe(1);
	});

	test("tabs are apart", async () => {
		const [one, other] = [await opened(), await opened()];
		await write(one, 1);
		expect(await read(other)).toBeUndefined();
	});

	test("a popup drops the copy that it was given, and its opener keeps what it has", async () => {
		const page = await opened();
		await write(page, 1);
		const [popup] = await Promise.all([
			page.waitForEvent("popup"),
			page.evaluate((address) => void window.open(address), `${tabs.origin}/`),
		]);
		await popup.waitForFunction(() => "holdfast" in globalThis);
		// The browser did copy it.
		expect(await popup.evaluate(() => Object.keys({ ...sessionStorage }).length)).toBeGreaterThan(1);
		await begin(popup);
		expect(await read(popup)).toBeUndefined();
		await write(popup, 2);
		expect(await read(page)).toBe(1);
		await popup.reload();
		await loaded(popup);
		expect(await read(popup)).toBe(2);
	});

	test("frames of one tab share it, and hear one another", async () => {
		const page = await opened();
		await write(page, 1);
		const found = await page.evaluate(async () => {
			const frame = document.createElement("iframe");
			frame.src = location.href;
			document.body.append(frame);
			await new Promise((resolve) => frame.addEventListener("load", resolve));
			const { browser, createStateManager } = (frame.contentWindow as unknown as typeof globalThis).holdfast;
			const inner = createStateManager({ backend: browser({ storage: "session", name: "tabs" }) });
			const before = await inner.shared.get("a");
			const heard = new Promise((resolve) => {
				void manager.shared
					.subscribe("a", ({ value }) => resolve(value))
					.ready.then(() => inner.shared.set("a", 2));
			});
			return [before, await heard];
		});
		expect(found).toEqual([1, 2]);
	});

	test("without room a commit is refused as full, and nothing of it is written", async () => {
		const page = await opened();
		await write(page, 1);
		const codes = await page.evaluate(async () => {
			const long = "v".repeat(1_000_000);
			for (let i = 0; i < 20; i++)
				try {
					await manager.shared.commit((tx) => {
						tx.set("a", i);
						tx.set(`long/${i}`, long);
					});
				} catch (error) {
					return [(error as { code: string }).code, (await manager.shared.get("a")) === i - 1, i];
				}
			return ["never"];
		});
		expect(codes.slice(0, 2)).toEqual(["full", true]);
		await page.evaluate(() => manager.shared.clear("long/*"));
		await write(page, 3);
		expect(await read(page)).toBe(3);
	});
});
