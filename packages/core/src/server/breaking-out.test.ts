/** Attempts to get at, or to do, what is not granted: over real HTTP. */
import { createServer, request as httpRequest } from "node:http";
import { describe, expect, vi } from "vitest";
import { z } from "zod";
import { field } from "../field.js";
import { lockUnder } from "../key.js";
import { createStateManager } from "../manager.js";
import { memory } from "../memory.js";
import { defineState } from "../state.js";
import { around } from "../testing/around.js";
import { TestClock } from "../testing/test-clock.js";
import { storedValue } from "../value.js";
import { countSent, queueKey } from "../wire/queue.js";
import { createStateHandler } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import type { Grant } from "./principal.js";
import { listen, type Page, shut, test } from "./with-server.js";

const shared = "app/shared";
const everything = { from: "!0", to: null, limit: 100, bytes: 100_000 };
const newest = { of: "changes", limit: 100, bytes: 100_000 };
const put = (key: string, text: string, ttl: number | null = null) => ({ op: "put", key, value: text, ttl });

/** Sends bytes as they are; answers the status and the body. */
const raw = (url: string, headers: Record<string, string>, body: string | Buffer, method = "POST") =>
	new Promise<{ status: number; body: string }>((resolve, reject) => {
		const request = httpRequest(url, { method, headers }, (response) => {
			let said = "";
			response.on("data", (chunk) => {
				said += chunk;
			});
			response.on("end", () => resolve({ status: response.statusCode ?? 0, body: said }));
		});
		request.on("error", reject);
		request.end(body);
	});

describe("another's scope", () => {
	const hostile = [
		"app/user/bob",
		"app/user/ada/",
		"app/user//ada",
		"app/user/",
		"app/user",
		"app/User/ada",
		"app//user/ada",
		"/app/user/ada",
		"other/user/ada",
		"app/user/ada!0",
		"app/user/!Qda",
		"app/shared/",
		"app/shared/x",
		"app",
		"",
		"app/__proto__/ada",
		"app/constructor/ada",
		"app/user/bob/../ada",
		"app/user/ada\u0000",
	];

	test("can't be read, listed, followed, written or dropped, under whatever name", async ({ serve }) => {
		const { manager, page } = await serve();
		const secret = await manager.user("bob").set("secret", "bob's");
		const ada = page("ada");
		for (const s of hostile) {
			const { reads } = await ada.ask("read", { reads: [{ s, keys: ["secret"] }] });
			expect(reads, s).toMatchObject([{ failed: "refused", error: { code: "denied" } }]);
			for (const [route, body] of [
				["list", { s, range: everything }],
				["log", { s, after: 0, query: newest }],
				["log", { s, after: secret - 1, query: newest }],
				["drop", { s }],
			] as const)
				expect(await ada.ask(route, body), `${route} ${s}`).toMatchObject({
					status: 403,
					error: { code: "denied" },
				});
			expect(await ada.put(s, "secret", "mine"), s).toMatchObject({ error: { code: "denied" } });
			// Not even to have it swept.
			const empty = { ...ada.batch(s, []), commits: [] };
			expect((await ada.ask("commit", { batches: [empty] })).batches).toMatchObject([
				{ error: { code: "denied" } },
			]);
		}
		const stream = await ada.stream(
			hostile.map((s) => ({ s, c: secret - 1 })),
			{ once: true },
		);
		await stream.ended;
		expect(stream.messages.slice(1, -1).map(({ t }) => t)).toEqual(hostile.map(() => "denied"));
		expect(JSON.stringify(stream.messages)).not.toContain("bob's");
		expect(await manager.user("bob").get("secret")).toBe("bob's");
	});

	test("one among several of a request is refused alone", async ({ serve }) => {
		const { manager, page } = await serve();
		const ada = page("ada");
		const { batches } = await ada.ask("commit", {
			batches: [
				ada.batch("app/user/bob", [put("a", "1") as never]),
				ada.batch("app/user/ada", [put("a", "1") as never]),
			],
		});
		expect(batches).toMatchObject([{ error: { code: "denied" } }, { outcomes: [[expect.any(Number), 1]] }]);
		expect(await manager.user("bob").get("a")).toBeUndefined();
	});

	test("is not told by a cursor of it: a cursor of another scope is a reset to what is one's own", async ({
		serve,
	}) => {
		const { manager, page } = await serve();
		await manager.user("ada").set("a", 1);
		await manager.user("bob").set("secret", "bob's");
		const bobs = await manager.user("bob").set("secret", "bob's again");
		const stream = await page("ada").stream([{ s: "app/user/ada", c: bobs }], { once: true });
		await stream.ended;
		expect(stream.messages.map(({ t }) => t)).toEqual(["hello", "reset", "ready", "bye"]);
		expect(JSON.stringify(stream.messages)).not.toContain("bob's");
	});

	test("who may read may not write, and nobody but an admin lists scopes or drops one", async ({ serve }) => {
		const { manager, page } = await serve();
		await manager.shared.set("a", 1);
		const guest = page("guest");
		expect((await guest.ask("read", { reads: [{ s: shared, keys: ["a"] }] })).reads[0].entries).toHaveLength(
			1,
		);
		expect(await guest.put(shared, "a", 2)).toMatchObject({ error: { code: "denied" } });
		for (const user of ["guest", "ada"]) {
			const range = { prefix: "app/", after: null, limit: 10 };
			expect(await page(user).ask("scopes", { range })).toMatchObject({ status: 403 });
			expect(await page(user).ask("drop", { s: shared })).toMatchObject({ status: 403 });
		}
		const range = { prefix: "app/", after: null, limit: 10 };
		expect((await page("root").ask("scopes", { range })).scopes).toMatchObject([{ s: shared }]);
		expect(await page("root").ask("scopes", { range: { ...range, prefix: "" } })).toMatchObject({
			status: 403,
		});
	});

	test("a grant that is no grant grants nothing", async ({ serve }) => {
		for (const grant of [
			{ subject: "", can: () => "admin" },
			{ subject: 5, can: () => "admin" },
			{ subject: "x".repeat(300), can: () => "admin" },
			{ subject: "ada" },
			{ subject: "ada", can: () => "admin", expires: Number.NaN },
			{},
		]) {
			const { page } = await serve({ handler: { authorize: () => grant as never } });
			expect(await page().ask("drop", { s: shared })).toMatchObject({
				status: 500,
				error: { code: "failed" },
			});
		}
		for (const access of [true, 1, "Admin", "toString", "constructor", undefined, ["admin"]]) {
			const { page } = await serve({
				handler: { authorize: () => ({ subject: "ada", can: () => access as never }) },
			});
			expect(await page().ask("list", { s: shared, range: everything })).toMatchObject({ status: 403 });
		}
	});
});

describe("what a page may not decide", () => {
	test("retention, origin and user are the server's; a floor can't push revisions away", async ({
		serve,
	}) => {
		const { manager, page } = await serve();
		const ada = page("ada");
		const batch = {
			...ada.batch(shared, [put("a", "1") as never], {
				origin: "somebody",
				metadata: { user: "bob", why: "mine" },
			}),
			floor: Number.MAX_SAFE_INTEGER - 10_000,
			keep: { changes: { count: 0, age: 0 }, events: { count: 0, age: 0 } },
		};
		const { batches, origin } = await ada.ask("commit", { batches: [batch] });
		const [revision] = batches[0].outcomes[0];
		expect(revision).toBeLessThan((Date.now() + 7_200_000) * 1000);
		const { records } = await ada.ask("log", { s: shared, after: 0, query: newest });
		expect(records).toMatchObject([{ o: `${origin}.${batch.writer}`, m: { user: "ada", why: "mine" } }]);
		expect(await manager.shared.set("a", 2)).toBeGreaterThan(revision);
		expect(await ada.commit(shared, [put("a", "1")], { metadata: ["ada"] })).toMatchObject({
			why: "rejected",
			error: { code: "invalid-argument" },
		});
	});

	test("no scope is sealed or extended as a whole, no key has two mutations", async ({ serve }) => {
		const { manager, page } = await serve();
		await manager.shared.set("a", 1);
		for (const mutations of [
			[{ op: "seal", note: "gone" }],
			[{ op: "touch", key: null, ttl: 1 }],
			[put("b", "1"), { op: "touch", key: null, ttl: 1 }],
			[put("b", "1"), put("b", "2")],
		])
			expect(await page("ada").commit(shared, mutations)).toMatchObject({ why: "rejected" });
		expect(await manager.shared.get("b")).toBeUndefined();
		await manager.shared.set("a", 2);
	});

	test("in the reserved segment only a lock, as a lock is", async ({ serve }) => {
		const { manager, page } = await serve();
		const ada = page("ada");
		const lock = `${lockUnder}orders`;
		const holder = JSON.stringify({ holder: "ada.1" });
		const free = { if: [{ key: lock, revision: 0 }] };
		for (const [mutation, more] of [
			[put("!/session/meta", "1"), {}],
			[put("!/x", "1"), { if: [{ key: "!/x", revision: 0 }] }],
			[put("!/lock/", holder, 1000), { if: [{ key: "!/lock/", revision: 0 }] }],
			[put("!/lock", holder, 1000), { if: [{ key: "!/lock", revision: 0 }] }],
			[put(lock, holder, 1000), {}],
			[put(lock, holder, null), free],
			[put(lock, holder, 600_000), free],
			[put(lock, '"ada"', 1000), free],
			[put(lock, '{"holder":"ada.1","more":1}', 1000), free],
			[put(lock, `{"holder":"${"x".repeat(500)}"}`, 1000), free],
			[put(lock, "{", 1000), free],
			[{ op: "delete", key: lock }, {}],
			[{ op: "delete", key: lock }, free],
			[{ op: "touch", key: lock, ttl: 1000 }, {}],
			[{ op: "add", key: lock, by: 1 }, free],
			[{ op: "add", key: "!/n", by: 1 }, {}],
			[{ op: "emit", type: "!/lock/x", payload: "1" }, {}],
			[put("a", "1"), { if: [{ key: "!/session/meta", revision: 0 }] }],
			[put("a", "1"), { if: [{ under: "!/lock/", count: 0, sum: 0 }] }],
		] as const)
			expect(await ada.commit(shared, [mutation], more), JSON.stringify([mutation, more])).toMatchObject({
				why: "rejected",
			});
		// As core does it.
		const [token] = await ada.commit(shared, [put(lock, holder, 30_000)], free);
		const held = { if: [{ key: lock, revision: token }] };
		expect(await ada.commit(shared, [{ op: "touch", key: lock, ttl: 30_000 }], held)).toMatchObject([
			token,
			0,
		]);
		expect(await manager.shared.tryLock("orders")).toMatchObject({ acquired: false, holder: "ada.1" });
		expect(
			await page("bob").commit(shared, [{ op: "delete", key: lock }], {
				if: [{ key: lock, revision: token - 1 }],
			}),
		).toMatchObject({ why: "condition" });
		expect(await ada.commit(shared, [{ op: "delete", key: lock }], held)).toMatchObject([
			expect.any(Number),
			1,
		]);
		expect(await manager.shared.tryLock("orders")).toMatchObject({ acquired: true });
		for (const from of ["", "!", "!/", "!/lock/", "!.zzz"])
			expect(await ada.ask("list", { s: shared, range: { ...everything, from } }), from).toMatchObject({
				status: 403,
			});
		const { reads } = await ada.ask("read", { reads: [{ s: shared, keys: ["!/session/meta"] }] });
		expect(reads).toMatchObject([{ error: { code: "denied" } }]);
	});

	test("a queue counts its own, once, and nobody else's", async ({ serve }) => {
		const { page } = await serve();
		const ada = page("ada");
		const { origin: mine } = await ada.ask("read", { reads: [] });
		const { origin: bobs } = await page("bob").ask("read", { reads: [] });
		const send = (n: number, tag = mine) =>
			ada.commit(shared, [{ op: "add", key: "sent", by: 1 }, countSent(tag, "q", n) as never]);
		expect(await send(1)).toMatchObject([expect.any(Number), 2, 1, 1]);
		expect(await send(1)).toMatchObject({ why: "bound", entry: { v: "1" } });
		expect(await send(3)).toMatchObject({ why: "bound" });
		expect(await send(2)).toMatchObject([expect.any(Number), 2, 2, 2]);
		expect(await send(3, bobs)).toMatchObject({ why: "rejected", error: { code: "denied" } });
		for (const mutation of [
			put(queueKey(mine, "q"), "9"),
			{ ...countSent(mine, "q", 3), max: 9 },
			{ ...countSent(mine, "q", 3), by: 2 },
			{ ...countSent(mine, "q", 3), base: 7 },
			{ ...countSent(mine, "q/../../lock/x", 3) },
			{ op: "delete", key: queueKey(bobs, "q") },
		])
			expect(await ada.commit(shared, [mutation]), JSON.stringify(mutation)).toMatchObject({
				why: "rejected",
			});
	});

	test("keys are those that core makes, and no others", async ({ serve }) => {
		const { page } = await serve();
		for (const key of [
			"",
			"a b",
			"a'b",
			"!",
			"!!",
			"a/*",
			"**",
			"a{b",
			"a\u0000",
			"a\ud800",
			"~9",
			"x".repeat(1100),
		]) {
			const answer = await page("ada").commit(shared, [put(key, "1")]);
			expect(answer.why ?? answer.status, key).toSatisfy((said) => said === "rejected" || said === 400);
		}
	});
});

describe("what the server's schema says", () => {
	const state = defineState({
		shared: {
			stock: z.int().min(0).max(10),
			even: z.number().refine((n) => n % 2 === 0),
			"notes/*": field(z.object({ text: z.string().max(5) }), { ttl: "1m" }),
			old: field(z.object({ n: z.number() }), { migrations: [(old) => ({ n: old.count })] }),
		},
		events: { traded: z.object({ price: z.number().positive() }) },
	});

	test("holds for every value, whatever the page's says", async ({ serve }) => {
		const { manager, page } = await serve({ manager: { state: state as never } });
		const ada = page("ada");
		for (const [mutation, code] of [
			[put("unknown", "1"), "unknown-key"],
			[{ op: "delete", key: "unknown" }, "unknown-key"],
			[put("stock", "11"), "validation-failed"],
			[put("stock", '"1"'), "validation-failed"],
			[put("stock", "1x"), "invalid-value"],
			[put("stock", "1e999"), "invalid-value"],
			[put("stock", ""), "invalid-value"],
			[put("notes/a", '{"text":"too long"}'), "validation-failed"],
			[put("notes/a", '{"__proto__":{"text":"a"}}'), "validation-failed"],
			[put("notes/a", '{"text":'), "invalid-value"],
			[put("notes/a", `${"[".repeat(100_000)}${"]".repeat(100_000)}`), "invalid-value"],
			[put("old", '{"$":"version","n":7,"v":{"n":1}}'), "schema-mismatch"],
			[{ op: "emit", type: "traded", payload: '{"price":-1}' }, "validation-failed"],
			[{ op: "emit", type: "unknown", payload: "1" }, "unknown-key"],
		] as const)
			expect(await ada.commit(shared, [mutation]), JSON.stringify(mutation).slice(0, 100)).toMatchObject({
				why: "rejected",
				error: { code, scope: "shared" },
			});
		// What it does not name is not stored; what is older is migrated; what lives too long is clamped.
		await ada.commit(shared, [
			put("notes/a", '{"text":"a","more":1,"__proto__":{"x":1}}', 3_600_000),
			put("notes/b", '{"text":"b"}', null),
			put("old", '{"count":3}'),
		]);
		expect(await manager.shared.get("notes/a")).toEqual({ text: "a" });
		expect(await manager.shared.get("old")).toEqual({ n: 3 });
		for (const key of ["notes/a", "notes/b"]) {
			const { expiresAt } = await manager.shared.entry(key);
			expect(expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
		}
		await ada.commit(shared, [{ op: "touch", key: "notes/a", ttl: 3_600_000 }]);
		expect((await manager.shared.entry("notes/a")).expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
	});

	test("bounds additions, or refuses them where it can't be told", async ({ serve }) => {
		const { manager, page } = await serve({ manager: { state: state as never } });
		const ada = page("ada");
		const add = (key: string, by: number, more: object = {}) =>
			ada.commit(shared, [{ op: "add", key, by, ...more }]);
		expect(await add("stock", 4)).toMatchObject([expect.any(Number), 1, 4]);
		expect(await add("stock", 7)).toMatchObject({ why: "bound" });
		expect(await add("stock", 7, { max: 100 })).toMatchObject({ why: "bound" });
		expect(await add("stock", -5, { min: -100 })).toMatchObject({ why: "bound" });
		expect(await add("stock", 2, { max: 5 })).toMatchObject({ why: "bound" });
		for (const [key, by, more] of [
			["stock", 0.5, {}],
			["stock", 1, { base: { now: 0 } }],
			["stock", 1, { max: { now: 0 } }],
			["even", 1, {}],
			["notes/a", 1, {}],
			["old", 1, {}],
			["unknown", 1, {}],
		] as const)
			expect(await add(key, by, more), `${key} ${by}`).toMatchObject({ why: "rejected" });
		expect(await manager.shared.get("stock")).toBe(4);
	});

	test("refuses one commit of a batch and lets the others through, also when it is sent again", async ({
		serve,
	}) => {
		const { manager, page } = await serve({ manager: { state: state as never } });
		const ada = page("ada");
		const batch = {
			...ada.batch(shared, []),
			commits: [
				{ id: "a", do: [put("stock", "99")] },
				{ id: "b", do: [put("stock", "5")] },
				{ id: "c", do: [put("nothing", "5")] },
			],
		};
		for (let i = 0; i < 2; i++) {
			const { batches } = await ada.ask("commit", { batches: [batch] });
			expect(batches[0].outcomes).toMatchObject([
				{ why: "rejected", error: { code: "validation-failed", key: "stock" } },
				[expect.any(Number), 1],
				{ why: "rejected", error: { code: "unknown-key", key: "nothing" } },
			]);
		}
		expect(await manager.shared.get("stock")).toBe(5);
	});
});

describe("bounds", () => {
	test("a body is counted as it comes, whatever its headers say", async ({ serve }) => {
		const { url, page } = await serve({ handler: { limits: { bodyBytes: 10_000 } } });
		const headers = { authorization: "Bearer ada", "content-type": "application/json" };
		const large = JSON.stringify({ reads: [], more: "x".repeat(20_000) });
		expect(await raw(`${url}/v1/read`, headers, large)).toMatchObject({ status: 413 });
		expect(await raw(`${url}/v1/read`, { ...headers, "transfer-encoding": "chunked" }, large)).toMatchObject({
			status: 413,
		});
		expect(await page("ada").ask("read", { reads: [] })).toMatchObject({ status: 200 });
	});

	test("values, commits, batches, keys and scopes have limits", async ({ serve }) => {
		const { page } = await serve({
			manager: { limits: { valueBytes: 100, commitMutations: 3, commitBytes: 250 } },
		});
		const ada = page("ada");
		const key = (i: number) => `k${i}`;
		const rejected = { why: "rejected", error: { code: "too-large" } };
		expect(await ada.put(shared, "a", "x".repeat(200))).toMatchObject(rejected);
		expect(await ada.put(shared, "a", "é".repeat(60))).toMatchObject(rejected);
		expect(
			await ada.commit(
				shared,
				[1, 2, 3, 4].map((i) => put(key(i), "1")),
			),
		).toMatchObject(rejected);
		expect(
			await ada.commit(
				shared,
				[1, 2, 3].map((i) => put(key(i), `"${"x".repeat(90)}"`)),
			),
		).toMatchObject(rejected);
		expect(await ada.commit(shared, [put("a", "1")], { metadata: { x: "x".repeat(20_000) } })).toMatchObject({
			status: 413,
		});
		const { status } = await ada.ask("read", { reads: [{ s: shared, keys: Array(1001).fill("a") }] });
		expect(status).toBe(413);
		const many = Array.from({ length: 10_001 }, (_, i) => ({ s: `app/room/${i}` }));
		await expect(ada.stream(many)).rejects.toThrow("413");
	});

	test("a small request can't have the server tell, or look through, very much", async ({ serve }) => {
		const asked: unknown[] = [];
		const inner = memory();
		const backend = around(inner, {
			read: (asks) => {
				asked.push(asks);
				return inner.read(asks);
			},
		});
		const { page } = await serve({ manager: { backend } });
		const ada = page("ada");
		// Larger than a page could write it, so that one is as much as many.
		const { commits: _, s: scope, ...first } = ada.batch(shared, []);
		const value = storedValue(`"${"x".repeat(34_000_000)}"`);
		const keep = { changes: { count: 10, age: 1000 }, events: { count: 10, age: 1000 } };
		const writing = [{ id: "huge", do: [{ op: "put", key: "huge", value, ttl: null } as const] }];
		await inner.commit([{ ...first, scope, commits: writing, keep }])[0];
		await ada.put(shared, "small", 1);
		const small = { s: shared, keys: ["small"] };
		const { reads } = await ada.ask("read", {
			reads: [
				small,
				{ s: shared, keys: ["small", "none", "small"] },
				{ s: shared, keys: Array(1000).fill("huge") },
				small,
			],
		});
		expect(reads[0].entries).toMatchObject([{ v: "1" }]);
		expect(reads[1].entries).toMatchObject([{ v: "1" }, null, { v: "1" }]);
		expect(reads[2]).toMatchObject({ failed: "refused", error: { code: "too-large", scope: "shared" } });
		expect(reads[3]).toEqual(reads[0]);
		expect(asked.at(-1)).toEqual([{ scope: shared, keys: ["small", "none", "huge"] }]);
		// What a refused commit is told of the entry counts, too.
		const conflict = (key: string) => ({ do: [put(key, "1")], if: [{ key, revision: 1 }] });
		const commits = [conflict("huge"), conflict("small"), { do: [put("a", "1")] }];
		const batch = ada.batch(shared, []);
		const { batches } = await ada.ask("commit", {
			batches: [{ ...batch, commits: commits.map((commit, i) => ({ id: `c${i}`, ...commit })) }],
		});
		expect(batches[0].outcomes).toMatchObject([
			{ why: "rejected", entry: null, error: { code: "too-large" } },
			{ why: "condition", entry: { k: "small" } },
			[expect.any(Number), 1],
		]);
		// To judge a listing takes as long as there are entries.
		const listed = (count: number) => ({ if: Array(count).fill({ under: "", count: 0, sum: 0 }) });
		expect(await ada.commit(shared, [put("b", "1")], listed(501))).toMatchObject({
			error: { code: "too-large" },
		});
		expect(await ada.commit(shared, [put("b", "1")], listed(500))).toMatchObject({ why: "condition" });
		const many = (count: number) => ({ if: Array(count).fill({ key: "b", revision: 0 }) });
		expect(await ada.commit(shared, [put("b", "1")], many(1001))).toMatchObject({
			error: { code: "too-large" },
		});
		expect(await ada.commit(shared, [put("b", "1")], many(1000))).toHaveLength(2);
	});

	test("writers of one subject, whose own others do not feel", async ({ serve }) => {
		const { page } = await serve({ handler: { limits: { writers: 3 } } });
		const pages: Page[] = Array.from({ length: 4 }, () => page("ada"));
		for (const each of pages.slice(0, 3)) expect(await each.put(shared, "a", 1)).toHaveLength(2);
		expect(await pages[3]?.put(shared, "a", 1)).toMatchObject({ failed: "busy" });
		expect(await pages[0]?.put(shared, "a", 1)).toHaveLength(2);
		expect(await page("bob").put(shared, "a", 1)).toHaveLength(2);
	});

	test("a batch that shall live for long", async ({ serve }) => {
		const { page } = await serve();
		const ada = page("ada");
		const batch = { ...ada.batch(shared, [put("a", "1") as never]), until: Date.now() + 3_600_000 };
		expect((await ada.ask("commit", { batches: [batch] })).batches).toMatchObject([{ failed: "overdue" }]);
	});
});

describe("malformed requests", () => {
	test("are refused with a word, and leave the server well", async ({ serve }) => {
		const { page, url } = await serve();
		const ada = page("ada");
		const good = ada.batch(shared, [put("a", "1") as never]);
		const bad = (change: object) => JSON.stringify({ batches: [{ ...good, ...change }] });
		const bodies = [
			"",
			"{",
			"null",
			"[]",
			"5",
			'{"batches":{}}',
			'{"batches":[null]}',
			'{"__proto__":{"batches":[]}}',
			`{"batches":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
			bad({ s: 5 }),
			bad({ s: "x".repeat(5000) }),
			bad({ writer: "" }),
			bad({ writer: "a b" }),
			bad({ writer: { toString: "x" } }),
			bad({ sequence: -1 }),
			bad({ sequence: 1.5 }),
			bad({ sequence: "1" }),
			bad({ until: null }),
			bad({ floor: -1 }),
			bad({ floor: 2 ** 60 }),
			bad({ step: 0 }),
			bad({ step: 4097 }),
			bad({ commits: [{ id: "a" }] }),
			bad({ commits: [{ id: 'a"; drop table', do: [] }] }),
			bad({ commits: [{ id: "a", do: [{ op: "toString" }] }] }),
			bad({ commits: [{ id: "a", do: [{ op: "__proto__" }] }] }),
			bad({ commits: [{ id: "a", do: [put("a", 5 as never)] }] }),
			bad({ commits: [{ id: "a", do: [put("a", "1", 0)] }] }),
			bad({ commits: [{ id: "a", do: [put("a", "1", -5)] }] }),
			bad({ commits: [{ id: "a", do: [put("a", "1", 1e300)] }] }),
			bad({ commits: [{ id: "a", do: [put("a\ud800", "1")] }] }),
			bad({ commits: [{ id: "a", do: [{ op: "add", key: "a", by: null }] }] }),
			bad({ commits: [{ id: "a", do: [], if: [{}] }] }),
			bad({ commits: [{ id: "a", do: [], quiet: 1 }] }),
		];
		for (const body of bodies) {
			const response = await ada.send("commit", body);
			expect(response.status, body.slice(0, 200)).toBe(400);
			expect((await response.json()).error.code, body.slice(0, 200)).toBe("invalid-argument");
		}
		const headers = { authorization: "Bearer ada", "content-type": "application/json" };
		const invalid = await raw(`${url}/v1/read`, headers, Buffer.from([0x22, 0xff, 0xfe, 0x22]));
		expect(invalid.status).toBe(400);
		expect(await raw(`${url}/v1/nothing`, headers, "{}")).toMatchObject({ status: 404 });
		expect(await raw(`${url}/v1/toString`, headers, "{}")).toMatchObject({ status: 404 });
		expect(await raw(`${url}/v1/commit`, headers, "", "GET")).toMatchObject({ status: 405 });
		expect(await raw(`${url}/v1/commit`, headers, "", "DELETE")).toMatchObject({ status: 405 });
		expect(await raw(`${url}/v1/read`, { ...headers, host: "a/b?c" }, "{}")).toMatchObject({ status: 400 });
		expect(await ada.put(shared, "a", 1)).toHaveLength(2);
	});

	test("and nothing of what is malformed ends up on Object.prototype", async ({ serve }) => {
		const { manager, page } = await serve();
		await page("ada").commit(shared, [
			put("__proto__", '{"__proto__":{"polluted":1}}'),
			put("constructor", '{"prototype":{"polluted":1}}'),
		]);
		expect(({} as { polluted?: number }).polluted).toBeUndefined();
		expect(Object.keys(await manager.shared.get("__proto__"))).toEqual(["__proto__"]);
		const { reads } = await page("ada").ask("read", {
			reads: [{ s: shared, keys: ["__proto__", "toString"] }],
		});
		expect(reads[0].entries).toMatchObject([{ k: "__proto__" }, null]);
	});
});

describe("replays", () => {
	test("somebody else's batch, writer or sequence is one's own writer, and harms nobody's", async ({
		serve,
	}) => {
		const { manager, page } = await serve();
		const [ada, bob] = [page("ada"), page("bob")];
		const batch = ada.batch(shared, [{ op: "add", key: "n", by: 1 }]);
		const first = await ada.ask("commit", { batches: [batch] });
		// Seen in a log, say. Memory remembers no writers; what counts is that they are told apart.
		const replayed = await bob.ask("commit", { batches: [{ ...batch, sequence: 10_000 }] });
		const { records } = await ada.ask("log", { s: shared, after: 0, query: newest });
		const [adas, bobs] = records.map(({ o }: { o: string }) => o);
		expect(adas).toBe(`${first.origin}.${batch.writer}`);
		expect(bobs).toBe(`${replayed.origin}.${batch.writer}`);
		expect(adas).not.toBe(bobs);
		expect(records.map(({ m }: { m: object }) => m)).toEqual([{ user: "ada" }, { user: "bob" }]);
		expect(await ada.commit(shared, [{ op: "add", key: "n", by: 1 }])).toHaveLength(3);
		expect(await manager.shared.get("n")).toBe(3);
	});
});

describe("other sites", () => {
	const byCookie = (request: Request) => {
		const [, user] = /user=(\w+)/.exec(request.headers.get("cookie") ?? "") ?? [];
		const [, bearer] = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
		const subject = bearer ?? user;
		return subject === undefined ? null : { subject, can: () => "write" as const };
	};
	const body = JSON.stringify({ reads: [] });
	const json = { "content-type": "application/json", cookie: "user=ada" };

	test("can't use the cookie of their visitor", async ({ serve }) => {
		const { url } = await serve({
			handler: { authorize: byCookie, origins: ["https://app.example.com"] },
		});
		const read = async (headers: Record<string, string>) =>
			(await raw(`${url}/v1/read`, { ...json, ...headers }, body)).status;
		const { host } = new URL(url);
		expect(await read({ "sec-fetch-site": "same-origin" })).toBe(200);
		expect(await read({ origin: `http://${host}` })).toBe(200);
		expect(await read({ origin: `https://${host}` })).toBe(200);
		expect(await read({ origin: "https://app.example.com", "sec-fetch-site": "cross-site" })).toBe(200);
		for (const headers of [
			{},
			{ "sec-fetch-site": "cross-site" },
			{ "sec-fetch-site": "same-site" },
			{ "sec-fetch-site": "none" },
			{ "sec-fetch-site": "same-origin, cross-site" },
			{ "sec-fetch-site": "cross-site", origin: `http://${host}` },
			{ origin: "https://evil.example" },
			{ origin: "null" },
			{ origin: `http://${host}.evil.example` },
			{ origin: `http://evil.example/${host}` },
			{ origin: `http://${host}@evil.example` },
			{ origin: "https://app.example.com.evil.example" },
			{ referer: url },
			{ "x-forwarded-host": host, origin: "https://evil.example" },
		] as Record<string, string>[])
			expect(await read(headers), JSON.stringify(headers)).toBe(401);
		// A token is no cookie: no browser adds it by itself.
		expect(await read({ authorization: "Bearer bob", "sec-fetch-site": "cross-site" })).toBe(200);
	});

	test("can't send what a form can send, nor read an answer", async ({ serve }) => {
		const { url } = await serve({ handler: { authorize: byCookie, origins: ["https://app.example.com"] } });
		for (const type of [
			"text/plain",
			"application/x-www-form-urlencoded",
			"multipart/form-data",
			"text/json",
			"",
		])
			expect(
				await raw(`${url}/v1/read`, { ...json, "content-type": type, "sec-fetch-site": "same-origin" }, body),
				type,
			).toMatchObject({ status: 400 });
		const preflight = (origin: string) => fetch(`${url}/v1/read`, { method: "OPTIONS", headers: { origin } });
		expect((await preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
		const trusted = await preflight("https://app.example.com");
		expect(trusted.headers.get("access-control-allow-origin")).toBe("https://app.example.com");
		expect(trusted.headers.get("access-control-allow-headers")).toContain("holdfast-user");
	});

	test("a stream by GET takes no foreign cookie either", async ({ serve }) => {
		const { url } = await serve({ handler: { authorize: byCookie } });
		expect(
			await raw(
				`${url}/v1/stream?s=${shared}`,
				{ cookie: "user=ada", "sec-fetch-site": "cross-site" },
				"",
				"GET",
			),
		).toMatchObject({ status: 401 });
	});
});

describe("who the page believes to be", () => {
	test("must be who the cookie says: nothing is written under another name", async ({ serve }) => {
		const { manager, page } = await serve();
		const ada = page("ada");
		const asBob = { "holdfast-user": "bob" };
		const batch = ada.batch(shared, [put("a", "1") as never]);
		expect(await ada.ask("commit", { batches: [batch] }, asBob)).toMatchObject({
			status: 409,
			error: { code: "identity-changed" },
		});
		expect(await manager.shared.get("a")).toBeUndefined();
		expect(await ada.ask("read", { reads: [] }, asBob)).toMatchObject({ status: 409 });
		await expect(ada.stream([{ s: shared }], {}, asBob)).rejects.toThrow("409");
		expect(await ada.ask("read", { reads: [] }, { "holdfast-user": "ada" })).toMatchObject({
			status: 200,
			user: "ada",
		});
	});

	test("logged out in another tab, the page's next word is refused and its stream ends", async ({
		serve,
	}) => {
		const sessions = new Map([["s1", "ada"]]);
		const authorize = (request: Request) => {
			const user = sessions.get(request.headers.get("x-session") ?? "");
			return user === undefined ? null : { subject: user, can: () => "write" as const };
		};
		const { page, handler, manager } = await serve({ handler: { authorize } });
		const tab = page();
		const headers = { "x-session": "s1", "holdfast-user": "ada" };
		const stream = await tab.stream([{ s: shared }], {}, headers);
		await stream.told("ready");
		// The other tab logs out, and somebody else logs in.
		sessions.delete("s1");
		handler.revoke("ada");
		await stream.ended;
		expect(stream.messages.at(-1)).toMatchObject({ t: "bye", why: "revoked" });
		const batch = tab.batch(shared, [put("a", "1") as never]);
		expect(await tab.ask("commit", { batches: [batch] }, headers)).toMatchObject({ status: 401 });
		sessions.set("s1", "bob");
		expect(await tab.ask("commit", { batches: [batch] }, headers)).toMatchObject({ status: 409 });
		await expect(tab.stream([{ s: shared }], {}, headers)).rejects.toThrow("409");
		expect(await manager.shared.get("a")).toBeUndefined();
	});
});

test("nothing that a store says in confidence is told", async () => {
	const { memory } = await import("../memory.js");
	const inner = memory();
	const secret = "postgres://user:password@db";
	const backend = Object.assign(inner, {
		list: () => {
			throw new Error(secret);
		},
		commit: (batches: readonly unknown[]) =>
			batches.map(() => ({
				failed: "unknown" as const,
				message: "the store broke off",
				cause: new Error(secret),
			})),
	});
	const handler = createStateHandler(backend, { authorize: () => ({ subject: "ada", can: () => "write" }) });
	const server = createServer(nodeHandler(handler));
	const url = await listen(server);
	const { Page } = await import("./with-server.js");
	const ada = new Page(url, "ada");
	const said = [
		await ada.ask("list", { s: "default/shared", range: everything }),
		await ada.put("default/shared", "a", 1),
	];
	expect(said).toMatchObject([{ status: 500 }, { failed: "unknown" }]);
	expect(JSON.stringify(said)).not.toContain("password");
	await handler.close();
	await shut(server);
	vi.restoreAllMocks();
});

describe("a request whose body comes long after its head", () => {
	for (const { why, expiresIn, wait } of [
		{ why: "the user has logged out", expiresIn: undefined, wait: 61_000 },
		{ why: "the grant has ended", expiresIn: 30_000, wait: 31_000 },
	])
		test(`is refused where ${why}`, async () => {
			const clock = new TestClock({ still: true });
			const manager = createStateManager({ backend: memory({ clock }), clock });
			const grant: Grant = {
				subject: "ada",
				can: () => "write",
				...(expiresIn !== undefined && { expires: clock.now() + expiresIn }),
			};
			let isLoggedIn = true;
			const authorize = vi.fn(() => (isLoggedIn ? grant : null));
			const handler = createStateHandler(manager, { authorize, regrant: "1m" });
			const { promise: sent, resolve: send } = Promise.withResolvers<string>();
			const body = new ReadableStream({
				async pull(controller) {
					controller.enqueue(new TextEncoder().encode(await sent));
					controller.close();
				},
			});
			const request = new Request("http://localhost/v1/commit", {
				method: "POST",
				headers: { "content-type": "application/json" },
				body,
				duplex: "half",
			} as RequestInit);
			const answer = handler(request);
			await vi.waitFor(() => expect(authorize).toHaveBeenCalledOnce(), 20_000);
			isLoggedIn = expiresIn !== undefined;
			clock.jump(wait);
			const commits = [{ id: "x", do: [put("a", "1")] }];
			const batch = { writer: "w", sequence: 1, until: clock.now() + 10_000, floor: 0, step: 1, commits };
			send(JSON.stringify({ batches: [{ s: "default/shared", ...batch }] }));
			expect((await answer).status).toBe(401);
			expect(await manager.shared.get("a")).toBeUndefined();
			await handler.close();
			await manager.close();
		});
});
