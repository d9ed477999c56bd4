/** SQL beside the same work written by hand on its drivers, and beside what else keeps values there; every commit as durable as its peer's. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "@holdfast/backend-sql";
import { createStateManager, type Scope } from "@holdfast/core";
import { PostgresServer } from "@holdfast/test-servers/postgres-server";
import KeyvPostgres from "@keyv/postgres";
import KeyvSqlite from "@keyv/sqlite";
import Database from "better-sqlite3";
import { createDatabase } from "db0";
import sqliteConnector from "db0/connectors/better-sqlite3";
import postgresConnector from "db0/connectors/postgresql";
import { Keyv } from "keyv";
import pg from "pg";
import { createStorage } from "unstorage";
import db0Driver from "unstorage/drivers/db0";
import { Suite } from "./suite.ts";

const suite = new Suite("sql");
const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-sql-"));
const file = (name: string): string => join(folder, `${name}.db`);

const position = (i: number) => ({ symbol: "AAPL", quantity: 100 + i, price: 189.5 });
const keys = Array.from({ length: 1024 }, (_, i) => `positions/${i}`);
const keyOf = (i: number): string => keys[i & 1023] as string;
const all = <T>(count: number, from: number, one: (i: number) => T): T[] =>
	Array.from({ length: count }, (_, n) => one(from + n));

// ─── SQLite ───

/** The same by hand: the head moves, the entry is written, the log says so. */
function sqliteByHand(name: string) {
	const database = new Database(file(name));
	database.pragma("journal_mode = wal");
	database.pragma("synchronous = normal");
	database.exec(`
		create table scopes (id integer primary key, scope text unique, head integer not null);
		create table entries (scope_id integer, key text, value text, revision integer, primary key (scope_id, key));
		create table changes (scope_id integer, revision integer, key text, value text, primary key (scope_id, revision));
		insert into scopes values (1, 'shared', 0);`);
	const head = database.prepare("update scopes set head = head + 1 where scope = ? returning id, head");
	const entry = database.prepare(
		"insert into entries values (?, ?, ?, ?) on conflict do update set value = excluded.value, revision = excluded.revision",
	);
	const change = database.prepare("insert into changes values (?, ?, ?, ?)");
	const select = database.prepare(
		"select e.value, e.revision from scopes s join entries e on e.scope_id = s.id and e.key = ? where s.scope = ?",
	);
	const write = (key: string, value: unknown): void => {
		const { id, head: revision } = head.get("shared") as { id: number; head: number };
		const text = JSON.stringify(value);
		entry.run(id, key, text, revision);
		change.run(id, revision, key, text);
	};
	return {
		set: database.transaction(write).immediate,
		setMany: database.transaction((pairs: readonly (readonly [string, unknown])[]) => {
			for (const [key, value] of pairs) write(key, value);
		}).immediate,
		get: (key: string): unknown => JSON.parse((select.get(key, "shared") as { value: string }).value),
		close: () => database.close(),
	};
}

{
	const manager = createStateManager({ backend: sql(`sqlite:${file("holdfast")}`) });
	const { shared } = manager;
	const hand = sqliteByHand("hand");
	const keyvStore = new KeyvSqlite({ uri: `sqlite://${file("keyv")}` });
	const keyvWalStore = new KeyvSqlite({ uri: `sqlite://${file("keyv-wal")}`, wal: true });
	const keyv = new Keyv({ store: keyvStore });
	const keyvWal = new Keyv({ store: keyvWalStore });
	const database = createDatabase(sqliteConnector({ path: file("unstorage") }));
	await database.exec("pragma journal_mode = wal");
	const storage = createStorage({ driver: db0Driver({ database }) });

	const reads = {
		Holdfast: (i: number) => shared.get(keyOf(i)),
		"by hand": (i: number) => hand.get(keyOf(i)),
		"@keyv/sqlite": (i: number) => keyv.get(keyOf(i)),
		"@keyv/sqlite, WAL": (i: number) => keyvWal.get(keyOf(i)),
		unstorage: (i: number) => storage.getItem(keyOf(i)),
	};
	await suite.compare(
		"SQLite: set",
		{
			Holdfast: (i) => shared.set(keyOf(i), position(i)),
			"by hand": (i) => hand.set(keyOf(i), position(i)),
			"@keyv/sqlite": (i) => keyv.set(keyOf(i), position(i)),
			"@keyv/sqlite, WAL": (i) => keyvWal.set(keyOf(i), position(i)),
			unstorage: (i) => storage.setItem(keyOf(i), position(i)),
		},
		{ after: reads, gives: position, bars: { "by hand": 0.5, "@keyv/sqlite": 10 } },
	);
	await suite.compare(
		"SQLite: 64 sets at once",
		{
			Holdfast: (i) => Promise.all(all(64, i * 64, (n) => shared.set(keyOf(n), position(n)))),
			"by hand": (i) => hand.setMany(all(64, i * 64, (n) => [keyOf(n), position(n)] as const)),
			"@keyv/sqlite": (i) => keyv.setMany(all(64, i * 64, (n) => ({ key: keyOf(n), value: position(n) }))),
			"@keyv/sqlite, one by one": (i) => Promise.all(all(64, i * 64, (n) => keyv.set(keyOf(n), position(n)))),
		},
		{
			after: {
				Holdfast: (i) => shared.get(keyOf(i * 64)),
				"by hand": (i) => hand.get(keyOf(i * 64)),
				"@keyv/sqlite": (i) => keyv.get(keyOf(i * 64)),
				"@keyv/sqlite, one by one": (i) => keyv.get(keyOf(i * 64)),
			},
			gives: (i) => position(i * 64),
			bars: { "by hand": 0.7, "@keyv/sqlite, one by one": 10 },
		},
	);
	for (const [i, key] of keys.entries()) {
		hand.set(key, i);
		await Promise.all([keyv, keyvWal].map((each) => each.set(key, i)));
		await storage.setItem(key, i);
	}
	await shared.commit((tx) => {
		for (const [i, key] of keys.slice(0, 1000).entries()) tx.set(key, i);
	});
	await shared.commit((tx) => {
		for (const [i, key] of keys.slice(1000).entries()) tx.set(key, 1000 + i);
	});
	const found = (i: number) => i & 1023;
	await suite.compare("SQLite: get", reads, {
		gives: found,
		bars: { "by hand": 0.5, "@keyv/sqlite": 1, unstorage: 1 },
	});
	await suite.compare(
		"SQLite: 64 gets at once",
		{
			Holdfast: (i) => Promise.all(all(64, i, reads.Holdfast)),
			"by hand": (i) => all(64, i, reads["by hand"]),
			"@keyv/sqlite": (i) => Promise.all(all(64, i, reads["@keyv/sqlite"])),
		},
		{ gives: (i) => all(64, i, found), bars: { "by hand": 0.7, "@keyv/sqlite": 1 } },
	);
	await manager.close();
	hand.close();
	await keyvStore.disconnect();
	await keyvWalStore.disconnect();
	await database.dispose();
}

// ─── Postgres ───

const server = await PostgresServer.start({ synced: true, settings: { max_wal_size: "4GB" } });
const pool = new pg.Pool({ connectionString: server.url, max: 10 });
await pool.query(`
	create table scopes (id bigint primary key, scope text unique, head bigint not null);
	create table entries (scope_id bigint, key text, value text, revision bigint, primary key (scope_id, key));
	create table changes (scope_id bigint, revision bigint, key text, value text, primary key (scope_id, revision));
	create table plain (key text primary key, value text, revision bigint);
	create table by_hand_news (id bigint generated always as identity primary key, value text);
	insert into scopes select n, case n when 1 then 'shared' else 'room/' || n - 2 end, 0 from generate_series(1, 514) n;`);

const oneStatement = `
	with head as (update scopes set head = head + 1 where scope = $1 returning id, head),
	entry as (
		insert into entries select id, $2, $3, head from head
		on conflict (scope_id, key) do update set value = excluded.value, revision = excluded.revision
	)
	insert into changes select id, head, $2, $3 from head`;
const upsert =
	"insert into plain values ($1, $2, 1) on conflict (key) do update set value = excluded.value, revision = plain.revision + 1";
const select =
	"select e.value, e.revision from scopes s join entries e on e.scope_id = s.id and e.key = $2 where s.scope = $1";

const setByHand = (scope: string, key: string, value: unknown) =>
	pool.query({ name: "set", text: oneStatement, values: [scope, key, JSON.stringify(value)] });
const getByHand = async (scope: string, key: string): Promise<unknown> =>
	JSON.parse((await pool.query({ name: "get", text: select, values: [scope, key] })).rows[0].value);
const setPlain = (key: string, value: unknown) =>
	pool.query({ name: "upsert", text: upsert, values: [key, JSON.stringify(value)] });
const getPlain = async (key: string): Promise<unknown> =>
	JSON.parse((await pool.query("select value from plain where key = $1", [key])).rows[0].value);

async function setInTransaction(scope: string, key: string, value: unknown): Promise<void> {
	const client = await pool.connect();
	try {
		const text = JSON.stringify(value);
		await client.query("begin");
		const { rows } = await client.query({
			name: "head",
			text: "update scopes set head = head + 1 where scope = $1 returning id, head",
			values: [scope],
		});
		const { id, head } = rows[0] as { id: string; head: string };
		await client.query({
			name: "entry",
			text: "insert into entries values ($1, $2, $3, $4) on conflict (scope_id, key) do update set value = excluded.value, revision = excluded.revision",
			values: [id, key, text, head],
		});
		await client.query({
			name: "change",
			text: "insert into changes values ($1, $2, $3, $4)",
			values: [id, head, key, text],
		});
		await client.query("commit");
	} finally {
		client.release();
	}
}

const manager = createStateManager({ backend: sql(server.url) });
const { shared } = manager;
const rooms = Array.from({ length: 512 }, (_, i) => manager.scope("room", String(i)));
const roomOf = (i: number): Scope => rooms[i & 511] as Scope;

{
	const keyvStore = new KeyvPostgres({ uri: server.url });
	const keyv = new Keyv({ store: keyvStore });
	const database = createDatabase(postgresConnector({ url: server.url }));
	const storage = createStorage({ driver: db0Driver({ database }) });

	const reads = {
		Holdfast: (i: number) => shared.get(keyOf(i)),
		"pg, by hand": (i: number) => getByHand("shared", keyOf(i)),
		"pg, un-batched": (i: number) => getByHand("shared", keyOf(i)),
		"pg, plain upsert": (i: number) => getPlain(keyOf(i)),
		"@keyv/postgres": (i: number) => keyv.get(keyOf(i)),
		unstorage: (i: number) => storage.getItem(keyOf(i)),
	};
	await suite.compare(
		"Postgres: set",
		{
			Holdfast: (i) => shared.set(keyOf(i), position(i)),
			"pg, by hand": (i) => setByHand("shared", keyOf(i), position(i)),
			"@keyv/postgres": (i) => keyv.set(keyOf(i), position(i)),
			unstorage: (i) => storage.setItem(keyOf(i), position(i)),
		},
		{ after: reads, gives: position, bars: {} },
	);
	await suite.compare(
		"Postgres: 512 at once, one hot scope",
		{
			Holdfast: (i) => shared.set(keyOf(i), position(i)),
			"pg, un-batched": (i) => setByHand("shared", keyOf(i), position(i)),
			"pg, plain upsert": (i) => setPlain(keyOf(i), position(i)),
			"@keyv/postgres": (i) => keyv.set(keyOf(i), position(i)),
		},
		{ after: reads, gives: position, together: 512, bars: { "pg, un-batched": 30, "pg, plain upsert": 1.5 } },
	);
	const inRooms = {
		Holdfast: (i: number) => roomOf(i).get("position"),
		"pg, a transaction each": (i: number) => getByHand(`room/${i & 511}`, "position"),
	};
	await suite.compare(
		"Postgres: 512 at once, 512 scopes",
		{
			Holdfast: (i) => roomOf(i).set("position", position(i)),
			"pg, a transaction each": (i) => setInTransaction(`room/${i & 511}`, "position", position(i)),
		},
		{
			after: inRooms,
			gives: position,
			together: 512,
			bars: { "pg, a transaction each": 10 },
		},
	);
	await pool.query("truncate entries, changes; update scopes set head = 0");
	await Promise.all(keys.map((key, i) => shared.set(key, i)));
	for (const [i, key] of keys.entries()) {
		await setByHand("shared", key, i);
		await keyv.set(key, i);
		await storage.setItem(key, i);
	}
	const found = (i: number) => i & 1023;
	const { Holdfast, "pg, by hand": byHand, "@keyv/postgres": keyvGet, unstorage } = reads;
	await suite.compare(
		"Postgres: get",
		{ Holdfast, "pg, by hand": byHand, "@keyv/postgres": keyvGet, unstorage },
		{ gives: found, bars: { "pg, by hand": 0.8 } },
	);
	await suite.compare(
		"Postgres: 512 gets at once",
		{ Holdfast, "pg, pooled selects": byHand, "@keyv/postgres": keyvGet },
		{ gives: found, together: 512, bars: { "pg, pooled selects": 3 } },
	);
	await keyvStore.disconnect();
	await database.dispose();
}

// ─── From a set to another process's listener ───

{
	const channel = "by_hand";
	const listener = fork(join(import.meta.dirname, "sql-listener.ts"), [server.url, channel]);
	const heard = new Map<string, (at: bigint) => void>();
	const ready = Promise.withResolvers<void>();
	listener.on("message", ({ side, value, at }: { side: string; value?: number; at?: string }) => {
		if (side === "ready") ready.resolve();
		else heard.get(`${side} ${value}`)?.(BigInt(at ?? 0));
	});
	await ready.promise;
	const publish: Record<string, (i: number) => Promise<unknown>> = {
		Holdfast: (i) => shared.set(`news/${i & 63}`, i),
		"pg, LISTEN and a select": (i) =>
			pool.query({
				name: "publish",
				text: "with row as (insert into by_hand_news (value) values ($1) returning 1) select pg_notify($2, '') from row",
				values: [JSON.stringify(i), channel],
			}),
		"pg, NOTIFY alone": (i) =>
			pool.query({ name: "notify", text: "select pg_notify($1, $2)", values: [`${channel}_raw`, String(i)] }),
	};
	const trip = async (side: string, i: number): Promise<number> => {
		const arrived = new Promise<bigint>((resolve) => {
			heard.set(`${side} ${i}`, resolve);
		});
		const from = process.hrtime.bigint();
		await publish[side]?.(i);
		const at = await arrived;
		heard.delete(`${side} ${i}`);
		return Number(at - from) / 1e6;
	};
	const times = new Map(Object.keys(publish).map((side): [string, number[]] => [side, []]));
	for (let i = 0; i < 1500; i++)
		for (const [side, found] of times) {
			const ms = await trip(side, i);
			if (i >= 200) found.push(ms);
		}
	const { Holdfast = [], ...peers } = Object.fromEntries(times);
	suite.latency(
		"Postgres: set to another process",
		{ Holdfast, ...peers },
		{
			bars: { "pg, NOTIFY alone": 1.5 },
			p99: 50,
		},
	);
	const exit = once(listener, "exit");
	listener.disconnect();
	await exit;
}

// ─── A million entries in a scope, and a hundred thousand scopes ───

async function fill(scope: Scope, count: number): Promise<void> {
	for (let from = 0; from < count; from += 1000)
		await scope.commit((tx) => {
			for (let i = from; i < from + 1000; i++) tx.set(`positions/${i}`, i);
		});
}

// Here and there, so that no cache holds what comes next.
const place = (i: number, count: number): number => (Math.imul(i, 7919) >>> 0) % count;

for (const [name, url] of [
	["SQLite", `sqlite:${file("large")}`],
	["Postgres", server.url],
] as const) {
	const large = createStateManager({
		backend: sql(url),
		scopes: { book: { changes: { count: 100 } } },
	});
	const sizes = [1000, 1_000_000] as const;
	const [small, big] = sizes.map((size) => large.scope("book", String(size))) as [Scope, Scope];
	await fill(small, 1000);
	await fill(big, 1_000_000);
	const sides = <T>(run: (scope: Scope, i: number) => T) => ({
		Holdfast: (i: number) => run(big, place(i, 1_000_000)),
		"Holdfast, 1,000": (i: number) => run(small, place(i, 1000)),
	});
	// Half of what it is among a thousand: an index is deeper, and caches are smaller than the table.
	const bars = { "Holdfast, 1,000": 0.5 };
	const right = { gives: () => true, bars };
	const get = async (scope: Scope, i: number) => (await scope.get(`positions/${i}`)) === i;
	await suite.compare(`${name}: get of 1,000,000 entries`, sides(get), right);
	await suite.compare(
		`${name}: set among 1,000,000 entries`,
		sides(async (scope, i) => (await scope.set(`positions/${i}`, i)) > 0),
		right,
	);
	await suite.compare(
		`${name}: list of 100 of 1,000,000`,
		sides(async (scope, i) => {
			let listed = 0;
			for await (const { key } of scope.list("positions/*", {
				after: `positions/${100 + (i % 400)}`,
				limit: 100,
			}))
				if (key !== "") listed++;
			return listed === 100;
		}),
		right,
	);
	const count = 100_000;
	const visitors = (i: number): Scope => large.scope("visitor", String(i));
	for (let from = 0; from < count; from += 2000)
		await Promise.all(all(2000, from, (i) => visitors(i).set("seen", i)));
	const few = createStateManager({
		backend: sql(name === "SQLite" ? `sqlite:${file("few")}` : url, { prefix: "few_" }),
	});
	await Promise.all(all(1000, 0, (i) => few.scope("visitor", String(i)).set("seen", i)));
	const among = <T>(run: (scope: Scope, i: number) => T) => ({
		Holdfast: (i: number) => run(visitors(place(i, count)), place(i, count)),
		"Holdfast, 1,000": (i: number) => run(few.scope("visitor", String(place(i, 1000))), place(i, 1000)),
	});
	await suite.compare(
		`${name}: get in 100,000 scopes`,
		among(async (scope, i) => (await scope.get("seen")) === i),
		right,
	);
	await suite.compare(
		`${name}: set in 100,000 scopes`,
		among(async (scope, i) => (await scope.set("seen", i)) > 0),
		right,
	);
	await few.close();
	await large.close();
}

await manager.close();
await pool.end();
await server.stop();
rmSync(folder, { recursive: true, force: true });
suite.end();
