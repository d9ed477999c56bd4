/** Functions of the web's standard under Node's http. */
import { createServer } from "node:http";
import { describe, expect, onTestFinished, vi } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { cookieSessions } from "./cookie-sessions.js";
import { nodeHandler, type WebHandler } from "./node-handler.js";
import { listen, shut, test } from "./with-server.js";

async function serve(handler: WebHandler): Promise<string> {
	const server = createServer(nodeHandler(handler));
	onTestFinished(() => shut(server));
	return listen(server);
}

describe("nodeHandler of a function", () => {
	test("has it answer: status, headers, each of several cookies, body", async () => {
		const url = await serve(async (request) => {
			const headers = new Headers({ "x-path": new URL(request.url).pathname });
			headers.append("set-cookie", "a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT");
			headers.append("set-cookie", "b=2");
			return new Response(`${request.method} ${await request.text()}`, { status: 201, headers });
		});
		const response = await fetch(`${url}/deep?q`, { method: "POST", body: "é" });
		expect([response.status, response.headers.get("x-path"), await response.text()]).toEqual([
			201,
			"/deep",
			"POST é",
		]);
		expect(response.headers.getSetCookie()).toEqual(["a=1; Expires=Wed, 01 Jan 2031 00:00:00 GMT", "b=2"]);
	});

	test("mounts what opens a session for pages", async () => {
		const manager = createStateManager({ backend: memory() });
		onTestFinished(async () => void (await manager.close()));
		const sessions = cookieSessions(manager, { secret: "0123456789".repeat(4) });
		const url = await serve(sessions.handle);
		const ask = (headers: Record<string, string>): Promise<Response> =>
			fetch(url, { method: "POST", headers: { ...headers, "sec-fetch-site": "same-origin" } });
		const opened = await ask({});
		const session = await opened.json();
		expect(session).toEqual({ id: expect.any(String), user: null });
		const [cookie = ""] = opened.headers.getSetCookie();
		expect(await (await ask({ cookie: cookie.split(";")[0] ?? "" })).json()).toEqual(session);
	});

	test.each(["at once", "later"])("says that it failed, where it throws %s", async (when) => {
		const failure = new Error("the user table is gone");
		const told = vi.spyOn(console, "error").mockImplementation(() => {});
		onTestFinished(() => told.mockRestore());
		const url = await serve(() => {
			if (when === "at once") throw failure;
			return Promise.reject(failure);
		});
		const response = await fetch(url);
		expect([response.status, await response.text()]).toEqual([500, ""]);
		expect(told.mock.calls).toEqual([[failure]]);
	});
});
