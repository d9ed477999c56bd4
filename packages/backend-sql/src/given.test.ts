/** Pools that are given, and the views of the documentation. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager, type StateManager } from "@holdfast/core";
import { hasMysql, MysqlServer, mysqlName } from "@holdfast/test-servers/mysql-server";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { CompiledQuery, Kysely, MysqlDialect, PostgresDialect } from "kysely";
import mysql from "mysql2";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openSqlite } from "./drivers.js";
import { sql } from "./sql.js";

/** The statements of the documentation for this database: what makes a view, and what reads a log. */
function statementsOf(database: string): readonly string[] {
	const page = readFileSync(join(import.meta.dirname, "../../../docs/sql.md"), "utf8");
	return [...page.matchAll(/```sql\n(.*?)```/gs)].flatMap(([, block = ""]) => {
		const [, statement] = new RegExp(`^-- ${database}.*?\\n(.*?);`, "ms").exec(block) ?? [];
		return statement ?? [];
	});
}

async function fill(url: string): Promise<void> {
	const manager = createStateManager({ backend: sql(url), timeout: "1m" });
	await manager.shared.set("positions/AAPL", { shares: 10, price: 187.5 });
	await manager.shared.set("positions/OLD", { shares: 1, price: 1 }, { ttl: 1 });
	await manager.user("ada").set("positions/MSFT", { shares: 3, price: 402.25 });
	await manager.close();
}

const prices = "select symbol, scope, shares, price from positions order by symbol";
const priced = [
	{ symbol: "AAPL", scope: "default/shared", shares: 10, price: 187.5 },
	{ symbol: "MSFT", scope: "default/user/ada", shares: 3, price: 402.25 },
];

const newest = [
	{ key: "log/a", type: "set", value: '{"n":2}' },
	{ key: "log/b", type: "delete", value: null },
	{ key: "positions/MSFT", type: "set", value: '{"shares":3,"price":402.25}' },
];

/** What the newest changes are of, some of them made at once. */
async function logged(manager: StateManager): Promise<void> {
	const ada = manager.user("ada");
	await Promise.all([
		ada.set("log/a", { n: 1 }),
		ada.set("log/b", true),
		ada.set("positions/MSFT", { shares: 3, price: 402.25 }),
	]);
	await ada.set("log/a", { n: 2 });
	await ada.delete("log/b");
	await manager.close();
}

const asNumbers = (rows: readonly object[]) =>
	rows.map((row) => ({
		...row,
		...Object.fromEntries(
			Object.entries(row)
				.filter(([name]) => name === "shares" || name === "price")
				.map(([name, value]) => [name, Number(value)]),
		),
	}));

describe.skipIf(!hasPostgres())("Postgres", () => {
	let server: PostgresServer;
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());

	test("the view of the documentation shows prices", async () => {
		await fill(server.url);
		await server.admin.query(statementsOf("Postgres")[0] as string);
		expect(asNumbers((await server.admin.query(prices)).rows)).toEqual(priced);
	});

	test("the query of the documentation reads a log", async () => {
		const manager = createStateManager({ backend: sql(server.url), timeout: "1m" });
		await logged(manager);
		const { rows } = await server.admin.query(statementsOf("Postgres")[1] as string);
		expect(rows).toMatchObject(newest);
	});

	test("a Kysely that is given is shared, and stays open", async () => {
		const db = new Kysely<never>({
			dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: server.url, max: 4 }) }),
		});
		onTestFinished(() => db.destroy());
		for (let life = 1; life <= 2; life++) {
			const manager = createStateManager({ backend: sql({ db }), timeout: "1m" });
			expect(await manager.shared.increment("lives")).toBe(life);
			await manager.close();
			expect((await db.executeQuery(CompiledQuery.raw("select 1 as one"))).rows).toEqual([{ one: 1 }]);
		}
	});

	test("a dialect that is given is the backend's, which closes what it made of it", async () => {
		const pool = new pg.Pool({ connectionString: server.url, max: 4 });
		const manager = createStateManager({
			backend: sql({ dialect: new PostgresDialect({ pool }) }),
			timeout: "1m",
		});
		await manager.shared.set("a", 1);
		await manager.close();
		expect(pool.ended).toBe(true);
	});

	test("where it can listen it says nothing", async () => {
		const listening = async (): Promise<StateManager> => {
			const manager = createStateManager({ backend: sql(server.url), timeout: "1m" });
			onTestFinished(async () => void (await manager.close()));
			manager.on("error", (error) => told.push(error));
			await manager.shared.subscribe("n", () => {}).ready;
			return manager;
		};
		const told: unknown[] = [];
		const first = await listening();
		const listen = await vi.waitFor(
			async () => {
				const [row] = (await server.query(
					"select query from pg_stat_activity where query like 'listen \"%'",
				)) as readonly [{ readonly query: string }];
				return row.query;
			},
			{ timeout: 60_000 },
		);
		await first.close();
		const client = new pg.Client(server.url);
		onTestFinished(() => client.end());
		const echo = Promise.withResolvers<void>();
		client.on("notification", ({ payload }) => payload?.endsWith(" echo") && echo.resolve());
		await client.connect();
		await client.query(listen);
		const manager = await listening();
		// It tells itself that it listens.
		await echo.promise;
		await manager.close();
		expect(told).toEqual([]);
	});
});

describe.skipIf(!hasMysql())(mysqlName(), () => {
	let server: MysqlServer;
	beforeAll(async () => {
		server = await MysqlServer.start();
	});
	afterAll(() => server.stop());

	test("the view of the documentation shows prices", async () => {
		await fill(server.url);
		await server.admin.query(statementsOf("MariaDB, MySQL")[0] as string);
		const [rows] = await server.admin.query(prices);
		expect(asNumbers(rows as object[])).toEqual(priced);
	});

	test("a Kysely that is given is shared, and stays open", async () => {
		const db = new Kysely<never>({
			dialect: new MysqlDialect({ pool: mysql.createPool({ uri: server.url, connectionLimit: 4 }) }),
		});
		onTestFinished(() => db.destroy());
		const manager = createStateManager({ backend: sql({ db }), timeout: "1m" });
		expect(await manager.shared.increment("lives")).toBe(1);
		await manager.close();
		expect((await db.executeQuery(CompiledQuery.raw("select 1 as one"))).rows).toEqual([{ one: 1 }]);
	});
});

test("the query of the documentation reads a log of SQLite", async () => {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const file = join(folder, "state.db");
	await logged(createStateManager({ backend: sql(`sqlite:${file}`), timeout: "1m" }));
	const database = await openSqlite(file, undefined);
	onTestFinished(() => database.close());
	expect(database.prepare(statementsOf("SQLite")[0] as string).all([])).toMatchObject(newest);
});
