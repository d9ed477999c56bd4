import { createServer, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { describe, expect, onTestFinished, vi } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { EventSplitter } from "../wire/event-stream.js";
import { paths, type StreamMessage } from "../wire/messages.js";
import { createStateHandler, type StateHandlerOptions } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import { byBearer, listen, Page, shut, test } from "./with-server.js";

const shared = "app/shared";
const patient = { timeout: 20_000, interval: 5 };

function serving(options: Partial<StateHandlerOptions> = {}) {
	const manager = createStateManager({ backend: memory(), namespace: "app" });
	const handler = createStateHandler(manager, { authorize: byBearer, ...options });
	onTestFinished(async () => {
		await handler.close();
		await manager.close();
	});
	return { manager, handler, listener: nodeHandler(handler) };
}

describe("over HTTP/1.1", () => {
	test("what several scopes are told in a turn comes whole, in chunks that a parser takes", async ({
		serve,
	}) => {
		const { manager, page } = await serve();
		const scopes = [shared, "app/user/ada"];
		const stream = await page("ada").stream(scopes.map((s) => ({ s })));
		for (const s of scopes) await stream.told("ready", (told) => told.s === s);
		const revisions = await Promise.all([
			manager.shared.set("é", "é".repeat(10_000)),
			manager.user("ada").set("a", "x".repeat(100_000)),
		]);
		await vi.waitFor(() => expect(scopes.flatMap((s) => stream.records(s))).toEqual(revisions), patient);
	});

	test("middleware that replaces write sees what is written", async () => {
		const { listener, manager } = serving();
		const seen: string[] = [];
		const server = createServer((request, response: ServerResponse) => {
			const write = response.write.bind(response) as (...given: unknown[]) => boolean;
			response.write = (...given: unknown[]) => {
				seen.push(Buffer.from(given[0] as Uint8Array).toString());
				return write(...given);
			};
			listener(request, response);
		});
		const ada = new Page(await listen(server), "ada");
		onTestFinished(() => shut(server));
		const stream = await ada.stream([{ s: shared }]);
		await stream.told("ready");
		const revision = await manager.shared.set("n", 1);
		await vi.waitFor(() => expect(stream.records(shared)).toEqual([revision]), patient);
		expect(seen.join("")).toContain(`"r":${revision}`);
	});

	test("a client that has only HTTP/1.0 gets no chunks", async ({ serve }) => {
		const { manager, server } = await serve();
		const { port } = server.address() as AddressInfo;
		const socket = connect(port, "127.0.0.1");
		onTestFinished(() => void socket.destroy());
		let said = "";
		socket.setEncoding("utf8").on("data", (text: string) => {
			said += text;
		});
		socket.write(`GET ${paths.stream}?s=${shared} HTTP/1.0\r\nAuthorization: Bearer ada\r\n\r\n`);
		await vi.waitFor(() => expect(said).toContain('"t":"ready"'), patient);
		const revision = await manager.shared.set("n", 1);
		await vi.waitFor(() => expect(said).toContain(`"r":${revision}`), patient);
		expect(said.slice(said.indexOf("\r\n\r\n"))).not.toMatch(/^[0-9a-f]+\r$/m);
	});
});

describe("over HTTP/2", () => {
	async function connection(options: Partial<StateHandlerOptions> = {}) {
		const { listener, manager, handler } = serving(options);
		const server: Http2Server = createHttp2Server(listener);
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
		onTestFinished(async () => {
			session.destroy();
			await new Promise((resolve) => server.close(resolve));
		});
		const request = (path: string, body: unknown) => {
			const stream = session.request({
				":method": "POST",
				":path": path,
				"content-type": "application/json",
				authorization: "Bearer ada",
			});
			stream.end(JSON.stringify(body));
			return stream;
		};
		const ask = async (path: string, body: unknown) => {
			const stream = request(path, body).setEncoding("utf8");
			const { promise, resolve } = Promise.withResolvers<number | undefined>();
			stream.on("response", (headers) => resolve(headers[":status"]));
			let text = "";
			for await (const piece of stream) text += piece;
			return { status: await promise, ...JSON.parse(text) };
		};
		/** A stream as one tab of many on the same connection hears it. */
		const hear = (subs: readonly object[]) => {
			const messages: StreamMessage[] = [];
			const splitter = new EventSplitter((message) => messages.push(message));
			const stream = request(paths.stream, { subs }).setEncoding("utf8");
			stream.on("data", (text: string) => splitter.push(text));
			return { stream, messages, types: () => messages.map(({ t }) => t) };
		};
		return { manager, handler, ask, hear };
	}

	test("twelve streams and the requests beside them share one connection", async () => {
		const { manager, handler, ask, hear } = await connection();
		const tabs = Array.from({ length: 12 }, () => hear([{ s: shared }]));
		for (const { types } of tabs)
			await vi.waitFor(() => expect(types()).toEqual(["hello", "ready"]), patient);
		const commit = { id: "w.1", do: [{ op: "put", key: "a", value: "1", ttl: null }] };
		const batch = { s: shared, writer: "w", sequence: 1, floor: 0, step: 1, commits: [commit] };
		const { status, batches } = await ask(paths.commit, {
			batches: [{ ...batch, until: Date.now() + 30_000 }],
		});
		expect([status, batches[0].outcomes[0][1]]).toEqual([200, 1]);
		for (const { messages } of tabs)
			await vi.waitFor(
				() => expect(messages.at(-1)).toMatchObject({ t: "r", records: [{ r: batches[0].head }] }),
				patient,
			);
		expect(await manager.shared.get("a")).toBe(1);
		expect(await ask("/v1/nothing", {})).toMatchObject({ status: 404 });
		await handler.close();
		for (const { types } of tabs) await vi.waitFor(() => expect(types().at(-1)).toBe("bye"), patient);
	});

	test("a stream that is not read is sent away at the bound, the others of its connection go on", async () => {
		const { manager, hear } = await connection({ limits: { bufferBytes: 100_000 } });
		const [slow, quick] = [hear([{ s: shared }]), hear([{ s: shared }])];
		for (const { types } of [slow, quick])
			await vi.waitFor(() => expect(types()).toContain("ready"), patient);
		slow.stream.pause();
		let last = 0;
		for (let i = 0; i < 40; i++) {
			last = await manager.shared.set("n", "x".repeat(20_000));
			const told = () => quick.messages.flatMap((told) => (told.t === "r" ? told.records : []));
			await vi.waitFor(() => expect(told().at(-1)?.r).toBe(last), patient);
		}
		slow.stream.resume();
		await vi.waitFor(() => expect(slow.messages.at(-1)).toMatchObject({ t: "bye", why: "slow" }), patient);
		expect(quick.types()).not.toContain("bye");
	});
});
