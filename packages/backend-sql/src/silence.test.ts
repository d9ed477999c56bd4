/** A server that says nothing: frozen, or behind a network that lost the connections without a word. */
import { createStateManager, isHoldfastError } from "@holdfast/core";
import { sqlServers } from "@holdfast/test-servers/sql-servers";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sql } from "./sql.js";

const sockets = (): number =>
	process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;

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
		{
			timeout: 120_000,
		},
		async () => {
			const { server, proxy, url } = await behindProxy();
			const manager = createStateManager({ backend: sql(url) });
			onTestFinished(async () => void (await manager.close({ timeout: 100 })));
			manager.on("error", () => {});
			const { shared } = manager;
			await shared.set("n", 0);
			const heard: unknown[] = [];
			await shared.subscribe("n", ({ value }) => heard.push(value)).ready;
			await Promise.all(Array.from({ length: 20 }, (_, i) => manager.user(String(i)).set("n", i)));
			expect(proxy.strike("silence", 1)).toBeGreaterThan(0);
			const again = { timeout: 60_000, interval: 100 };
			await vi.waitFor(() => shared.set("n", 1), again);
			await vi.waitFor(() => shared.get("n"), again);
			const other = createStateManager({ backend: sql(server.url) });
			onTestFinished(async () => void (await other.close()));
			await other.shared.set("n", 2);
			await vi.waitFor(() => expect(heard.at(-1)).toBe(2), again);
		},
	);

	test.skipIf(!isThere)("closing settles in time and leaves no socket", { timeout: 60_000 }, async () => {
		const { proxy, url } = await behindProxy();
		const before = sockets();
		const manager = createStateManager({ backend: sql(url), timeout: "30s" });
		manager.on("error", () => {});
		await manager.shared.set("n", 0);
		await manager.shared.subscribe("n", () => {}).ready;
		expect(sockets()).toBeGreaterThan(before);
		proxy.blackHole();
		const lost = manager.shared.set("n", 1).catch((error: unknown) => error);
		await manager.close({ timeout: 500 });
		expect(isHoldfastError(await lost)).toBe(true);
		await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before), { timeout: 20_000 });
	});
});
