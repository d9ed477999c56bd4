/** A server that says nothing: frozen, or behind a network that lost the connections without a word. */
import { createStateManager, isHoldfastError } from "@holdfast/core";
import { sqlServers } from "@holdfast/test-servers/sql-servers";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sql } from "./sql.js";

const patience = { timeout: 90_000, interval: 50 };

describe.each(sqlServers)("$name", ({ isThere, start }) => {
	async function behindProxy() {
		const server = await start();
		onTestFinished(() => server.stop());
		const url = new URL(server.url);
		const proxy = await TcpProxy.to(Number(url.port));
		onTestFinished(() => proxy.close());
		url.port = String(proxy.port);
		return { server, proxy, url: url.href };
	}

	test.skipIf(!isThere)(
		"connections that fell silent are left: calls and watchers go on by others",
		async () => {
			const { server, proxy, url } = await behindProxy();
			const manager = createStateManager({ backend: sql(url, { answerWithin: 2000 }), timeout: "90s" });
			onTestFinished(async () => void (await manager.close({ timeout: 100 })));
			manager.on("error", () => {});
			const { shared } = manager;
			await shared.set("n", 0);
			const heard: unknown[] = [];
			await shared.subscribe("n", ({ value }) => heard.push(value)).ready;
			await Promise.all(Array.from({ length: 20 }, (_, i) => manager.user(String(i)).set("n", i)));
			expect(proxy.strike("silence", 1)).toBeGreaterThan(0);
			await vi.waitFor(() => shared.set("n", 1), patience);
			await vi.waitFor(() => shared.get("n"), patience);
			const other = createStateManager({ backend: sql(server.url), timeout: "1m" });
			onTestFinished(async () => void (await other.close()));
			await other.shared.set("n", 2);
			await vi.waitFor(() => expect(heard.at(-1)).toBe(2), patience);
		},
	);

	test.skipIf(!isThere)("closing settles in time and leaves no socket", async () => {
		const { proxy, url } = await behindProxy();
		const manager = createStateManager({ backend: sql(url), timeout: "1m" });
		manager.on("error", () => {});
		await manager.shared.set("n", 0);
		await manager.shared.subscribe("n", () => {}).ready;
		expect(proxy.connections).toBeGreaterThan(0);
		proxy.blackHole();
		const lost = manager.shared.set("n", 1).catch((error: unknown) => error);
		await manager.close({ timeout: 500 });
		expect(isHoldfastError(await lost)).toBe(true);
		await vi.waitFor(() => expect(proxy.connections).toBe(0), patience);
	});
});
