import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { createStateManager, type ManagerOptions } from "../manager.js";
import { memory } from "../memory.js";
import { TestClock } from "../testing/test-clock.js";
import { openSession } from "../wire/open-session.js";
import { type CookieSessionOptions, cookieSessions } from "./cookie-sessions.js";
import { createStateHandler } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import { listen, shut } from "./with-server.js";

const secret = "0123456789abcdef0123456789abcdef";

function open(options: Partial<CookieSessionOptions> = {}, manager: Partial<ManagerOptions> = {}) {
	const made = createStateManager({ backend: memory(), namespace: "app", ...manager });
	onTestFinished(async () => void (await made.close()));
	return { manager: made, sessions: cookieSessions(made, { secret, ...options }) };
}

/** A request that brings what a browser would keep of a `Set-Cookie`. */
const bringing = (...cookies: string[]): Request =>
	new Request("http://app.test/", {
		headers: { cookie: cookies.map((cookie) => cookie.split(";")[0]).join("; ") },
	});

describe("the cookie", () => {
	test("is signed, HttpOnly, Secure, SameSite and bound to the host", async () => {
		const { sessions } = open();
		const { cookie, id } = await sessions.open(bringing());
		expect(cookie).toMatch(
			/^__Host-holdfast=[0-9a-f]{32}\.[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax; Secure; Max-Age=\d+$/,
		);
		expect(await sessions.of(bringing(cookie))).toEqual({ id, user: undefined });
	});

	test("is worth nothing without its signature, with another's, or under another name", async () => {
		const { sessions, manager } = open();
		const { cookie, id } = await sessions.open(bringing(), "ada");
		const other = await sessions.open(bringing(), "bob");
		const [value = "", theirs = ""] = [cookie, other.cookie].map((one) => /=([^;]+)/.exec(one)?.[1]);
		const signature = value.slice(33);
		for (const forged of [
			id,
			`${id}.`,
			`${id}.${"0".repeat(64)}`,
			`${other.id}.${signature}`,
			`${id}.${theirs.slice(33)}`,
			`${value}0`,
			value.slice(0, -1),
			value.toUpperCase(),
			`${id}.${signature.replace(/.$/, (last) => (last === "0" ? "1" : "0"))}`,
			"",
			"..",
		])
			expect(await sessions.of(bringing(`__Host-holdfast=${forged}`)), forged).toBeUndefined();
		expect(await sessions.of(bringing(`holdfast=${value}`))).toBeUndefined();
		const elsewhere = cookieSessions(manager, { secret, name: "other" });
		expect(await elsewhere.of(bringing(`other=${value}`))).toBeUndefined();
		// A forged one before the good one does not hide it.
		expect(await sessions.of(bringing(`__Host-holdfast=${id}.${"0".repeat(64)}`, cookie))).toMatchObject({
			id,
		});
	});

	test("outlives a change of secrets for as long as the old one is believed", async () => {
		const { sessions, manager } = open();
		const { cookie, id } = await sessions.open(bringing());
		const next = "fedcba9876543210fedcba9876543210";
		expect(await cookieSessions(manager, { secret: [next, secret] }).of(bringing(cookie))).toMatchObject({
			id,
		});
		expect(await cookieSessions(manager, { secret: next }).of(bringing(cookie))).toBeUndefined();
		for (const bad of ["", "short", [], undefined, [secret, "short"]])
			expect(() => cookieSessions(manager, { secret: bad as never })).toThrow("secret");
	});
});

describe("a session", () => {
	test("is resumed by the same principal only; another's is left as it is", async () => {
		const { sessions, manager } = open();
		const ada = await sessions.open(bringing(), "ada");
		await manager.session(ada.id).set("draft", "ada's");
		expect(await sessions.open(bringing(ada.cookie), "ada")).toMatchObject({ id: ada.id, isNew: false });
		for (const user of ["bob", undefined]) {
			const fresh = await sessions.open(bringing(ada.cookie), user);
			expect(fresh).toMatchObject({ user, isNew: true });
			expect(fresh.id).not.toBe(ada.id);
			expect(await manager.session(fresh.id).get("draft")).toBeUndefined();
		}
		expect(await manager.session(ada.id).get("draft")).toBe("ada's");
		expect(await sessions.open(bringing(ada.cookie), "ada")).toMatchObject({ id: ada.id, isNew: false });
	});

	test("has a new id after a login, with what it held when it was nobody's", async () => {
		const { sessions, manager } = open();
		const before = await sessions.open(bringing());
		for (let i = 0; i < 700; i++) await manager.session(before.id).set(`cart/${i}`, i);
		await manager.session(before.id).set("soon", 1, { ttl: "1h" });
		const after = await sessions.login(bringing(before.cookie), "ada");
		expect(after.id).not.toBe(before.id);
		const { count } = await manager
			.session(after.id)
			.count("cart/*")
			.then((n) => ({ count: n }));
		expect(count).toBe(700);
		expect((await manager.session(after.id).entry("soon"))?.expiresAt).toBeLessThanOrEqual(
			Date.now() + 3_600_000,
		);
		// What was known before is worth nothing now.
		expect(await sessions.of(bringing(before.cookie))).toBeUndefined();
		expect(await manager.session(before.id).count("**")).toBe(0);
		const again = await sessions.login(bringing(after.cookie), "ada");
		expect(await manager.session(again.id).count("cart/*")).toBe(700);
		expect(await sessions.of(bringing(after.cookie))).toBeUndefined();
		const bob = await sessions.login(bringing(again.cookie), "bob");
		expect(await manager.session(bob.id).count("**")).toBe(0);
		expect(await sessions.of(bringing(again.cookie))).toMatchObject({ user: "ada" });
	});

	test("ends when idle, at its absolute end however much it is used, and at a logout", async () => {
		const clock = new TestClock({ still: true });
		const { sessions } = open({ idle: "10m", absolute: "1h" }, { backend: memory({ clock }), clock });
		const idle = await sessions.open(bringing());
		clock.jump(9 * 60_000);
		expect(await sessions.of(bringing(idle.cookie))).toMatchObject({ id: idle.id });
		clock.jump(9 * 60_000);
		expect(await sessions.of(bringing(idle.cookie))).toMatchObject({ id: idle.id });
		clock.jump(10 * 60_000 + 1);
		expect(await sessions.of(bringing(idle.cookie))).toBeUndefined();
		const used = await sessions.open(bringing(idle.cookie));
		expect(used).toMatchObject({ isNew: true });
		for (let minutes = 0; minutes < 59; minutes += 5) {
			expect(await sessions.of(bringing(used.cookie)), `after ${minutes} minutes`).toBeDefined();
			clock.jump(5 * 60_000);
		}
		expect(await sessions.of(bringing(used.cookie))).toBeUndefined();
		const out = await sessions.open(bringing());
		expect(await sessions.logout(bringing(out.cookie))).toMatch(/^__Host-holdfast=; .*Max-Age=0$/);
		expect(await sessions.of(bringing(out.cookie))).toBeUndefined();
		expect(await sessions.logout(bringing())).toMatch(/Max-Age=0/);
	});
});

describe("over HTTP", () => {
	async function site() {
		const { sessions, manager } = open();
		const handler = createStateHandler(manager, {
			async authorize(request) {
				const session = await sessions.of(request);
				if (session === undefined) return null;
				const { id: own, user } = session;
				return {
					subject: user ?? `session:${own}`,
					can: ({ kind, id }) => (kind === "session" && id === own ? "write" : "none"),
				};
			},
		});
		const state = nodeHandler(handler);
		const login = nodeHandler(
			Object.assign((request: Request) => sessions.handle(request), handler, {
				serve: (request: Request) => sessions.handle(request),
			}),
		);
		const server = createServer((request, response) =>
			request.url === "/session" ? login(request, response) : state(request, response),
		);
		const url = await listen(server);
		onTestFinished(async () => {
			await handler.close();
			await shut(server);
		});
		return { url, manager, sessions };
	}

	/** What a browser does with cookies: the jar is all its tabs'. */
	function browser(url: string) {
		let cookie = "";
		const sent = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
			const headers = { ...(init.headers as object), "sec-fetch-site": "same-origin", cookie };
			const response = await fetch(input, { ...init, headers });
			const set = response.headers.get("set-cookie");
			if (set !== null) cookie = set.split(";")[0] as string;
			return response;
		};
		return { sent, open: () => openSession(`${url}/session`, sent as typeof fetch), cookie: () => cookie };
	}

	test("ten tabs of one browser that open at once have one session", async () => {
		const { url, manager } = await site();
		const { open: openTab, sent } = browser(url);
		const tabs = await Promise.all(Array.from({ length: 10 }, openTab));
		expect(new Set(tabs.map(({ id }) => id)).size).toBe(1);
		const [{ id } = { id: "" }] = tabs;
		const range = { from: "!0", to: null, limit: 10, bytes: 1000 };
		const list = (s: string) =>
			sent(`${url}/v1/list`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ s, range }),
			});
		await manager.session(id).set("a", 1);
		expect(await (await list(`app/session/${id}`)).json()).toMatchObject({ entries: [{ k: "a" }] });
		const other = await browser(url).open();
		expect(other.id).not.toBe(id);
		expect((await list(`app/session/${other.id}`)).status).toBe(403);
	});

	test("no other site opens one, no page load does, and whose session it is can't be written by its page", async () => {
		const { url, manager } = await site();
		const foreign = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
		expect((await fetch(`${url}/session`, { method: "POST", headers: foreign })).status).toBe(403);
		expect((await fetch(`${url}/session`)).status).toBe(405);
		const { open: openTab, sent } = browser(url);
		const { id } = await openTab();
		const meta = { op: "put", key: "!/session/meta", value: '{"user":"root"}', ttl: null };
		const batch = {
			s: `app/session/${id}`,
			writer: "w",
			sequence: 1,
			until: Date.now() + 10_000,
			floor: 0,
			step: 1,
			commits: [{ id: "w.1", do: [meta] }],
		};
		const response = await sent(`${url}/v1/commit`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ batches: [batch] }),
		});
		expect((await response.json()).batches[0].outcomes).toMatchObject([{ error: { code: "denied" } }]);
		expect(await openTab()).toEqual({ id, user: null });
		expect(await manager.session(id).count("**")).toBe(0);
	});
});
