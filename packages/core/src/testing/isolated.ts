/** Promise 4: nothing of one scope reaches another, and none can fail or stall another's commit. */
import { expect } from "vitest";
import type { BatchAnswer, Failure, ScopeId, Soon } from "../backend.js";
import { jsonCodec } from "../codec.js";
import { compareKeys, formatScopeId } from "../key.js";
import { around } from "./around.js";
import { type Check, check } from "./check.js";
import { anyScope, Client, emit, isFailure, put } from "./client.js";
import { hostileNames } from "./hostile.js";
import type { Trial } from "./trial.js";

const scopeOf = (id: string, namespace = "conformance"): ScopeId =>
	formatScopeId({ namespace, kind: "room", id });

/** A scope for every hostile id, and some beside them; each holds its own name under the same key, twice. */
async function hostileScopes(trial: Trial): Promise<readonly Client[]> {
	const backend = await trial.backend();
	const scopes = [
		...hostileNames.map((id) => scopeOf(id)),
		"conformance/room",
		formatScopeId({ namespace: "conformance", kind: "Room", id: "a" }),
		formatScopeId({ namespace: "conformance", kind: "roo", id: "m" }),
		formatScopeId({ namespace: "conformance2", kind: "room", id: "a" }),
		formatScopeId({ namespace: "Conformance", kind: "room", id: "a" }),
	];
	const clients = scopes.map((scope) => new Client(backend, scope));
	await Promise.all(
		clients.map((client) => client.apply(put("name", client.scope), emit("named", client.scope))),
	);
	await Promise.all(clients.map((client) => client.apply(put("twice/name", client.scope))));
	return clients;
}

export const isolated: readonly Check[] = [
	check(4, "scopes of hostile ids hold, list and log what is theirs alone", async (trial) => {
		for (const client of await hostileScopes(trial)) {
			const own = JSON.stringify(client.scope);
			const entries = await client.list();
			expect(
				entries.map(({ key, value }) => `${key}=${value.text}`),
				`what ${own} lists`,
			).toEqual([`name=${own}`, `twice/name=${own}`]);
			expect(await client.text("name"), `what ${own} reads`).toBe(own);
			const { records } = await client.log();
			expect(
				records.flatMap(({ changes }) => changes.map(({ entry }) => entry?.value.text)),
				`what the log of ${own} holds`,
			).toEqual([own, own]);
			const events = await client.log(0, { of: "events" });
			expect(
				events.records.flatMap(({ events: facts }) => facts.map(({ payload }) => payload.text)),
				`the events of ${own}`,
			).toEqual([own]);
		}
	}),

	check(4, "dropping a scope leaves those with similar ids alone", async (trial) => {
		const clients = await hostileScopes(trial);
		const dropped = new Set(["a", "%", "a_b", "\0", "a/", "é", "}{", "a*"].map((id) => scopeOf(id)));
		for (const client of clients) if (dropped.has(client.scope)) await client.backend.drop(client.scope);
		for (const client of clients)
			expect(await client.list(), `what ${client.scope} lists`).toHaveLength(
				dropped.has(client.scope) ? 0 : 2,
			);
	}),

	check(4, "who watches a scope hears nothing of another", async (trial) => {
		const clients = await hostileScopes(trial);
		const ears = await Promise.all(clients.map((client) => client.watch()));
		for (const client of clients) await client.apply(put("heard", client.scope));
		for (const [i, client] of clients.entries()) {
			const ear = ears[i] as (typeof ears)[number];
			await trial.eventually(`${client.scope} is signalled`, () => expect(ear.signals).not.toEqual([]));
			for (const { changes } of ear.records)
				for (const { key, entry } of changes)
					expect([key, entry?.value.text], `what ${client.scope} heard`).toEqual([
						"heard",
						JSON.stringify(client.scope),
					]);
			ear.stop();
		}
	}),

	check(4, "scopes are listed by prefix, in the order of their ids, page by page", async (trial) => {
		const clients = await hostileScopes(trial);
		const backend = await trial.backend();
		for (const prefix of [
			"",
			"conformance/",
			"conformance/room/",
			scopeOf("a"),
			scopeOf("a_"),
			"conformance/roo/",
			"none",
		]) {
			const expected = clients
				.map(({ scope }) => scope)
				.filter((scope) => scope.startsWith(prefix))
				.sort(compareKeys);
			const found: ScopeId[] = [];
			for (let after: ScopeId | null = null; ; ) {
				const page = await backend.scopes({ prefix, after, limit: 7 });
				found.push(...page.scopes.map(({ scope }) => scope));
				after = page.scopes.at(-1)?.scope ?? null;
				if (!page.more || after === null) break;
			}
			expect(found, `the scopes under ${JSON.stringify(prefix)}`).toEqual(expected);
		}
		const { scopes } = await backend.scopes({ prefix: scopeOf("a"), after: null, limit: 1 });
		expect(scopes[0], "what is known of a scope").toEqual({
			scope: scopeOf("a"),
			head: (await new Client(backend, scopeOf("a")).read()).head,
			next: null,
		});
	}),

	check(4, "hostile keys are keys like any other, through a manager", async (trial) => {
		const manager = await trial.manager();
		const names = hostileNames.filter((name) => !/(^|\/)\*\*?(\/|$)/.test(name));
		const mine = manager.user("a");
		await Promise.all(names.map((name) => mine.set(name, name)));
		expect(await mine.getMany(names)).toEqual(names);
		const listed: string[] = [];
		for await (const { key, value } of mine.list()) {
			expect(value, `the value of ${JSON.stringify(key)}`).toBe(key);
			listed.push(key);
		}
		expect([...listed].sort(), "all keys").toEqual([...names].sort());
		const heard: string[] = [];
		const watching = mine.subscribe("**", ({ key }) => heard.push(key));
		await watching.ready;
		for (const name of names) expect(await mine.delete(name), `deleting ${JSON.stringify(name)}`).toBe(true);
		await trial.eventually("all deletions are heard", () => expect(heard).toHaveLength(names.length));
		expect(heard).toEqual(names);
		expect(await mine.count()).toBe(0);
	}),

	check(4, "users of hostile ids are apart, and patterns stay in their scope", async (trial) => {
		const manager = await trial.manager();
		const heard = new Map<string, unknown[]>();
		for (const id of hostileNames) {
			const values: unknown[] = [];
			heard.set(id, values);
			await manager.user(id).subscribe("**", ({ value }) => values.push(value)).ready;
		}
		await Promise.all(hostileNames.map((id) => manager.user(id).set("name", id)));
		for (const id of hostileNames) {
			expect(await manager.user(id).get("name"), `the name of user ${JSON.stringify(id)}`).toBe(id);
			await trial.eventually(`user ${JSON.stringify(id)} hears`, () => expect(heard.get(id)).toEqual([id]));
		}
		expect(await manager.shared.count(), "entries of the shared scope").toBe(0);
		expect(await manager.session("a").count(), "entries of a session with a user's id").toBe(0);
	}),

	check(4, "namespaces are apart", async (trial) => {
		const [one, other] = [await trial.manager(), await trial.manager({ namespace: "other" })];
		await one.shared.set("a", 1);
		expect(await other.shared.get("a")).toBeUndefined();
		await other.shared.set("a", 2);
		await other.shared.drop();
		expect(await one.shared.get("a")).toBe(1);
	}),

	check(
		4,
		"a batch that fails or is refused does not fail those of other scopes in the same call",
		async (trial) => {
			const backend = await trial.backend();
			const good = Array.from({ length: 6 }, (_, i) => new Client(backend, `${anyScope}-good-${i}`));
			const bad = new Client(backend, `${anyScope}-bad`);
			const overdue = new Client(backend, `${anyScope}-overdue`);
			const batches = await Promise.all(good.map((client) => client.batch([[put("a", 1)]])));
			const refused = await bad.batch([{ if: [{ key: "a", revision: 1 }], do: [put("a", 1)] }]);
			const late = await overdue.batch([[put("a", 1)]], { until: 1 });
			// What databases refuse in text, in JSON and as identifiers; as values all of it is fine.
			const odd = new Client(backend, `${anyScope}-odd`);
			const text = "\0 \\u0000 \u{1f600} ' \" \\ \u2028 {} \x7f";
			const strange = await odd.batch([[put("a", text)]]);
			const calls = [late, ...batches.slice(0, 3), refused, strange, ...batches.slice(3)];
			const answers = await Promise.all(backend.commit(calls));
			for (const [i, client] of good.entries()) {
				const at = calls.indexOf(batches[i] as (typeof batches)[number]);
				const answer = answers[at];
				if (answer !== undefined && isFailure(answer) && answer.failed === "unknown")
					await client.deliver(batches[i] as (typeof batches)[number]);
				else expect(answer, "the answer to a good batch").toMatchObject({ outcomes: [{ ok: true }] });
				expect(await client.text("a"), "what a good batch wrote").toBe("1");
			}
			expect((await bad.read("a")).entries).toEqual([null]);
			expect((await overdue.read("a")).entries).toEqual([null]);
			await odd.deliver(strange);
			expect((await odd.entry("a"))?.value.data(jsonCodec)).toBe(text);
		},
	),

	check(4, "one scope's slowness holds no other scope's commit or read", async (trial) => {
		const inner = await trial.backend();
		const slow = formatScopeId({ namespace: "conformance", kind: "user", id: "slow" });
		let held: Promise<void> | undefined;
		const backend = around(inner, {
			commit: (batches) =>
				batches.map((batch) => {
					const run = () => inner.commit([batch])[0] as Soon<BatchAnswer | Failure>;
					return held !== undefined && batch.scope === slow ? held.then(run) : run();
				}),
		});
		const manager = await trial.manager({ backend });
		await manager.user("slow").set("a", 0);
		const { promise, resolve: letGo } = Promise.withResolvers<void>();
		held = promise;
		let settled = false;
		const writing = manager
			.user("slow")
			.set("a", 1)
			.finally(() => {
				settled = true;
			});
		writing.catch(() => {});
		await trial.within(
			"writes to other scopes",
			Promise.all(
				Array.from({ length: 20 }, async (_, i) => {
					const other = manager.user(`quick-${i}`);
					await other.set("a", i);
					expect(await other.get("a")).toBe(i);
				}),
			),
		);
		expect(settled, "whether the slow scope's write was done first").toBe(false);
		letGo();
		await trial.within("the slow scope's write", writing);
	}),

	check(
		4,
		"a bad value fails alone, beside the commits of the same turn, in its scope and in others",
		async (trial) => {
			const manager = await trial.manager();
			const outcomes = await Promise.allSettled([
				manager.shared.set("before", 1),
				manager.shared.set("bad", () => {}),
				manager.shared.set("huge", "v".repeat(2 ** 20)),
				manager.user("a").set("lone", "\ud800"),
				manager.user("a").set("good", "\0"),
				manager.shared.increment("before"),
				manager.shared.set("before", 9, { ifAbsent: true }),
				manager.shared.set("after", 1),
			]);
			expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual([
				true,
				false,
				false,
				false,
				true,
				true,
				false,
				true,
			]);
			expect(await manager.shared.getMany(["before", "bad", "huge", "after"])).toEqual([
				2,
				undefined,
				undefined,
				1,
			]);
			expect(await manager.user("a").get("good")).toBe("\0");
		},
	),

	check(4, "a lock that is held stalls no write, and no lock of another scope or name", async (trial) => {
		const [holder, other] = [await trial.manager(), await trial.manager()];
		await holder.user("a").lock("job", async () => {
			await trial.within("a write to the same scope", other.user("a").set("x", 1));
			await trial.within(
				"a lock of another name",
				other.user("a").lock("other", () => {}),
			);
			await trial.within(
				"the same lock of another scope",
				other.user("b").lock("job", () => {}),
			);
			expect((await other.user("a").tryLock("job")).acquired, "the lock itself").toBe(false);
		});
	}),
];
