import {
	type Backend,
	createStateManager,
	type ManagerOptions,
	memory,
	type StateManager,
	systemClock,
} from "@holdfast/core";
import { createStateHandler, type StateHandler } from "@holdfast/core/server";
import { around, Client, put, remembering, TestClock } from "@holdfast/core/testing";
import { TcpProxy } from "@holdfast/test-servers/tcp-proxy";
import { describe, expect, test } from "vitest";
import { codeOf, ends, eventually, stillClock, withoutPauses } from "./offline-harness.js";
import { type RemoteOptions, remote } from "./remote.js";
import type { RemoteBackend } from "./remote-backend.js";
import type { Page, PageNews } from "./remote-page.js";
import { admin, StateServer } from "./state-server.js";

/** A store that loses no answer of its own, so that what is sent twice is known. */
const newStore = (): Backend => remembering(memory());

async function serve(...given: Parameters<typeof StateServer.start>): Promise<StateServer> {
	const server = await StateServer.start(...given);
	ends.push(() => server.stop());
	return server;
}

function connect(
	options: RemoteOptions,
	more: Partial<ManagerOptions> = {},
): { readonly manager: StateManager; readonly backend: RemoteBackend } {
	const backend = remote(options);
	// However long the machine takes, that is not what ends a call.
	const manager = createStateManager({ backend, timeout: "1m", ...more });
	manager.on("error", () => {});
	ends.push(() => manager.close({ timeout: 500 }));
	return { manager, backend };
}

const urlOf = (proxy: TcpProxy): string => `http://127.0.0.1:${proxy.port}`;

describe("what happens to the network loses no change and doubles none", { timeout: 60_000 }, () => {
	const commits = 60;

	/** Counts through one manager, while a mirror and a subscriber of another follow; `shake` is called in between. */
	async function count(
		writer: StateManager,
		watcher: StateManager,
		shake: (i: number) => unknown,
	): Promise<void> {
		const seen: unknown[] = [];
		let resets = 0;
		const subscription = watcher.shared.subscribe("n", ({ value }) => seen.push(value), {
			onReset: () => resets++,
			queue: 10_000,
		});
		const mirror = watcher.shared.mirror();
		await subscription.ready;
		await mirror.ready;
		for (let i = 1; i <= commits; i++) {
			const sum = writer.shared.increment("n", 1, { timeout: "30s" });
			await shake(i);
			expect(await sum).toBe(i);
		}
		await eventually(() => expect(mirror.get("n")).toBe(commits));
		await eventually(() => expect(seen.at(-1)).toBe(commits));
		expect(resets).toBe(0);
		expect(seen).toEqual(Array.from({ length: commits }, (_, i) => i + 1));
	}

	test("connections that are cut, and reset", async () => {
		const server = await serve(newStore());
		const proxy = await TcpProxy.to(server.port, server.host);
		ends.push(() => proxy.close());
		const [writer, watcher] = [connect({ url: urlOf(proxy) }), connect({ url: urlOf(proxy) })];
		let struck = 0;
		await count(writer.manager, watcher.manager, (i) => {
			if (i % 4 === 0) struck += proxy.strike(i % 8 === 0 ? "cut" : "reset", i % 12 === 0 ? 0.5 : 1);
		});
		expect(struck).toBeGreaterThan(5);
	});

	test("a server that is killed and started again", async () => {
		const server = await serve(newStore());
		const [writer, watcher] = [connect({ url: server.url }), connect({ url: server.url })];
		await count(writer.manager, watcher.manager, async (i) => {
			if (i % 20 !== 0) return;
			await server.stop();
			await server.run();
		});
	});

	test("two servers over one store that take turns, and restart", async () => {
		const store = newStore();
		const servers = [await serve(store), await serve(store)] as const;
		let asked = 0;
		const alternating: typeof fetch = (input, init) => {
			const server = servers[asked++ % 2] as StateServer;
			return fetch(String(input).replace("http://balancer", server.url), init);
		};
		const options = { url: "http://balancer", fetch: alternating };
		const [writer, watcher] = [connect(options), connect(options)];
		await count(writer.manager, watcher.manager, async (i) => {
			if (i % 15 !== 0) return;
			const server = servers[(i / 15) % 2] as StateServer;
			await server.stop();
			await server.run();
		});
		for (const server of servers) expect(server.count("commit")).toBeGreaterThan(10);
	});

	test("scopes that come and go without end, on streams that are replaced", async () => {
		const server = await serve(newStore());
		const { manager } = connect({ url: server.url });
		const other = connect({ url: server.url }).manager;
		const seen: unknown[] = [];
		await manager.shared.subscribe("n", ({ value }) => seen.push(value), { queue: 10_000 }).ready;
		for (let i = 1; i <= 40; i++) {
			const mirror = manager.user(`u${i}`).mirror();
			const written = other.shared.set("n", i);
			if (i % 3 !== 0) await mirror.ready;
			await written;
			mirror.close();
		}
		await eventually(() => expect(seen.at(-1)).toBe(40));
		expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
	});
});

describe("a call says whether it can have been carried out", { timeout: 60_000 }, () => {
	test("never handed over is unavailable, and works again once the server is back", async () => {
		const server = await serve(newStore());
		const clock = stillClock();
		const { manager, backend } = connect({ url: server.url }, { clock });
		await manager.shared.set("a", 1);
		expect(backend.status.online).toBe(true);
		await server.stop();
		expect(await codeOf(manager.shared.get("a"))).toBe("unavailable");
		expect(await withoutPauses(clock, codeOf(manager.shared.set("a", 2)))).toBe("unavailable");
		expect(await codeOf(manager.shared.count())).toBe("unavailable");
		expect(await codeOf(manager.ready())).toBe("unavailable");
		expect(backend.status.online).toBe(false);
		await server.run();
		expect(await manager.shared.get("a")).toBe(1);
		await manager.shared.set("a", 3);
		expect(backend.status.online).toBe(true);
	});

	test.each([
		["that remembers writers", newStore],
		["within the server's process", memory],
	])(
		"handed over and unanswered is sent again byte for byte, and applied once by a store %s",
		async (_, store) => {
			const server = await serve(store());
			const sent: string[] = [];
			let lose = 2;
			const losing: typeof fetch = async (input, init) => {
				const isCommit = String(input).endsWith("/v1/commit");
				if (isCommit) sent.push(String(init?.body));
				const response = await fetch(input, init);
				if (!isCommit || lose-- <= 0) return response;
				// As in a browser: nothing tells whether it had been sent.
				throw new TypeError("Failed to fetch");
			};
			const { manager } = connect({ url: server.url, fetch: losing });
			expect(await manager.shared.increment("n")).toBe(1);
			expect(sent).toHaveLength(3);
			expect(new Set(sent).size).toBe(1);
			expect(await manager.shared.get("n")).toBe(1);
		},
	);

	test("handed over and never answered is outcome-unknown; what comes after it is refused as unsent", async () => {
		const server = await serve(newStore());
		const proxy = await TcpProxy.to(server.port, server.host);
		ends.push(() => proxy.close());
		const clock = stillClock();
		const { manager } = connect({ url: urlOf(proxy), answerWithin: 300, clock }, { clock, timeout: 1000 });
		/** Lets time pass until it is given up. */
		const givenUp = async (write: Promise<unknown>): Promise<unknown> => {
			let code: unknown;
			void codeOf(write).then((ended) => {
				code = ended;
			});
			while (code === undefined) {
				// What was asked for before is on its way.
				await new Promise((resolve) => setTimeout(resolve, 5));
				clock.jump(50);
			}
			return code;
		};
		await manager.shared.set("a", 1);
		proxy.blackHole();
		expect(await givenUp(manager.shared.set("a", 2))).toBe("outcome-unknown");
		// Another scope, so that it does not wait for the first.
		expect(await givenUp(manager.user("ada").set("a", 2))).toMatch(/^(unavailable|timeout)$/);
		proxy.mend();
		await manager.user("ada").set("a", 3);
	});

	test("where a browser does not tell, a read goes first while the server is out of reach", async () => {
		const server = await serve(newStore());
		let connected = true;
		const asked: string[] = [];
		const opaque: typeof fetch = (input, init) => {
			asked.push(String(input).slice(server.url.length));
			return connected ? fetch(input, init) : Promise.reject(new TypeError("Failed to fetch"));
		};
		const clock = stillClock();
		const { manager } = connect({ url: server.url, fetch: opaque }, { clock });
		await manager.shared.set("a", 1);
		connected = false;
		expect(await codeOf(manager.shared.get("a"))).toBe("unavailable");
		asked.length = 0;
		expect(await withoutPauses(clock, codeOf(manager.shared.set("a", 2)))).toBe("unavailable");
		expect(asked).not.toContain("/v1/commit");
		connected = true;
		await manager.shared.set("a", 3);
		asked.length = 0;
		await manager.shared.set("a", 4);
		expect(asked).toEqual(["/v1/commit"]);
	});

	test("what a proxy answers in the server's place is no answer", async () => {
		const server = await serve(newStore());
		let broken = 1;
		const proxied: typeof fetch = async (input, init) =>
			String(input).endsWith("/v1/commit") && broken-- > 0
				? new Response("<h1>Bad gateway</h1>", { status: 502 })
				: fetch(input, init);
		const { manager } = connect({ url: server.url, fetch: proxied });
		await manager.shared.set("a", 1);
		expect(await manager.shared.get("a")).toBe(1);
		expect(broken).toBeLessThan(0);
		const login = connect({ url: server.url, fetch: async () => new Response("<h1>Log in</h1>") });
		expect(await codeOf(login.manager.shared.get("a"))).toBe("unavailable");
	});

	test("what a server that closes answers is asked once more, of another one", async () => {
		const store = createStateManager({ backend: newStore() });
		const { authorize } = admin;
		const handlers = [
			createStateHandler(store, { authorize }),
			createStateHandler(store, { authorize }),
		] as const;
		ends.push(
			() => store.close(),
			() => handlers[1].close(),
		);
		await store.shared.set("a", 1);
		await handlers[0].close();
		let asked = 0;
		const balanced: typeof fetch = (input, init) =>
			(handlers[asked++ % 2] as StateHandler)(new Request(input, init));
		const { backend } = connect({ url: "http://balancer", fetch: balanced });
		const scope = "default/shared";
		expect(await backend.read([{ scope, keys: ["a"] }])[0]).toMatchObject({ entries: [{ key: "a" }] });
		const { entries } = await backend.list(scope, { from: "!0", to: null, limit: 10, bytes: 1000 });
		expect(entries).toMatchObject([{ key: "a" }]);
		const { records } = await backend.log(scope, 0, { of: "changes", limit: 10, bytes: 1000 });
		expect(records).toHaveLength(1);
		expect(asked).toBe(6);
		// With none beside it, that is what is told.
		await handlers[1].close();
		expect(await backend.read([{ scope, keys: ["a"] }])[0]).toMatchObject({ failed: "unavailable" });
		expect(asked).toBe(8);
	});

	test("a url that is none is refused at once", () => {
		expect(() => remote({ url: "/state" })).toThrow(expect.objectContaining({ code: "invalid-argument" }));
		expect(() => remote({ url: "http://" })).toThrow(expect.objectContaining({ code: "invalid-argument" }));
	});
});

test("commits of one turn are one request, and the headers are made for each request anew", async () => {
	const server = await serve(newStore());
	let made = 0;
	const headers = async (): Promise<HeadersInit> => ({ authorization: `Bearer ${++made}` });
	const { manager } = connect({ url: server.url, headers });
	await manager.shared.set("a", 0);
	const before = server.count("commit");
	await Promise.all(Array.from({ length: 50 }, (_, i) => manager.user(`u${i}`).set("a", i)));
	expect(server.count("commit") - before).toBe(1);
	expect(made).toBe([...server.asked.values()].reduce((sum, count) => sum + count, 0));
});

test("a slow scope holds back no other that is asked for in the same turn", { timeout: 30_000 }, async () => {
	const inner = memory();
	const { promise: released, resolve: release } = Promise.withResolvers<void>();
	const heldBack = async <T>(scope: string, answer: () => T): Promise<Awaited<T>> => {
		if (scope.endsWith("/slow")) await released;
		return await answer();
	};
	const store = around(inner, {
		traits: { reach: "network", durable: false },
		read: (asks) => asks.map((ask) => heldBack(ask.scope, () => inner.read([ask])[0] as never)),
		commit: (batches) =>
			batches.map((batch) => heldBack(batch.scope, () => inner.commit([batch])[0] as never)),
	});
	const server = await serve(store);
	const { manager, backend } = connect({ url: server.url });
	const [slow, quick] = [manager.user("slow"), manager.user("quick")];
	// A manager asks for the store's clock before it writes.
	expect(await quick.get("a")).toBe(undefined);
	const writes = [slow.set("a", 1), quick.set("a", 1)] as const;
	await writes[1];
	expect(backend.status.pending.count).toBe(1);
	const reads = [slow.get("a"), quick.get("a")] as const;
	expect(await reads[1]).toBe(1);
	expect([server.count("commit"), server.count("read")]).toEqual([1, 2]);
	// Its next commit does not wait either.
	await quick.set("a", 2);
	release();
	await writes[0];
	expect(await reads[0]).toBe(1);
	expect(backend.status.pending.count).toBe(0);
});

test("several answers that break off fail for those that did not come, and are sent again", {
	timeout: 30_000,
}, async () => {
	const server = await serve(newStore());
	const sent: string[] = [];
	const breaking: typeof fetch = async (input, init) => {
		const response = await fetch(input, init);
		if (!String(input).endsWith("/v1/commit")) return response;
		sent.push(String(init?.body));
		if (sent.length > 1) return response;
		const { user, origin, batches } = (await response.json()) as Record<string, unknown[]>;
		const lines = [{ user, origin }, [1, batches?.[1]]].map((line) => `${JSON.stringify(line)}\n`);
		return new Response(lines.join(""), { headers: { "content-type": "application/x-ndjson" } });
	};
	const { manager } = connect({ url: server.url, fetch: breaking });
	const sums = [manager.user("a").increment("n"), manager.user("b").increment("n")];
	expect(await Promise.all(sums)).toEqual([1, 1]);
	const sentTo = (user: string) => sent.filter((body) => body.includes(`user/${user}"`)).length;
	expect([sentTo("a"), sentTo("b")]).toEqual([2, 1]);
	expect(await manager.user("a").get("n")).toBe(1);
});

test("headers that can't be made leave a call unsent", async () => {
	const server = await serve(newStore());
	const clock = stillClock();
	const headers = () => Promise.reject(new Error("no token"));
	const { manager } = connect({ url: server.url, headers }, { clock });
	expect(await withoutPauses(clock, codeOf(manager.shared.set("a", 1)))).toBe("unavailable");
	expect(server.asked.size).toBe(0);
});

describe("the status", () => {
	test("tells of an outage and its end, and of what waits", async () => {
		const server = await serve(newStore());
		const { manager, backend } = connect({ url: server.url });
		const { status } = backend;
		expect([status.online, status.stale, status.age, status.pending.count]).toEqual([
			true,
			false,
			Number.POSITIVE_INFINITY,
			0,
		]);
		const told: string[] = [];
		const unsubscribe = status.subscribe(() => told.push(`${status.online} ${status.stale}`));
		const mirror = manager.shared.mirror();
		await mirror.ready;
		expect(status.stale).toBe(false);
		expect(status.age).toBeLessThan(60_000);
		await server.stop();
		await eventually(() => expect([status.online, status.stale, mirror.stale]).toEqual([false, true, true]));
		await server.run();
		await eventually(() => expect([status.online, status.stale, mirror.stale]).toEqual([true, false, false]));
		expect(told).toContain("false true");
		expect(told.at(-1)).toBe("true false");
		const { pending } = status;
		expect(status.pending).toBe(pending);
		const counts: number[] = [];
		const stop = status.subscribe(() => counts.push(status.pending.count));
		await Promise.all([manager.shared.set("a", 1), manager.user("ada").set("a", 1)]);
		expect(Math.max(...counts)).toBe(2);
		expect(status.pending).toEqual({ count: 0, oldest: null });
		// Commits of one scope go out together, and are several all the same.
		counts.length = 0;
		await Promise.all(["a", "b", "c"].map((key) => manager.shared.set(key, 2)));
		expect(Math.max(...counts)).toBe(3);
		// What sweeps writes nothing of the application's.
		counts.length = 0;
		const keep = { changes: { count: 1, age: 1000 }, events: { count: 1, age: 1000 } };
		const sweep = {
			scope: "default/shared",
			writer: "0".repeat(32),
			sequence: 1,
			until: Date.now() + 30_000,
			floor: 0,
			step: 1,
			commits: [],
			keep,
		};
		expect(await Promise.all(backend.commit([sweep]))).toMatchObject([{ outcomes: [] }]);
		expect(counts).toEqual([]);
		stop();
		unsubscribe();
		told.length = 0;
		await manager.shared.set("a", 3);
		expect(told).toEqual([]);
	});
});

describe("what is not granted", { timeout: 60_000 }, () => {
	test("is denied, and costs the other scopes nothing", async () => {
		const granted = new Set(["ada"]);
		const server = await serve(newStore(), {
			authorize: () => ({
				subject: "ada",
				can: ({ kind, id }) =>
					kind === "shared" ? "write" : kind === "user" && granted.has(id as string) ? "write" : "none",
			}),
		});
		// Nothing that follows waits for a time-out.
		const { manager } = connect({ url: server.url }, { timeout: "10m" });
		const mirror = manager.shared.mirror();
		await mirror.ready;
		expect(await codeOf(manager.user("eve").mirror().ready)).toBe("denied");
		expect(await codeOf(manager.user("eve").subscribe("a", () => {}).ready)).toBe("denied");
		expect(manager.health.status).toBe("ok");
		expect(await codeOf(manager.user("bob").get("a"))).toBe("denied");
		expect(await codeOf(manager.user("bob").set("a", 1))).toBe("denied");
		const denied = manager.user("bob").mirror();
		expect(await codeOf(denied.ready)).toBe("denied");
		await manager.shared.set("a", 1);
		await eventually(() => expect(mirror.get("a")).toBe(1));
		const streams = server.count("stream");
		for (let i = 0; i < 5; i++) expect(await codeOf(manager.user("bob").mirror().ready)).toBe("denied");
		// Not one for each: what was dropped before may only now be left out of a new one.
		expect(server.count("stream") - streams).toBeLessThan(3);
		granted.add("bob");
		await manager.user("bob").set("a", 2);
		await eventually(() => expect(denied.get("a")).toBe(2));
		// Who asks anew is not told what was said before.
		expect(await codeOf(manager.user("eve").mirror().ready)).toBe("denied");
		granted.add("eve");
		expect(await codeOf(manager.user("eve").mirror().ready)).toBe("done");
	});

	test("is asked for again by each new stream, before anybody looks at the head", async () => {
		const granted = new Set(["shared", "user"]);
		const server = await serve(newStore(), {
			authorize: () => ({ subject: "ada", can: ({ kind }) => (granted.has(kind) ? "write" : "none") }),
		});
		// The manager itself never asks again.
		const clock = { ...systemClock, after: () => () => {} };
		const { manager } = connect({ url: server.url }, { clock });
		const [shared, mine] = [manager.shared.mirror(), manager.user("ada").mirror()];
		await Promise.all([shared.ready, mine.ready]);
		granted.delete("user");
		server.revoke("ada");
		await eventually(() => expect(mine.stale).toBe(true));
		granted.add("user");
		await connect({ url: server.url }).manager.user("ada").set("a", 1);
		server.revoke("ada");
		await eventually(() => expect([mine.stale, mine.get("a")]).toEqual([false, 1]));
		expect(shared.stale).toBe(false);
	});

	test("a revoked grant ends the stream, and a new one goes on", async () => {
		let access: "read" | "none" = "read";
		const store = newStore();
		const server = await serve(store, { authorize: () => ({ subject: "ada", can: () => access }) });
		const clock = stillClock();
		const { manager } = connect({ url: server.url }, { clock });
		const mirror = manager.shared.mirror();
		await mirror.ready;
		access = "none";
		server.revoke("ada");
		await eventually(() => expect(mirror.stale).toBe(true));
		await new Client(store, "default/shared").apply(put("a", 1));
		access = "read";
		// What is denied is asked for again when the manager looks at the heads.
		clock.jump(10_000);
		await eventually(() => expect(mirror.get("a")).toBe(1));
	});
});

describe("many scopes", { timeout: 240_000 }, () => {
	const users = Array.from({ length: 5000 }, (_, i) => `u${i}`);

	test("5,000 are watched by one stream, written and read in as few requests as the server takes", async () => {
		const server = await serve(newStore());
		const heard = new Map<string, unknown>();
		const { manager } = connect({ url: server.url, answerWithin: "10m" }, { timeout: "10m" });
		const listen = (user: string) =>
			manager.user(user).subscribe("n", ({ value }) => heard.set(user, value)).ready;
		await Promise.all(users.map(listen));
		await eventually(() => expect(server.streams).toBe(1));
		const asked: string[] = [];
		const counting: typeof fetch = (input, init) => {
			asked.push(String(input).slice(server.url.length));
			return fetch(input, init);
		};
		const options = { url: server.url, answerWithin: "10m", fetch: counting } as const;
		const other = connect(options, { timeout: "10m" }).manager;
		await Promise.all(users.map((user, i) => other.user(user).set("n", i)));
		expect(asked.filter((route) => route === "/v1/commit")).toHaveLength(5);
		await eventually(() => expect(users.map((user) => heard.get(user))).toEqual([...users.keys()]));
		asked.length = 0;
		expect(await Promise.all(users.map((user) => other.user(user).get("n")))).toEqual([...users.keys()]);
		expect(asked).toEqual(Array(5).fill("/v1/read"));
	});

	test("more than the server tells are refused, and cost the others nothing", async () => {
		const server = await serve(newStore(), { ...admin, limits: { subscriptions: 3 } });
		const { manager } = connect({ url: server.url }, { timeout: "10m" });
		const mirrors = users.slice(0, 3).map((user) => manager.user(user).mirror());
		await Promise.all(mirrors.map(({ ready }) => ready));
		const one = manager.user("one more").mirror();
		expect(await codeOf(one.ready)).toBe("too-large");
		one.close();
		await manager.user("u1").set("n", 1);
		await eventually(() => expect(mirrors[1]?.get("n")).toBe(1));
		expect(mirrors.map(({ stale }) => stale)).toEqual([false, false, false]);
	});
});

describe("another user", { timeout: 30_000 }, () => {
	/** A server that knows who asks by a cookie, and a browser's jar of one. */
	async function bank(): Promise<{ server: StateServer; jar: { user: string }; fetch: typeof fetch }> {
		const jar = { user: "ada" };
		const server = await serve(newStore(), {
			authorize: (request) => {
				const subject = request.headers.get("cookie") ?? "";
				return {
					subject,
					can: ({ kind, id }) =>
						kind === "shared" || (kind === "user" && id === subject) ? "write" : "none",
				};
			},
		});
		return {
			server,
			jar,
			fetch: (input, init) => {
				const headers = new Headers(init?.headers);
				headers.set("cookie", jar.user);
				headers.set("origin", server.url);
				return fetch(input, { ...init, headers });
			},
		};
	}

	test("writes nothing with the first one's page, whose mirrors are empty before the next one's first read", async () => {
		const { server, jar, fetch } = await bank();
		let changes = 0;
		const { manager } = connect({ url: server.url, fetch, onIdentityChange: () => changes++ });
		const mirror = manager.user("ada").mirror();
		const shared = manager.shared.mirror();
		await mirror.ready;
		await shared.ready;
		await manager.user("ada").set("secret", 1);
		await manager.shared.set("all", 1);
		await eventually(() => expect([mirror.get("secret"), shared.get("all")]).toEqual([1, 1]));
		jar.user = "bob";
		expect(await codeOf(manager.shared.set("all", 2))).toBe("identity-changed");
		expect(changes).toBe(1);
		expect(mirror.list()).toEqual([]);
		expect(await manager.shared.get("all")).toBe(1);
		expect(mirror.list()).toEqual([]);
		expect(await codeOf(manager.user("ada").get("secret"))).toBe("denied");
		// What all may see comes back.
		await eventually(() => expect(shared.get("all")).toBe(1));
		await manager.shared.set("all", 3);
		await eventually(() => expect(shared.get("all")).toBe(3));
		expect(mirror.list()).toEqual([]);
	});

	test("is not sent what the first one's answer was lost for", async () => {
		const { server, jar, fetch } = await bank();
		let lose = false;
		const losing: typeof globalThis.fetch = async (input, init) => {
			const response = await fetch(input, init);
			if (!lose || !String(input).endsWith("/v1/commit")) return response;
			lose = false;
			jar.user = "bob";
			throw new TypeError("Failed to fetch");
		};
		const { manager } = connect({ url: server.url, fetch: losing });
		await manager.shared.set("n", 0);
		lose = true;
		expect(await codeOf(manager.shared.increment("n"))).toMatch(/^(identity-changed|outcome-unknown)$/);
		jar.user = "ada";
		expect(await manager.shared.get("n")).toBe(1);
	});
});

/** A page that tells what the test says. */
class TestPage implements Page {
	hidden = false;
	connected = true;
	readonly locks = undefined;
	readonly #listeners = new Set<(news: PageNews) => void>();
	channel(): undefined {}
	listen(listener: (news: PageNews) => void): () => void {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	}
	tell(news: PageNews): void {
		for (const listener of this.#listeners) listener(news);
	}
}

describe("a page that nobody sees", { timeout: 30_000 }, () => {
	test("lets go of its stream after a minute, and goes on from its cursors", async () => {
		const store = newStore();
		const server = await serve(store);
		const page = new TestPage();
		const clock = new TestClock();
		const { manager, backend } = connect({ url: server.url, page, clock });
		const seen: unknown[] = [];
		await manager.shared.subscribe("n", ({ value }) => seen.push(value)).ready;
		const mirror = manager.shared.mirror();
		await mirror.ready;
		const client = new Client(store, "default/shared");
		page.hidden = true;
		page.tell("hidden");
		await client.apply(put("n", 1));
		await eventually(() => expect(seen).toEqual([1]));
		clock.jump(61_000);
		await eventually(() => expect(mirror.stale).toBe(true));
		expect(backend.status.stale).toBe(true);
		await client.apply(put("n", 2));
		await client.apply(put("n", 3));
		const streams = server.count("stream");
		page.hidden = false;
		page.tell("shown");
		await eventually(() => expect(seen).toEqual([1, 2, 3]));
		await eventually(() => expect(mirror.stale).toBe(false));
		expect(server.count("stream")).toBe(streams + 1);
		expect(backend.status.stale).toBe(false);
	});

	test("is put into the back/forward cache without a connection", async () => {
		const server = await serve(newStore());
		const page = new TestPage();
		const { manager } = connect({ url: server.url, page });
		const mirror = manager.shared.mirror();
		await mirror.ready;
		page.tell("left");
		await eventually(() => expect(mirror.stale).toBe(true));
		await manager.shared.set("a", 1);
		page.tell("back");
		await eventually(() => expect([mirror.stale, mirror.get("a")]).toEqual([false, 1]));
	});

	test("a stream that fell silent is found out", async () => {
		const server = await serve(newStore(), {
			authorize: () => ({ subject: "a", can: () => "write" }),
			heartbeat: 100,
		});
		const proxy = await TcpProxy.to(server.port, server.host);
		ends.push(() => proxy.close());
		const other = connect({ url: server.url }).manager;
		// A connection that was kept for requests falls silent with the stream's: it is given up after this.
		const { manager } = connect({ url: urlOf(proxy), answerWithin: 1000 });
		const mirror = manager.shared.mirror();
		await mirror.ready;
		expect(proxy.strike("silence", 1)).toBeGreaterThan(0);
		await other.shared.set("a", 1);
		await eventually(() => expect(mirror.get("a")).toBe(1));
	});
});

describe("a page whose server was away for long does not wait for its next try once", {
	timeout: 60_000,
}, () => {
	test.each<[string, (page: TestPage, manager: StateManager) => unknown]>([
		["the device has a network again", (page) => page.tell("connected")],
		["it is seen again", (page) => page.tell("shown")],
		["another request is answered", (_, manager) => manager.shared.get("other")],
	])("%s", async (_, happen) => {
		const server = await serve(newStore());
		const page = new TestPage();
		// What is more than a moment away comes only where it is put forward.
		const clock = stillClock();
		let begun = 0;
		let failed = 0;
		const { manager, backend } = connect(
			{
				url: server.url,
				page,
				clock,
				random: () => 1,
				fetch: async (input, init) => {
					const isStream = String(input).endsWith("/stream");
					if (isStream) begun++;
					try {
						return await fetch(input, init);
					} catch (error) {
						// Once the page has taken it in, too.
						if (isStream) setImmediate(() => failed++);
						throw error;
					}
				},
			},
			{ clock },
		);
		const mirror = manager.shared.mirror();
		await mirror.ready;
		const heard = begun;
		await server.stop();
		const failMore = (count: number, pass: () => void = () => {}): Promise<void> => {
			const least = failed + count;
			return eventually(() => {
				pass();
				expect(failed).toBeGreaterThanOrEqual(least);
			});
		};
		await failMore(6, () => clock.jump(500));
		// None is on its way: the next one is far off.
		await eventually(() =>
			expect([backend.status.online, mirror.stale, begun - failed]).toEqual([false, true, heard]),
		);
		if (happen.length === 1) {
			// Too early, by a moment.
			happen(page, manager);
			await failMore(3);
		}
		await server.run();
		await happen(page, manager);
		await eventually(() => expect(mirror.stale).toBe(false));
	});
});

test("close lets go of everything, also while the server is away", async () => {
	const server = await serve(newStore());
	const backend = remote({ url: server.url });
	const unwatch = await backend.watch("default/shared", () => {});
	await server.stop();
	const waiting = codeOf(Promise.resolve(backend.watch("default/user/ada", () => {})));
	await backend.close();
	await backend.close();
	expect(await waiting).toBe("unavailable");
	unwatch();
	expect(
		await codeOf(Promise.resolve(backend.list("default/shared", { from: "", to: null, limit: 1, bytes: 1 }))),
	).toBe("unavailable");
});
