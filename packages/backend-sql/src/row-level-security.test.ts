import { createStateManager } from "@holdfast/core";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

const ada = "default/user/ada";
const bob = "default/user/bob";

describe("row-level security elsewhere", () => {
	it("is refused, since only Postgres has it", async () => {
		const backend = sql("sqlite::memory:", { rowLevelSecurity: true });
		await expect(backend.scopes({ prefix: "", after: null, limit: 1 })).rejects.toMatchObject({
			code: "invalid-argument",
		});
		await backend.close();
	});
});

describe.skipIf(!hasPostgres())("row-level security", () => {
	let server: PostgresServer;

	const urlOf = (role: string): string => server.url.replace("postgres@", `${role}@`);

	/** A connection of a role, bound to a scope or to none, for as long as some work takes. */
	async function as<T>(
		role: string,
		scope: string | undefined,
		work: (query: (text: string) => Promise<pg.QueryResult>) => Promise<T>,
	): Promise<T> {
		const client = new pg.Client({ connectionString: urlOf(role) });
		await client.connect();
		try {
			await client.query("begin");
			if (scope !== undefined) await client.query("select set_config('holdfast.scope', $1, true)", [scope]);
			return await work((text) => client.query(text));
		} finally {
			await client.query("rollback");
			await client.end();
		}
	}

	const rowsOf = (role: string, scope: string | undefined, table: string) =>
		as(role, scope, async (query) => (await query(`select * from guarded.holdfast_${table}`)).rows);

	const secured: SqlOptions = {
		schema: "guarded",
		rowLevelSecurity: { readers: ["reader"], writers: ["editor"] },
	};

	const open = (options: SqlOptions = secured) =>
		createStateManager({ backend: sql(urlOf("keeper"), options), timeout: "1m" });

	beforeAll(async () => {
		server = await PostgresServer.start();
		await server.admin.query(`
			create role keeper login; create role reader login; create role editor login; create role granted login;
			create schema guarded authorization keeper;`);
		const manager = open();
		for (const [id, price] of [
			["ada", 1],
			["bob", 2],
		] as const)
			await manager.user(id).commit((tx) => {
				tx.set("price", price);
				tx.emit("priced", price);
			});
		await manager.close();
	});

	afterAll(async () => {
		await server.stop();
	});

	it("lets a bound connection read its scope's rows alone, in every table", async () => {
		for (const table of tableNames) expect(await rowsOf("reader", ada, table), table).toHaveLength(1);
		expect(await rowsOf("reader", ada, "scopes")).toMatchObject([{ scope: ada }]);
		expect(await rowsOf("reader", ada, "entries")).toMatchObject([{ key: "price", value: "1" }]);
		expect(await rowsOf("reader", bob, "entries")).toMatchObject([{ key: "price", value: "2" }]);
	});

	it("shows nothing of others to SQL that asks for them", async () => {
		const asked = await as("reader", ada, (query) =>
			query(`select * from guarded.holdfast_entries e join guarded.holdfast_scopes s on s.id = e.scope_id
				where s.scope = '${bob}' or e.value = '2'`),
		);
		expect(asked.rows).toEqual([]);
	});

	it("shows nothing without a binding, or with one to no scope", async () => {
		for (const table of tableNames)
			for (const scope of [undefined, "", "default/user/nobody"])
				expect(await rowsOf("reader", scope, table), `${table} ${scope}`).toEqual([]);
	});

	it("lets readers write nothing, by their grants", async () => {
		for (const write of [
			"update guarded.holdfast_entries set value = '3'",
			"delete from guarded.holdfast_changes",
			"insert into guarded.holdfast_scopes (scope, head, events_head, floor, time, changes_total, changes_cut, events_total, events_cut) values ('x', 0, 0, 0, 0, 0, 0, 0, 0)",
		])
			await expect(
				as("reader", ada, (query) => query(write)),
				write,
			).rejects.toMatchObject({ code: "42501" });
	});

	it("lets nobody else write either, whatever was granted", async () => {
		await server.admin.query(
			"grant usage on schema guarded to granted; grant all on all tables in schema guarded to granted",
		);
		const changed = await as("granted", ada, async (query) => {
			const updated = await query("update guarded.holdfast_entries set value = '3'");
			const deleted = await query("delete from guarded.holdfast_changes");
			return [updated.rowCount, deleted.rowCount];
		});
		expect(changed).toEqual([0, 0]);
		await expect(
			as("granted", ada, (query) =>
				query(`insert into guarded.holdfast_entries (scope_id, key, value, revision, created_revision)
					select id, 'mine', '1', 1, 1 from guarded.holdfast_scopes`),
			),
		).rejects.toMatchObject({ code: "42501" });
	});

	it("lets writers that were named write entries of their scope, and of no other", async () => {
		const changed = await as("editor", ada, async (query) => {
			const updated = await query("update guarded.holdfast_entries set value = '3' returning value");
			const others = await query(`update guarded.holdfast_entries set value = '3' where value = '2'`);
			return { updated: updated.rows, others: others.rowCount };
		});
		expect(changed).toEqual({ updated: [{ value: "3" }], others: 0 });
		const bobs = (await rowsOf("reader", bob, "scopes"))[0] as { id: string };
		await expect(
			as("editor", ada, (query) =>
				query(`insert into guarded.holdfast_entries (scope_id, key, value, revision, created_revision)
					values (${bobs.id}, 'mine', '1', 1, 1)`),
			),
		).rejects.toMatchObject({ code: "42501" });
		await expect(
			as("editor", ada, (query) => query("update guarded.holdfast_scopes set head = 1")),
		).rejects.toMatchObject({ code: "42501" });
	});

	it("binds the owner of the tables too, once it binds itself", async () => {
		expect(await rowsOf("keeper", bob, "entries")).toMatchObject([{ value: "2" }]);
		expect(await rowsOf("keeper", undefined, "entries")).toHaveLength(2);
	});

	it("leaves the backend all that it does, though its role is no superuser and security is forced", async () => {
		const { rows } = await server.admin.query(
			`select relname, relforcerowsecurity and relrowsecurity as forced from pg_class c
			join pg_namespace n on n.oid = c.relnamespace where nspname = 'guarded' and relkind = 'r' and relname ~ $1`,
			[`^holdfast_(${tableNames.join("|")})$`],
		);
		expect(rows.filter(({ forced }) => forced)).toHaveLength(tableNames.length);
		const [manager, other] = [open(), open()];
		const scope = manager.scope("room", "1");
		const heard: unknown[] = [];
		const watching = other.scope("room", "1").subscribe("*", ({ key, value }) => heard.push([key, value]));
		await watching.ready;
		await scope.set("a", 1);
		await scope.update("a", (n: number) => n + 1);
		await scope.increment("b", 2);
		await expect(scope.set("a", 5, { ifAbsent: true })).rejects.toMatchObject({ code: "conflict" });
		await scope.lock("door", async (lease) => scope.set("c", 3, { fence: lease }));
		await scope.delete("b");
		const listed: unknown[] = [];
		for await (const { key, value } of other.scope("room", "1").list()) listed.push([key, value]);
		expect(listed).toEqual([
			["a", 2],
			["c", 3],
		]);
		await expect.poll(() => heard, { timeout: 60_000 }).toContainEqual(["c", 3]);
		watching.stop();
		await Promise.all([manager.close(), other.close()]);
	});

	it("is installed once, though ten start together, and again with other roles", async () => {
		await server.admin.query("create schema crowded authorization keeper");
		const options: SqlOptions = { schema: "crowded", rowLevelSecurity: true, connections: 2 };
		const managers = Array.from({ length: 10 }, () => open(options));
		await Promise.all(managers.map((manager, i) => manager.user(String(i)).set("n", i)));
		await Promise.all(managers.map((manager) => manager.close()));
		const seen = () =>
			as(
				"reader",
				"default/user/3",
				async (query) => (await query("select * from crowded.holdfast_entries")).rows,
			);
		await expect(seen()).rejects.toMatchObject({ code: "42501" });
		const manager = open({ ...options, rowLevelSecurity: { readers: ["reader"] } });
		await manager.ready();
		expect(await seen()).toMatchObject([{ value: "3" }]);
		await manager.close();
	});

	it("refuses to start without, where it may not alter the tables", async () => {
		await server.admin.query("create schema bare authorization keeper");
		const first = open({ schema: "bare" });
		await first.ready();
		const strict = sql(urlOf("keeper"), { schema: "bare", rowLevelSecurity: true, migrate: false });
		await expect(strict.scopes({ prefix: "", after: null, limit: 1 })).rejects.toMatchObject({
			code: "failed",
			message: expect.stringContaining("row-level security"),
		});
		await Promise.all([first.close(), strict.close()]);
	});

	it("works through an application's own dialect", async () => {
		await server.admin.query("create schema own authorization keeper");
		const pool = new pg.Pool({ connectionString: urlOf("keeper"), max: 3 });
		const backend = sql({
			dialect: new PostgresDialect({ pool }),
			schema: "own",
			rowLevelSecurity: { readers: ["reader"] },
		});
		const manager = createStateManager({ backend, timeout: "1m" });
		await manager.user("ada").set("price", 1);
		await manager.user("bob").set("price", 2);
		const seen = await as("reader", ada, (query) => query("select value from own.holdfast_entries"));
		expect(seen.rows).toEqual([{ value: "1" }]);
		await manager.close();
	});
});
