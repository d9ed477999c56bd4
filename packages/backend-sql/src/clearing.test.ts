/** However much a scope holds, it goes in transactions that take a thousand rows or so, and nobody waits for the rest. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "@holdfast/core";
import { add, Client, emit, put, touch } from "@holdfast/core/testing";
import { hasMysql, MysqlServer, mysqlName } from "@holdfast/test-servers/mysql-server";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import {
	CompiledQuery,
	type Dialect,
	Kysely,
	type KyselyPlugin,
	MysqlDialect,
	PostgresDialect,
	SqliteDialect,
} from "kysely";
import mysql from "mysql2";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { SqlBackend } from "./backend.js";
import { openSqlite } from "./drivers.js";
import { EmbeddedStore } from "./embedded-store.js";
import { languageOf } from "./engines.js";
import { migrate } from "./migrate.js";
import { sql } from "./sql.js";
import { sqliteEngine } from "./sqlite-engine.js";

// What one transaction deletes of a table, and the entries that a batch names beside.
const atOnce = 1000 + 64;

interface Counted {
	readonly backend: Backend;
	/** How many rows each statement wrote or deleted. */
	readonly counts: number[];
	/** Runs SQL; answers the only value of its only row, if it has one. */
	query(text: string): Promise<number>;
	advance(ms: number): void;
}

const tables = ["holdfast_entries", "holdfast_changes", "holdfast_events"];

/** How many rows there are of entries and logs. */
const rows = ({ query }: Counted): Promise<number> =>
	query(`select ${tables.map((table) => `(select count(*) from ${table})`).join(" + ")} as n`);

/** Fills the only scope there is, by SQL: a hundred thousand entries through commits take a while. */
async function fill({ query }: Counted, entries: number, expiresAt: number | null = null): Promise<void> {
	const id = await query("select id as n from holdfast_scopes");
	const head = await query("select head as n from holdfast_scopes");
	for (let n = 0; n < entries; n += 1000)
		await query(
			`insert into holdfast_entries values ${Array.from(
				{ length: 1000 },
				(_, i) => `(${id}, 'k/${n + i}', '${n + i}', ${head}, ${head}, ${expiresAt}, null)`,
			).join(", ")}`,
		);
	if (expiresAt !== null)
		await query(`update holdfast_scopes set next_expiry = ${expiresAt}, due_at = ${expiresAt}`);
}

function clearingTests(open: () => Promise<Counted>): void {
	test("a scope of 100,000 entries is dropped at once, and its rows go a thousand at a time", async () => {
		const counted = await open();
		const { backend, counts } = counted;
		const client = new Client(backend, "clearing/room/huge");
		await client.apply(put("a", 1));
		await fill(counted, 100_000);
		const batch = await client.batch([[add("n", 1)]]);
		const answer = await client.send(batch);
		counts.length = 0;
		await backend.drop(client.scope);
		expect((await client.read("k/1")).entries).toEqual([null]);
		expect(await client.list()).toEqual([]);
		expect((await backend.scopes({ prefix: "", after: null, limit: 10 })).scopes).toEqual([]);
		expect(await client.send(batch), "its writers are remembered").toEqual(answer);
		const { revision } = await client.apply(put("k/1", "new"));
		expect(revision, "tokens only grow").toBeGreaterThan(client.floor - 1);
		await vi.waitFor(async () => expect(await rows(counted)).toBe(2), { timeout: 60_000, interval: 100 });
		expect(await client.text("k/1")).toBe('"new"');
		expect(Math.max(...counts)).toBeLessThanOrEqual(atOnce);
	});

	test("a scope of many entries whose time is over begins anew, and what it held goes a thousand rows at a time", async () => {
		const counted = await open();
		const { backend, counts, advance } = counted;
		const client = new Client(backend, "clearing/session/huge");
		await client.apply(touch(null, 60_000), put("a", 1));
		await fill(counted, 5000);
		const { head } = await client.read();
		counts.length = 0;
		advance(120_000);
		const { revision } = await client.apply(put("b", 2));
		expect(revision).toBeGreaterThan(head);
		expect((await client.list()).map(({ key }) => key)).toEqual(["b"]);
		expect((await client.log()).records.map((record) => record.previous)).toEqual([0]);
		await vi.waitFor(
			async () => {
				await backend.scopes({ prefix: "", after: null, limit: 10, due: true });
				expect(await rows(counted)).toBe(2);
			},
			{ timeout: 60_000, interval: 100 },
		);
		expect(Math.max(...counts)).toBeLessThanOrEqual(atOnce);
	});

	test("entries that expire, and logs that are past retention, go a thousand at a time", async () => {
		const counted = await open();
		const { backend, counts, advance } = counted;
		const client = new Client(backend, "clearing/room/old");
		client.keep = { changes: { count: 10_000, age: 60_000 }, events: { count: 10_000, age: 60_000 } };
		const { now } = await client.apply(put("left", 1)).then(() => client.read());
		await fill(counted, 5000, now + 60_000);
		for (let n = 0; n < 30; n++)
			await client.commit(...Array.from({ length: 100 }, (_, i) => [emit("told", 100 * n + i)]));
		counts.length = 0;
		advance(120_000);
		for (let sweeps = 0; sweeps < 6; sweeps++) await client.sweep();
		expect((await client.list()).map(({ key }) => key)).toEqual(["left"]);
		advance(120_000);
		await vi.waitFor(
			async () => {
				await backend.scopes({ prefix: "", after: null, limit: 10, due: true });
				expect(await rows(counted)).toBe(1);
			},
			{ timeout: 60_000, interval: 100 },
		);
		expect(Math.max(...counts)).toBeLessThanOrEqual(atOnce);
	});
}

describe("SQLite", () => {
	clearingTests(async () => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
		onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
		const database = await openSqlite(join(folder, "state.db"), "better-sqlite3");
		const counts: number[] = [];
		let offset = 0;
		const language = languageOf(sqliteEngine, {});
		const place = { prefix: "holdfast_", schema: undefined };
		await migrate(new Kysely({ dialect: new SqliteDialect({ database }) }), language, place, true);
		database.prepare("pragma journal_mode = wal").all([]);
		database.prepare("pragma synchronous = off").run([]);
		const counting = new EmbeddedStore(
			{
				...database,
				prepare(text) {
					const statement = database.prepare(text);
					return {
						...statement,
						reader: statement.reader,
						all: (values) => statement.all(values),
						run(values) {
							const done = statement.run(values);
							counts.push(Number(done.changes));
							return done;
						},
						iterate: (values) => statement.iterate(values),
					};
				},
			},
			language,
		);
		const backend = new SqlBackend(
			async () => ({ store: counting }),
			{ reach: "device", durable: true },
			{ clockOffset: () => offset },
		);
		onTestFinished(() => backend.close());
		// A connection of its own: what the backend's own one wrote, it takes as written by the backend.
		const other = await openSqlite(join(folder, "state.db"), "better-sqlite3");
		onTestFinished(() => other.close());
		return {
			backend,
			counts,
			async query(text) {
				const statement = other.prepare(text);
				if (statement.reader) return (statement.all([])[0] as { readonly n: number }).n;
				statement.run([]);
				return 0;
			},
			advance: (ms) => {
				offset += ms;
			},
		};
	});
});

/** A backend on a server, whose statements are counted by Kysely. */
async function onServer(dialect: Dialect): Promise<Counted> {
	const counts: number[] = [];
	let offset = 0;
	const plugin: KyselyPlugin = {
		transformQuery: ({ node }) => node,
		async transformResult({ result }) {
			counts.push(Number(result.numAffectedRows ?? 0));
			return result;
		},
	};
	const db = new Kysely<never>({ dialect, plugins: [plugin] });
	const backend = sql({ db, clockOffset: () => offset });
	onTestFinished(async () => {
		await backend.close();
		await db.destroy();
	});
	await backend.scopes({ prefix: "", after: null, limit: 1 });
	const query = async (text: string): Promise<number> =>
		Number((await db.executeQuery<{ readonly n?: unknown }>(CompiledQuery.raw(text))).rows[0]?.n);
	for (const table of ["holdfast_scopes", "holdfast_writers", ...tables]) await query(`delete from ${table}`);
	return {
		backend,
		counts,
		query,
		advance: (ms) => {
			offset += ms;
		},
	};
}

for (const [name, isThere, start, dialectOf] of [
	[
		"Postgres",
		hasPostgres,
		() => PostgresServer.start(),
		(url: string) => new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 4 }) }),
	],
	[
		mysqlName(),
		hasMysql,
		() => MysqlServer.start(),
		(url: string) => new MysqlDialect({ pool: mysql.createPool({ uri: url, connectionLimit: 4 }) }),
	],
] as const)
	describe.skipIf(!isThere())(name, () => {
		let server: PostgresServer | MysqlServer;
		beforeAll(async () => {
			server = await start();
		});
		afterAll(() => server.stop());

		clearingTests(() => onServer(dialectOf(server.url)));
	});
