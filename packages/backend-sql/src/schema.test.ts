/** The tables come to be in several ways, all of which end alike. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createStateManager } from "@holdfast/core";
import { hasMysql, MysqlServer, mysqlName } from "@holdfast/test-servers/mysql-server";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import type { Program } from "@holdfast/test-servers/worker";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Order, Written } from "./crash-orders.js";
import { crashProgram } from "./crash-program.js";
import { openSqlite } from "./drivers.js";
import type { SqlOptions } from "./options.js";
import { schemaOf, sqlSchema } from "./schema.js";
import { sql } from "./sql.js";
import { steps } from "./tables.js";

let program: Program;

beforeAll(async () => {
	program = await crashProgram();
});

afterAll(() => program.dispose());

/** A place in a database, of its own. */
interface Empty {
	readonly url: string;
	readonly options: SqlOptions;
	/** Runs SQL, and answers the rows of its last statement. */
	run(text: string): Promise<readonly object[]>;
	/** All that the schema is made of. */
	describe(): Promise<unknown>;
}

const manage = ({ url, options }: Empty, more: SqlOptions = {}) => {
	const manager = createStateManager({ backend: sql(url, { ...options, ...more }), timeout: "20s" });
	onTestFinished(async () => void (await manager.close()));
	return manager;
};

async function opens(empty: Empty, options: SqlOptions = {}): Promise<void> {
	const { shared } = manage(empty, options);
	await shared.set("a", 1);
	expect(await shared.get("a")).toBe(1);
}

const failed = async (work: Promise<unknown>) =>
	work.then(
		() => "done",
		(error) => [error.code, error.message],
	);

function schemaTests(engine: "sqlite" | "postgres" | "mysql", make: () => Promise<Empty>): void {
	test("the file of the package is what the migrations make", async () => {
		await expect(sqlSchema(engine)).toMatchFileSnapshot(`../schema/${engine}.sql`);
	});

	test("applied by hand, once or twice, it is what the migrator makes, and nothing is left for it to do", async () => {
		const [byHand, byMigrator] = [await make(), await make()];
		const text = sqlSchema(engine, byHand.options);
		await byHand.run(text);
		await byHand.run(text);
		await opens(byMigrator);
		expect(await byHand.describe()).toEqual(await byMigrator.describe());
		await opens(byHand, { migrate: false });
		const before = await byHand.describe();
		await opens(byHand);
		expect(await byHand.describe()).toEqual(before);
	});

	test.each([...Object.keys(steps).keys()])(
		"a database of version %i is brought to the newest",
		async (at) => {
			const [old, fresh] = [await make(), await make()];
			const place = { prefix: "holdfast_", schema: old.options.schema };
			await old.run(schemaOf(engine, place, Object.keys(steps).slice(0, at + 1)));
			await opens(old);
			await opens(fresh);
			expect(await old.describe()).toEqual(await fresh.describe());
		},
	);

	test("told never to alter the schema, it makes no table, and says which file to apply", async () => {
		const empty = await make();
		const before = await empty.describe();
		const { shared } = manage(empty, { migrate: false });
		for (const call of [() => shared.set("a", 1), () => shared.get("a"), () => shared.count()])
			expect(await failed(call())).toEqual([
				"failed",
				expect.stringContaining(`apply schema/${engine}.sql of @holdfast/backend-sql`),
			]);
		expect(await empty.describe()).toEqual(before);
	});

	test("tables that a version made which nobody knows any more are refused, with what to do", async () => {
		const old = await make();
		const before = old.options.schema === undefined ? "" : `${old.options.schema}.`;
		await old.run(schemaOf(engine, { prefix: "holdfast_", schema: old.options.schema }, Object.keys(steps)));
		await old.run(`alter table ${before}holdfast_changes drop column records`);
		await old.run(`update ${before}holdfast_migrations set name = '2026-11-first'`);
		expect(await failed(manage(old).shared.get("a"))).toEqual([
			"failed",
			expect.stringMatching(/holdfast_\* are of a version .*2026-11-first.* or another prefix, or drop them/),
		]);
	});

	test("ten processes that start at once on an empty database all find it made, once", async () => {
		const { url, options, run } = await make();
		const workers = Array.from({ length: 10 }, (_, i) =>
			program.start<Order, Written | "ready">({ task: "write", url, options, key: `by/${i}` }),
		);
		onTestFinished(() => {
			for (const worker of workers) worker.kill();
		});
		for (const worker of workers) expect(await worker.next()).toBe("ready");
		for (const worker of workers) worker.begin();
		for (const worker of workers) expect(await worker.next()).toMatchObject({ ended: "done" });
		const table = `${options.schema === undefined ? "" : `${options.schema}.`}holdfast_migrations`;
		expect(await run(`select name from ${table}`)).toEqual(Object.keys(steps).map((name) => ({ name })));
	});

	test("a prefix separates applications", async () => {
		const empty = await make();
		const [mine, yours] = [manage(empty, { prefix: "mine_" }), manage(empty, { prefix: "yours_" })];
		await mine.shared.set("a", "mine");
		expect(await yours.shared.get("a")).toBeUndefined();
		await yours.shared.set("a", "yours");
		expect(await mine.shared.get("a")).toBe("mine");
		const names = JSON.stringify(await empty.describe());
		expect(names).toContain("mine_entries");
		expect(names).not.toContain("holdfast_");
	});
}

test.each(["", "1st", "a-b", 'a"; drop table x; --', "a".repeat(42)])(
	"the prefix %j is refused",
	async (prefix) => {
		const { shared } = createStateManager({ backend: sql("sqlite::memory:", { prefix }), timeout: "1m" });
		expect(await failed(shared.get("a"))).toEqual([
			"invalid-argument",
			expect.stringContaining("prefix must begin with"),
		]);
		expect(() => sqlSchema("postgres", { prefix })).toThrow(
			expect.objectContaining({ code: "invalid-argument" }),
		);
	},
);

describe("SQLite", () => {
	const make = async (): Promise<Empty> => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
		onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
		const file = join(folder, "state.db");
		const database = await openSqlite(file, "better-sqlite3");
		onTestFinished(() => database.close());
		const run = async (text: string): Promise<readonly object[]> => {
			let rows: readonly object[] = [];
			for (const one of text.split(/;\s*(?:\n|$)/).filter(Boolean)) {
				const statement = database.prepare(one);
				if (statement.reader) rows = statement.all([]) as object[];
				else statement.run([]);
			}
			return rows;
		};
		return {
			url: `sqlite:${file}`,
			options: {},
			run,
			describe: async () =>
				(
					(await run("select type, name, sql from sqlite_master order by name")) as {
						readonly sql: string | null;
					}[]
				).map((row) => ({
					...row,
					sql: row.sql?.replace(/\s+/g, " ").replace(/\( | \)/g, (at) => at.trim()),
				})),
		};
	};
	schemaTests("sqlite", make);
});

describe.skipIf(!hasPostgres())("Postgres", () => {
	let server: PostgresServer;
	let made = 0;
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(() => server.stop());

	const make = async (): Promise<Empty> => {
		const schema = `place_${++made}`;
		await server.admin.query(`create schema ${schema}`);
		const run = async (text: string): Promise<readonly object[]> => {
			const answers = await server.admin.query(text);
			return [answers].flat().at(-1)?.rows ?? [];
		};
		const where = `where n.nspname = '${schema}'`;
		return {
			url: server.url,
			options: { schema },
			run,
			describe: async () => {
				const parts = [
					await run(`select c.relname, c.relkind, c.reloptions, pg_get_indexdef(c.oid) as index
						from pg_class c join pg_namespace n on n.oid = c.relnamespace ${where} order by 1`),
					await run(`select c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull,
						a.attidentity, o.collname, pg_get_expr(d.adbin, d.adrelid) as default
						from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
						left join pg_collation o on o.oid = a.attcollation
						left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum ${where} order by 1, 3`),
					await run(`select o.conname, o.contype, pg_get_constraintdef(o.oid) as definition
						from pg_constraint o join pg_namespace n on n.oid = o.connamespace ${where} order by 1`),
				];
				return JSON.parse(JSON.stringify(parts).replaceAll(schema, "place"));
			},
		};
	};
	schemaTests("postgres", make);
});

describe.skipIf(!hasMysql())(mysqlName(), () => {
	let server: MysqlServer;
	let made = 0;
	beforeAll(async () => {
		server = await MysqlServer.start();
	});
	afterAll(() => server.stop());

	const make = async (): Promise<Empty> => {
		const schema = `place_${++made}`;
		await server.admin.query(`create database ${schema}`);
		const run = async (text: string): Promise<readonly object[]> => {
			const [rows] = await server.admin.query(text);
			return rows as object[];
		};
		return {
			url: server.url,
			options: { schema },
			run,
			describe: async () => {
				const tables = (await run(
					`select table_name as name from information_schema.tables where table_schema = '${schema}' order by 1`,
				)) as { readonly name: string }[];
				const parts = [];
				for (const { name } of tables) parts.push(await run(`show create table ${schema}.${name}`));
				// How far it has counted is no part of the schema.
				return JSON.parse(JSON.stringify(parts).replace(/ AUTO_INCREMENT=\d+/g, ""));
			},
		};
	};
	schemaTests("mysql", make);
});
