import { createServer, get } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, expect, vi } from "vitest";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { TestClock } from "../testing/test-clock.js";
import { createStateHandler } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import { byBearer, listen, Page, shut, test } from "./with-server.js";

const shared = "app/shared";
const patient = { timeout: 20_000, interval: 5 };

describe("a stream", () => {
	test("says hello and ready, then tells what is committed, and is not to be stored or compressed", async ({
		serve,
	}) => {
		const { manager, page } = await serve();
		const stream = await page("ada").stream([{ s: shared }]);
		expect(stream.headers.get("content-type")).toMatch(/^text\/event-stream/);
		expect(stream.headers.get("cache-control")).toBe("no-store, no-transform");
		expect(stream.headers.get("x-accel-buffering")).toBe("no");
		const hello = await stream.told("hello");
		expect(hello).toMatchObject({ user: "ada", heartbeat: 20_000 });
		expect(await stream.told("ready")).toEqual({ t: "ready", s: shared, c: 0 });
		const revision = await manager.shared.set("a", { deep: [1] }, { metadata: { why: "test" } });
		const { records } = await stream.told("r");
		expect(records).toMatchObject([
			{ r: revision, p: 0, m: { why: "test" }, c: [{ k: "a", v: '{"deep":[1]}' }] },
		]);
		stream.stop();
	});

	test("goes on from a cursor, on any server", async ({ serve }) => {
		const backend = memory();
		const [one, other] = [await serve({ manager: { backend } }), await serve({ manager: { backend } })];
		const first = await one.manager.shared.set("n", 0);
		const told: number[] = [];
		let cursor = first;
		for (let round = 0; round < 6; round++) {
			const { manager } = round % 2 === 0 ? other : one;
			// Some before the stream is open, some after.
			const before = await manager.shared.set("n", round);
			const stream = await (round % 2 === 0 ? one : other).page("ada").stream([{ s: shared, c: cursor }]);
			await stream.told("ready");
			const after = await manager.shared.set("n", -round);
			await vi.waitFor(() => expect(stream.records(shared)).toContain(after), patient);
			expect(stream.records(shared)).toContain(before);
			// What was in the log and not yet sent comes again, and is known by its revision.
			told.push(...[...new Set(stream.records(shared))].filter((revision) => revision > cursor));
			cursor = after;
			stream.stop();
			await stream.ended;
		}
		const log: number[] = [];
		for await (const { revision } of one.manager.shared.changes({ from: first })) {
			log.push(revision);
			if (revision === cursor) break;
		}
		expect(told).toEqual(log);
	});

	test("answers reset where the log does not reach back to the cursor, and goes on from there", async ({
		serve,
	}) => {
		const { manager, page } = await serve({
			manager: { scopes: { shared: { changes: { count: 2 } } } },
		});
		const first = await manager.shared.set("n", 0);
		for (let i = 0; i < 5; i++) await manager.shared.set("n", i);
		const head = await manager.shared.set("n", 5);
		const stream = await page("ada").stream([{ s: shared, c: first }]);
		expect(await stream.told("reset")).toEqual({ t: "reset", s: shared, c: head, why: "cursor" });
		expect(await stream.told("ready")).toMatchObject({ c: head });
		const next = await manager.shared.set("n", 6);
		await vi.waitFor(() => expect(stream.records(shared)).toEqual([next]), patient);
		stream.stop();
	});

	test("tells a drop of the scope as a reset", async ({ serve }) => {
		const { manager, page } = await serve();
		await manager.shared.set("n", 0);
		const stream = await page("ada").stream([{ s: shared }]);
		await stream.told("ready");
		await manager.shared.drop();
		expect(await stream.told("reset")).toMatchObject({ s: shared, c: 0, why: "store" });
		stream.stop();
	});

	test("tells each of many scopes once and in order, whatever is written meanwhile", async ({ serve }) => {
		const { manager, page } = await serve();
		const scopes = Array.from({ length: 40 }, (_, i) => `app/room/${i}`);
		const cursors = await Promise.all(
			scopes.map((_, i) => manager.scope("room", String(i)).set("n", 0) as Promise<number>),
		);
		let writing = true;
		const last = new Map<string, number>();
		const writer = (async () => {
			for (let n = 1; writing; n++) {
				// Memory answers at once: without a turn nobody else would come to theirs.
				await new Promise((resolve) => setImmediate(resolve));
				await Promise.all(
					scopes.map(async (scope, i) => last.set(scope, await manager.scope("room", String(i)).set("n", n))),
				);
			}
		})();
		const root = page("root");
		const streams = await Promise.all(
			Array.from({ length: 5 }, () => root.stream(scopes.map((s, i) => ({ s, c: cursors[i] as number })))),
		);
		for (const stream of streams)
			for (const scope of scopes) await stream.told("ready", ({ s }) => s === scope);
		writing = false;
		await writer;
		for (const stream of streams)
			for (const [i, scope] of scopes.entries()) {
				await vi.waitFor(() => expect(stream.records(scope).at(-1)).toBe(last.get(scope)), patient);
				const log = await root.ask("log", {
					s: scope,
					after: cursors[i],
					query: { of: "changes", limit: 1000, bytes: 2 ** 20 },
				});
				// Where the log and what is live meet, a record may come twice.
				const told = [...new Set(stream.records(scope))];
				expect(told).toEqual(log.records.map(({ r }: { r: number }) => r));
				stream.stop();
			}
	});

	test("of 5,000 scopes is answered for each, in a buffer that could not hold all answers", async ({
		serve,
	}) => {
		const { manager, page } = await serve({ handler: { limits: { bufferBytes: 20_000 } } });
		const scopes = Array.from({ length: 5000 }, (_, i) => `app/room/${i}`);
		const stream = await page("root").stream(scopes.map((s) => ({ s })));
		await vi.waitFor(() => expect(stream.messages).toHaveLength(1 + scopes.length), patient);
		const revision = await manager.scope("room", "4999").set("n", 1);
		await vi.waitFor(() => expect(stream.records("app/room/4999")).toEqual([revision]), patient);
		expect(new Set(stream.messages.map(({ t }) => t))).toEqual(new Set(["hello", "ready", "r"]));
		stream.stop();
	});

	test("asked for once ends when all scopes have answered", async ({ serve }) => {
		const { manager, page } = await serve();
		const first = await manager.shared.set("n", 0);
		const second = await manager.shared.set("n", 1);
		const stream = await page("ada").stream(
			[{ s: shared, c: first }, { s: "app/user/ada" }, { s: "app/user/bob" }],
			{ once: true },
		);
		await stream.ended;
		expect(stream.records(shared)).toEqual([second]);
		expect(stream.messages.map(({ t }) => t).sort()).toEqual(
			["hello", "denied", "r", "ready", "ready", "bye"].sort(),
		);
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "once" });
	});

	test("can be had by GET with Last-Event-ID, as EventSource asks", async ({ serve }) => {
		const { manager, url } = await serve();
		const first = await manager.shared.set("n", 0);
		const second = await manager.shared.set("n", 1);
		const headers = { authorization: "Bearer ada", "last-event-id": String(first) };
		const text = await new Promise<string>((resolve, reject) => {
			const request = get(`${url}/v1/stream?s=${shared}`, { headers }, (response) => {
				let heard = "";
				response.on("data", (chunk) => {
					heard += chunk;
					if (!heard.includes('"t":"ready"')) return;
					resolve(heard);
					request.destroy();
				});
			});
			request.on("error", reject);
		});
		expect(text).toContain(`id: ${second}\ndata: {"t":"r"`);
	});

	test("beats while nothing happens, and ends after its lifetime", async ({ serve }) => {
		const { page } = await serve({ handler: { heartbeat: 20, lifetime: 300 } });
		const stream = await page("ada").stream([{ s: shared }]);
		await stream.told("hb");
		await stream.ended;
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "lifetime" });
	});

	test("ends with a word when the handler closes, which then refuses", async ({ serve }) => {
		const { page, handler } = await serve();
		const stream = await page("ada").stream([{ s: shared }]);
		await stream.told("ready");
		await handler.close();
		await stream.ended;
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "closing" });
		expect(await page("ada").ask("read", { reads: [] })).toMatchObject({
			status: 503,
			error: { code: "closed" },
		});
	});

	test("goes on through an outage of the store, without a gap", async ({ serve }) => {
		const inner = memory();
		let down = false;
		const backend: typeof inner = {
			name: "memory",
			traits: inner.traits,
			read: (asks) =>
				down ? asks.map(() => ({ failed: "unavailable", message: "down" })) : inner.read(asks),
			commit: (batches) => inner.commit(batches),
			list: (scope, range) => inner.list(scope, range),
			log: (scope, after, query) => inner.log(scope, after, query),
			watch: (scope, listener) => {
				if (down) throw new Error("down");
				return inner.watch(scope, listener);
			},
			scopes: (range) => inner.scopes(range),
			drop: (scope) => inner.drop(scope),
			close: () => inner.close(),
		};
		const writer = createStateManager({ backend: inner, namespace: "app" });
		const first = await writer.shared.set("n", 0);
		const { page } = await serve({ manager: { backend, timeout: 200 } });
		down = true;
		const stream = await page("ada").stream([{ s: shared, c: first }]);
		await stream.told("hello");
		const second = await writer.shared.set("n", 1);
		down = false;
		await stream.told("ready");
		expect(stream.records(shared)).toEqual([second]);
		stream.stop();
		await writer.close();
	});
});

describe("windows", () => {
	test("gather what is committed in one turn into one frame, the same bytes for all", async ({ serve }) => {
		const { manager, page } = await serve();
		const streams = await Promise.all([1, 2, 3].map(() => page("ada").stream([{ s: shared }])));
		for (const stream of streams) await stream.told("ready");
		await Promise.all(Array.from({ length: 100 }, (_, i) => manager.shared.set(`k/${i}`, i)));
		for (const stream of streams) {
			await vi.waitFor(() => expect(stream.records(shared)).toHaveLength(100), patient);
			const frames = stream.messages.filter(({ t }) => t === "r");
			expect(frames.length).toBeLessThan(20);
			expect(frames).toEqual(streams[0]?.messages.filter(({ t }) => t === "r"));
			stream.stop();
		}
	});
});

describe("a slow reader", () => {
	test("is sent away at the bound, holds up nobody, and goes on from its cursor", async ({ serve }) => {
		const { manager, page, url, server } = await serve({
			handler: { limits: { bufferBytes: 100_000 } },
		});
		const first = await manager.shared.set("n", 0);
		const sockets = new Set<Socket>();
		server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
		// It asks, and never reads.
		const { port } = new URL(url);
		const socket = connect(Number(port), "127.0.0.1").pause();
		const body = JSON.stringify({ subs: [{ s: shared, c: first }] });
		socket.write(
			`POST /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
		);
		await vi.waitFor(() => expect(sockets.size).toBe(1), patient);
		const [slow] = sockets;
		const quick = await page("ada").stream([{ s: shared, c: first }]);
		await quick.told("ready");
		let waiting = 0;
		let last = first;
		// As much as the system's own buffers take, until nothing more is written to it.
		for (let i = 0; i < 400 && (waiting === 0 || waiting !== slow?.writableLength); i++) {
			waiting = slow?.writableLength ?? 0;
			last = await manager.shared.set("n", "x".repeat(60_000));
			await vi.waitFor(() => expect(quick.records(shared).at(-1)).toBe(last), patient);
		}
		expect(waiting).toBeGreaterThan(0);
		// One frame may pass the bound.
		expect(waiting).toBeLessThan(200_000);
		quick.stop();
		const again = await page("ada").stream([{ s: shared, c: first }]);
		await again.told("ready");
		await vi.waitFor(() => expect(again.records(shared).at(-1)).toBe(last), patient);
		again.stop();
		await vi.waitFor(() => expect(slow?.destroyed).toBe(true), patient);
		socket.destroy();
	});
});

describe("grants", () => {
	test("are asked again while a stream lives: a scope that is taken away is told no more", async ({
		serve,
	}) => {
		let may: "read" | "none" = "read";
		const { manager, page } = await serve({
			handler: {
				regrant: 20,
				authorize: () => ({ subject: "ada", can: ({ kind }) => (kind === "shared" ? may : "read") }),
			},
		});
		const stream = await page().stream([{ s: shared }, { s: "app/user/ada" }]);
		await stream.told("ready", ({ s }) => s === shared);
		may = "none";
		expect(await stream.told("denied")).toMatchObject({ s: shared, error: { code: "denied" } });
		const told = stream.records(shared).length;
		await manager.shared.set("secret", 1);
		const own = await manager.user("ada").set("a", 1);
		await vi.waitFor(() => expect(stream.records("app/user/ada")).toEqual([own]), patient);
		expect(stream.records(shared)).toHaveLength(told);
		stream.stop();
	});

	test("are asked again for what was denied, too: it is told from its cursor once it is granted", async ({
		serve,
	}) => {
		const granted = new Set<string>();
		const { manager, page } = await serve({
			handler: {
				regrant: 20,
				authorize: () => ({ subject: "ada", can: ({ kind }) => (granted.has(kind) ? "read" : "none") }),
			},
		});
		const first = await manager.shared.set("n", 1);
		const stream = await page().stream([{ s: shared, c: first }, { s: "app/user/ada" }]);
		await stream.told("denied", ({ s }) => s === "app/user/ada");
		const second = await manager.shared.set("n", 2);
		granted.add("shared");
		await stream.told("ready", ({ s }) => s === shared);
		expect(stream.records(shared)).toEqual([second]);
		// And when it was taken away in between.
		granted.delete("shared");
		await vi.waitFor(
			() =>
				expect(stream.messages.filter((told) => told.t === "denied" && told.s === shared)).toHaveLength(2),
			patient,
		);
		const third = await manager.shared.set("n", 3);
		granted.add("shared");
		await vi.waitFor(() => expect(stream.records(shared)).toEqual([second, third]), patient);
		expect(stream.messages.filter(({ t }) => t === "hello")).toHaveLength(1);
		stream.stop();
	});

	test("that end, end their streams: by themselves, when revoked, and when who asks is somebody else now", async ({
		serve,
	}) => {
		let who: string | null = "ada";
		let expires: number | undefined;
		const clock = new TestClock({ still: true });
		const { page, handler } = await serve({
			manager: { clock },
			handler: {
				regrant: 20,
				authorize: () =>
					who === null ? null : { subject: who, can: () => "read", ...(expires && { expires }) },
			},
		});
		const revoked = async (act: () => void): Promise<void> => {
			const stream = await page().stream([{ s: shared }]);
			await stream.told("ready");
			act();
			await stream.ended;
			expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "revoked" });
		};
		await revoked(() => handler.revoke("ada"));
		await revoked(() => {
			who = null;
		});
		who = "ada";
		await revoked(() => {
			who = "bob";
		});
		expires = clock.now() + 60_000;
		await revoked(() => clock.jump(60_000));
		expires = clock.now() - 1;
		expect(await page().ask("read", { reads: [] })).toMatchObject({
			status: 401,
			error: { code: "unauthenticated" },
		});
	});

	test("that nobody confirms end their streams: an authorize that does not answer is not waited for", async ({
		serve,
	}) => {
		const clock = new TestClock();
		let answers = true;
		const authorize = vi.fn(async () => {
			if (!answers) await new Promise(() => {});
			return { subject: "ada", can: () => "read" as const };
		});
		const { page } = await serve({
			manager: { backend: memory({ clock }), clock },
			handler: { authorize, regrant: "1m" },
		});
		const stream = await page().stream([{ s: shared }]);
		await stream.told("ready");
		const asked = authorize.mock.calls.length;
		answers = false;
		clock.jump(72_000);
		await vi.waitFor(() => expect(authorize.mock.calls.length).toBeGreaterThan(asked), patient);
		clock.jump(10_000);
		await stream.ended;
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "revoked" });
	});

	test("an authorize that breaks ends the stream, and is reported", async ({ serve }) => {
		let breaks = false;
		const { page, manager } = await serve({
			handler: {
				regrant: 20,
				authorize: () => {
					if (breaks) throw new Error("the user table is gone");
					return { subject: "ada", can: () => "read" };
				},
			},
		});
		const errors: string[] = [];
		manager.on("error", (error: Error) => errors.push(String(error.cause)));
		const stream = await page().stream([{ s: shared }]);
		await stream.told("ready");
		breaks = true;
		await stream.ended;
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "revoked" });
		expect(errors).toEqual(["Error: the user table is gone"]);
		const answer = await page().ask("read", { reads: [] });
		expect(answer).toMatchObject({ status: 500, error: { code: "failed" } });
		expect(JSON.stringify(answer)).not.toContain("table");
	});
});

test("the most streams of one subject: the oldest gives way", async ({ serve }) => {
	const { page } = await serve({ handler: { limits: { streams: 2 } } });
	const [first, second] = [
		await page("ada").stream([{ s: shared }]),
		await page("ada").stream([{ s: shared }]),
	];
	const bobs = await page("bob").stream([{ s: shared }]);
	const third = await page("ada").stream([{ s: shared }]);
	await first.ended;
	expect(first.messages.at(-1)).toMatchObject({ t: "bye", why: "crowded" });
	for (const stream of [second, third, bobs]) {
		await stream.told("ready");
		expect(stream.messages.some(({ t }) => t === "bye")).toBe(false);
		stream.stop();
	}
});

test("a backend may be given instead of a manager, and is closed with the handler", async () => {
	let closed = 0;
	const store = memory();
	const handler = createStateHandler(
		Object.assign(store, {
			close: async () => {
				closed++;
			},
		}),
		{ authorize: byBearer },
	);
	const server = createServer(nodeHandler(handler));
	const page = new Page(await listen(server), "ada");
	expect(await page.put("default/user/ada", "a", 1)).toMatchObject([expect.any(Number), 1]);
	await handler.close();
	expect(closed).toBe(1);
	await shut(server);
});

test("a client that reads nothing has no more kept for it than its bound, however many scopes it comes back to", async () => {
	const manager = createStateManager({ backend: memory() });
	const handler = createStateHandler(manager, { authorize: () => ({ subject: "root", can: () => "admin" }) });
	const count = 40;
	const cursors: number[] = [];
	for (let i = 0; i < count; i++) {
		const room = manager.scope("room", `${i}`);
		cursors.push(await room.set("n", 0));
		for (let n = 0; n < 4; n++) await room.set("n", "x".repeat(100_000));
	}
	const subs = cursors.map((c, i) => ({ s: `default/room/${i}`, c }));
	const ready: string[] = [];
	let waiting = 0;
	let most = 0;
	let drained = (): void => {};
	const request = new Request("http://localhost/v1/stream", {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ subs }),
	});
	await handler.serve(request, (_, events) => {
		drained = events.drained;
		return {
			write(bytes) {
				waiting += bytes.length;
				most = Math.max(most, waiting);
				const [, scope] =
					/"t":"ready","s":"([^"]+)"/.exec(new TextDecoder().decode(bytes.subarray(0, 200))) ?? [];
				if (scope !== undefined) ready.push(scope);
			},
			get waiting() {
				return waiting;
			},
			end: () => {},
		};
	});
	const quiet = async (): Promise<void> => {
		for (let before = -1; before !== waiting; ) {
			before = waiting;
			for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
		}
	};
	await quiet();
	expect(ready.length, "scopes that were told while nobody reads").toBeLessThan(count);
	for (let turn = 0; turn < 10 * count && ready.length < count; turn++) {
		waiting = 0;
		drained();
		await quiet();
	}
	expect(ready.sort(), "each once").toEqual(subs.map(({ s }) => s).sort());
	expect(most).toBeGreaterThan(100_000);
	expect(most).toBeLessThan(2 ** 20);
	await handler.close();
	await manager.close();
});
