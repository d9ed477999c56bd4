/** One handler under the servers that people have. */
import { createServer, type Server } from "node:http";
import { serve as serveHono } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";
import { describe, expect, onTestFinished, vi } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { TestClock } from "../testing/test-clock.js";
import { createStateHandler, type StateHandler } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import { byBearer, listen, Page, shut, test } from "./with-server.js";

const shared = "app/shared";

const servers: Record<string, (handler: StateHandler) => Promise<{ server: Server; url: string }>> = {
	"plain http": async (handler) => {
		const server = createServer(nodeHandler(handler));
		return { server, url: await listen(server) };
	},
	Express: async (handler) => {
		const app = express();
		app.use("/state", nodeHandler(handler));
		const server = createServer(app);
		return { server, url: `${await listen(server)}/state` };
	},
	"Express after its JSON parser": async (handler) => {
		const app = express();
		app.use(express.json({ limit: "5mb" }));
		app.all("/deep/state/*rest", nodeHandler(handler));
		const server = createServer(app);
		return { server, url: `${await listen(server)}/deep/state` };
	},
	"hono on Node": async (handler) => {
		const app = new Hono();
		app.all("/state/*", (context) => handler(context.req.raw));
		const { promise, resolve } = Promise.withResolvers<number>();
		const server = serveHono({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
			resolve(port),
		);
		return { server: server as Server, url: `http://127.0.0.1:${await promise}/state` };
	},
};

describe.each(Object.keys(servers))("under %s", (name) => {
	test("reads, writes and streams", async () => {
		const manager = createStateManager({ backend: memory(), namespace: "app" });
		const handler = createStateHandler(manager, { authorize: byBearer });
		const { server, url } = await (servers[name] as (typeof servers)[string])(handler);
		onTestFinished(async () => {
			await handler.close();
			await shut(server);
			await manager.close();
		});
		const ada = new Page(url, "ada");
		const streams = await Promise.all([1, 2, 3].map(() => ada.stream([{ s: shared }])));
		for (const stream of streams) await stream.told("ready");
		const [revision] = await ada.put(shared, "a", { text: "é".repeat(50_000) });
		for (const stream of streams)
			await vi.waitFor(() => expect(stream.records(shared)).toEqual([revision]), 20_000);
		const { reads } = await ada.ask("read", { reads: [{ s: shared, keys: ["a", "b"] }] });
		expect(reads[0].entries).toMatchObject([{ k: "a", r: revision }, null]);
		expect(await ada.ask("read", { reads: "x" })).toMatchObject({ status: 400 });
		expect(await new Page(url, undefined).ask("read", { reads: [] })).toMatchObject({ status: 401 });
		expect((await fetch(`${url}/v1/read`)).status).toBe(405);
		// Those who go are let go of.
		for (const stream of streams) stream.stop();
		const last = await ada.stream([{ s: shared }], { once: true });
		await last.ended;
		expect(last.messages.at(-1)).toMatchObject({ t: "bye", why: "once" });
	});
});

test("who has gone is not written to, and a scope that nobody watches is let go of", async ({ serve }) => {
	const clock = new TestClock({ still: true });
	const { manager, page } = await serve({ manager: { clock } });
	const stream = await page("ada").stream([{ s: shared }]);
	await stream.told("ready");
	expect(manager.health.watched).toBe(1);
	stream.stop();
	await vi.waitFor(
		() => {
			clock.jump(1000);
			expect(manager.health.watched).toBe(0);
		},
		{ timeout: 30_000, interval: 20 },
	);
});

test("a web stream that nobody reads is bounded, and ends when it is given up", async () => {
	const manager = createStateManager({ backend: memory(), namespace: "app" });
	const handler = createStateHandler(manager, {
		authorize: () => ({ subject: "ada", can: () => "read" }),
		limits: { bufferBytes: 100_000 },
	});
	const open = async (): Promise<ReadableStream<Uint8Array>> => {
		const response = await handler(
			new Request("http://app.test/v1/stream", {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ subs: [{ s: shared }] }),
			}),
		);
		return response.body as ReadableStream<Uint8Array>;
	};
	const unread = await open();
	const given = await open();
	await given.cancel();
	await vi.waitFor(() => expect(manager.health.watched).toBe(1), 20_000);
	for (let i = 0; i < 50; i++) {
		await manager.shared.set("n", "x".repeat(50_000));
		await new Promise((resolve) => setImmediate(resolve));
	}
	let read = 0;
	let said = "";
	const reader = unread.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) break;
			read += value.length;
			said = new TextDecoder().decode(value);
		}
	} catch {
		// Cut off, where the end was not taken in time.
	}
	expect(read).toBeLessThan(500_000);
	expect(said).toContain('"why":"slow"');
	await handler.close();
	await manager.close();
});
