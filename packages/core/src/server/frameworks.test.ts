/** One handler under the servers that people have. */
import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import { serve as serveHono } from "@hono/node-server";
import express from "express";
import { Hono } from "hono";
import { describe, expect, onTestFinished, vi } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { around } from "../testing/around.js";
import { TestClock } from "../testing/test-clock.js";
import { linesType } from "../wire/messages.js";
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

	test("what a client breaks off is no error, what fails is one", async () => {
		const inner = memory();
		let { promise: released, resolve: release } = Promise.withResolvers<void>();
		let held = 0;
		const hold = async <T>(scope: string, answer: () => T): Promise<Awaited<T>> => {
			if (scope === shared) {
				held++;
				await released;
			}
			return await answer();
		};
		const backend = around(inner, {
			traits: { reach: "network", durable: false },
			read: (asks) => asks.map((ask) => hold(ask.scope, () => inner.read([ask])[0] as never)),
			commit: (batches) => batches.map((batch) => hold(batch.scope, () => inner.commit([batch])[0] as never)),
		});
		const manager = createStateManager({ backend, namespace: "app" });
		const errors: string[] = [];
		manager.on("error", ({ message, cause }) => errors.push(`${message}: ${cause}`));
		const handler = createStateHandler(manager, {
			authorize: (request) => {
				if (request.headers.has("x-break")) throw new Error("the user table is gone");
				return byBearer(request);
			},
		});
		let [begun, settled] = [0, 0];
		const counted = async <T>(answer: Promise<T>): Promise<T> => {
			begun++;
			return answer.finally(() => settled++);
		};
		const { server, url } = await (servers[name] as (typeof servers)[string])(
			Object.assign((request: Request) => counted(handler(request)), handler, {
				serve: (...asked: Parameters<StateHandler["serve"]>) => counted(handler.serve(...asked)),
			}),
		);
		const incoming = new Set<IncomingMessage>();
		server.on("request", (request: IncomingMessage) => {
			incoming.add(request);
			request.on("close", () => incoming.delete(request));
		});
		onTestFinished(async () => {
			await handler.close();
			await shut(server);
			await manager.close();
		});
		const patient = { timeout: 20_000, interval: 5 };
		const ada = new Page(url, "ada");
		// It learns the store's clock, which a commit asks for first.
		await ada.put("app/user/ada", "a", 1);
		const gone = () => vi.waitFor(() => expect(incoming.size).toBe(0), patient);

		// Its body comes to no end.
		const before = begun;
		const upload = httpRequest(`${url}/v1/read`, {
			method: "POST",
			headers: {
				authorization: "Bearer ada",
				"content-type": "application/json",
				"content-length": "1000",
			},
		});
		upload.on("error", () => {});
		upload.write('{"reads":');
		// Express' parser has it to itself.
		if (name.endsWith("parser")) await vi.waitFor(() => expect(incoming.size).toBe(1), patient);
		else await vi.waitFor(() => expect(begun).toBe(before + 1), patient);
		upload.destroy();
		await gone();

		// Its answer is on its way, as a whole or in lines.
		const put = { op: "put", key: "a", value: "1", ttl: null } as const;
		const scopes = ["app/user/ada", shared];
		for (const accept of ["application/json", linesType])
			for (const [route, body] of [
				["read", { reads: scopes.map((s) => ({ s, keys: ["a"] })) }],
				["commit", { batches: scopes.map((s) => ada.batch(s, [put])) }],
			] as const) {
				const already = held;
				const controller = new AbortController();
				const headers = { authorization: "Bearer ada", "content-type": "application/json", accept };
				const given = { method: "POST", headers, body: JSON.stringify(body), signal: controller.signal };
				const answer = fetch(`${url}/v1/${route}`, given).then((response) => response.text());
				const broken = expect(answer).rejects.toThrow();
				await vi.waitFor(() => expect(held).toBe(already + 1), patient);
				controller.abort();
				await broken;
				await gone();
				release();
				await vi.waitFor(() => expect(settled).toBe(begun), patient);
				({ promise: released, resolve: release } = Promise.withResolvers<void>());
			}

		const failed = await ada.send("read", JSON.stringify({ reads: [] }), { "x-break": "1" });
		expect(failed.status).toBe(500);
		expect(errors).toEqual(["a request failed: Error: the user table is gone"]);
	});
});

test("who went before its stream was opened is not told anything, and nothing is kept for it", async ({
	serve,
}) => {
	const { promise: released, resolve: release } = Promise.withResolvers<void>();
	const authorize = vi.fn(async (request: Request) => {
		await released;
		return byBearer(request);
	});
	const clock = new TestClock({ still: true });
	const { manager, server, url } = await serve({
		manager: { clock },
		handler: { authorize, lifetime: "30d" },
	});
	const closed = new Promise((resolve) =>
		server.on("request", (_, response) => response.on("close", resolve)),
	);
	// By GET, as EventSource asks: there is no body whose end is missed.
	const headers = { authorization: "Bearer ada" };
	const asked = httpRequest(`${url}/v1/stream?s=${shared}`, { headers }).on("error", () => {});
	asked.end();
	await vi.waitFor(() => expect(authorize).toHaveBeenCalledOnce(), { timeout: 20_000, interval: 5 });
	asked.destroy();
	await closed;
	release();
	await vi.waitFor(() => expect(manager.health.watched).toBe(1), { timeout: 20_000, interval: 1 });
	await vi.waitFor(
		() => {
			clock.jump(1000);
			expect(manager.health.watched).toBe(0);
		},
		{ timeout: 30_000, interval: 20 },
	);
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
