/** The browser's storage in a page of Chromium, beside what else keeps state there; and from one tab to another. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { launchChromium } from "../scripts/chromium.ts";
import { bundleForBrowser } from "../scripts/size.ts";
import type { BenchPage } from "./browser-page.ts";
import { Suite } from "./suite.ts";

const script = await bundleForBrowser('import "./browser-page.ts";', import.meta.dirname);
const server = createServer((request, response) => {
	const isScript = request.url === "/page.js";
	response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
	response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>');
});
await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
const browser = await launchChromium({ whole: true });
try {
	const context = await browser.newContext();
	const open = async () => {
		const page = await context.newPage();
		await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
		await page.waitForFunction(() => "bench" in globalThis);
		return page;
	};
	const page = await open();
	const run = (name: string) =>
		page.evaluate((asked) => (globalThis as unknown as { bench: BenchPage }).bench.run(asked), name);

	const suite = new Suite("browser");
	suite.add("set", await run("set"), { bars: { "idb-keyval": 0.5, localforage: 0.5 } });
	suite.add("set, 1,000 in a turn", await run("turn"), { bars: { "idb-keyval, one by one": 8 } });
	suite.add("get", await run("get"), { bars: { "idb-keyval": 1, localforage: 1 } });
	suite.add("get of a mirror", await run("mirror"), { sync: ["zustand persist"] });
	suite.add("list 10,000 entries", await run("list"), { bars: { "idb-keyval": 1, localforage: 1 } });

	const other = await open();
	await other.evaluate(() => (globalThis as unknown as { bench: BenchPage }).bench.echo());
	const trips = await page.evaluate(() => (globalThis as unknown as { bench: BenchPage }).bench.roundTrips());
	suite.add("to another tab and back", trips, { bars: { "idb-keyval and BroadcastChannel": 1 } });
	suite.add("set, beside localStorage", await run("zustand"), { sync: ["zustand persist"] });
	suite.end();
} finally {
	await browser.close();
	server.close();
}
