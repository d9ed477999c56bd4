/** Tabs of a Chromium for tests that need several: pages of one origin, with the library in them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launchChromium, patience } from "../../../scripts/chromium.ts";
import { bundleForBrowser } from "../../../scripts/size.ts";

const root = join(import.meta.dirname, "../../..");

const source = `
	import * as core from "@holdfast/core";
	import { browser } from "@holdfast/backend-browser";
	Object.assign(globalThis, { holdfast: { ...core, browser } });
`;

/** What pages have under `holdfast`. */
type Library = typeof import("@holdfast/core") & Pick<typeof import("./index.js"), "browser">;

declare global {
	var holdfast: Library;
}

/** A browser and a server of empty pages. */
export interface Tabs {
	readonly origin: string;
	readonly browser: Browser;
	/** An origin's storage of its own. */
	context(): Promise<BrowserContext>;
	/** A page with the library. */
	open(context: BrowserContext): Promise<Page>;
	close(): Promise<void>;
}

/** The library as a page's script: what it exports is under `holdfast`. */
export const libraryScript = (): Promise<string> =>
	bundleForBrowser(source, import.meta.dirname, join(root, "tsconfig.base.json"));

/** Starts them. `whole`: see `launchChromium`. */
export async function openTabs({ whole = false } = {}): Promise<Tabs> {
	const code = await libraryScript();
	const server = createServer((request, response) => {
		const isScript = request.url === "/page.js";
		// A sandboxed frame has no origin.
		response.setHeader("access-control-allow-origin", "*");
		response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
		response.end(isScript ? code : '<!doctype html><script type="module" src="/page.js"></script>');
	});
	await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
	const browser = await launchChromium({ whole });
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	return {
		origin,
		browser,
		async context() {
			const context = await browser.newContext();
			context.setDefaultTimeout(patience);
			return context;
		},
		async open(context) {
			const page = await context.newPage();
			await page.goto(`${origin}/`);
			await page.waitForFunction(() => "holdfast" in globalThis);
			return page;
		},
		async close() {
			await browser.close();
			server.close();
			server.closeAllConnections();
		},
	};
}
