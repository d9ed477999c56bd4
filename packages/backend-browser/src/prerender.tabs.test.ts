import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { hasWholeChromium, inUnwatchedChromium } from "../../../scripts/chromium.ts";
import { libraryScript } from "./tabs-harness.js";

const begin = `
	const { browser, createStateManager } = holdfast;
	const manager = createStateManager({ backend: browser({ storage: "session", name: "tabs" }) });
	const tell = (path, told) => fetch(path, { method: "POST", body: JSON.stringify(told) });
`;

/** Writes, has the next page rendered ahead, and goes there once that has waited for longer than a tab's lock is waited for. */
const first = `${begin}
	await manager.shared.set("a", 1);
	const rules = document.createElement("script");
	rules.type = "speculationrules";
	rules.textContent = JSON.stringify({ prerender: [{ urls: ["/next"], eagerness: "immediate" }] });
	document.head.append(rules);
	await fetch("/waited");
	location.href = "/next";
`;

const next = `${begin}
	const ahead = document.prerendering;
	setTimeout(() => tell("/waiting"), 1500);
	const value = await manager.shared.get("a", { timeout: "90s" });
	await tell("/read", { ahead, value, shown: !document.prerendering });
`;

const pageOf = (code: string): string =>
	`<!doctype html><script type="module" src="/page.js"></script><script type="module">${code}</script>`;

test.skipIf(!hasWholeChromium)("a page that is rendered ahead goes on with what its tab holds", async () => {
	const script = await libraryScript();
	const waiting = Promise.withResolvers<void>();
	const read = Promise.withResolvers<unknown>();
	const server = createServer(async (request, response) => {
		const bodies: Record<string, string> = { "/": pageOf(first), "/next": pageOf(next), "/page.js": script };
		const body = bodies[request.url ?? ""];
		response.setHeader("content-type", request.url === "/page.js" ? "text/javascript" : "text/html");
		if (body !== undefined) {
			response.end(body);
			return;
		}
		let told = "";
		for await (const piece of request) told += piece;
		if (request.url === "/waiting") waiting.resolve();
		if (request.url === "/read") read.resolve(JSON.parse(told));
		if (request.url === "/waited") await waiting.promise;
		response.end();
	});
	await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
	try {
		const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
		const found = await inUnwatchedChromium(address, () => read.promise);
		expect(found).toEqual({ ahead: true, value: 1, shown: true });
	} finally {
		server.closeAllConnections();
		server.close();
	}
});
