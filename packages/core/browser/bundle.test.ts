import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasChromium, launchChromium, patience } from "../../../scripts/chromium.ts";
import { bundleForBrowser } from "../../../scripts/size.ts";

const root = join(import.meta.dirname, "../../..");

const source = `
  import { createStateManager, memory } from "@holdfast/core";
  const manager = createStateManager({ backend: memory() });
  await manager.shared.set("a", new Map([["b", 1n]]));
  globalThis.result = String((await manager.shared.get("a")).get("b"));
  await manager.close();
`;

describe.skipIf(!hasChromium)("in Chromium", () => {
	let browser: Browser;
	let server: Server;

	beforeAll(async () => {
		const code = await bundleForBrowser(source, root, join(root, "tsconfig.base.json"));
		server = createServer((request, response) => {
			const script = request.url === "/app.js";
			response.setHeader("content-type", script ? "text/javascript" : "text/html");
			response.end(script ? code : `<!doctype html><script type="module" src="/app.js"></script>`);
		});
		await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
		browser = await launchChromium();
	});

	afterAll(async () => {
		await browser?.close();
		server?.close();
	});

	test("core runs without anything of Node", async () => {
		const page = await browser.newPage();
		page.setDefaultTimeout(patience);
		const errors: Error[] = [];
		page.on("pageerror", (error) => errors.push(error));
		await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
		const result = await page
			.waitForFunction(() => (globalThis as { result?: string }).result)
			.catch(() => undefined);
		expect(errors).toEqual([]);
		expect(await result?.jsonValue()).toBe("1");
	});
});
