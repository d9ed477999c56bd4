/** A database, opened by its URL, by Kysely or by a dialect. */
import type { Socket } from "node:net";
import { HoldfastError } from "@holdfast/core";
import { CompiledQuery, type Dialect, Kysely, MysqlDialect, PostgresDialect, SqliteDialect } from "kysely";
import type { Pool } from "pg";
import { loadMysql, loadPg, openSqlite } from "./drivers.js";
import { EmbeddedStore } from "./embedded-store.js";
import type { Engine, Language } from "./engine.js";
import { engineOf, engines, languageOf } from "./engines.js";
import { rejectionOf } from "./failure.js";
import { migrate } from "./migrate.js";
import { mysqlEngine } from "./mysql-engine.js";
import { type SqlDatabaseOptions, type SqlDialectOptions, type SqlOptions, usual } from "./options.js";
import { Connections } from "./postgres-connections.js";
import { markedPostgresEngine, postgresEngine } from "./postgres-engine.js";
import { Listener } from "./postgres-listener.js";
import { PostgresStore } from "./postgres-store.js";
import { secureRows } from "./row-level-security.js";
import { Sockets, socketOf } from "./sockets.js";
import { sqliteEngine } from "./sqlite-engine.js";
import { KyselyStore, type Store } from "./store.js";

/** What a backend works on. */
export interface Opened {
	readonly store: Store;
	/** Hears and sends hints, where the database can carry them. */
	readonly listener?: Listener;
	/** The connections that are the backend's own. */
	readonly sockets?: Sockets;
}

async function prepare(db: Kysely<unknown>, language: Language, options: SqlOptions): Promise<void> {
	const { prefix = "holdfast_", schema, migrate: alter = true, rowLevelSecurity = false } = options;
	await migrate(db, language, { prefix, schema }, alter);
	if (rowLevelSecurity === false) return;
	const { readers = [], writers = [] } = rowLevelSecurity === true ? {} : rowLevelSecurity;
	await secureRows(db, language, { prefix, schema }, { readers, writers }, alter);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function openFile(file: string, options: SqlOptions): Promise<Opened> {
	const language = languageOf(sqliteEngine, options);
	const database = await openSqlite(file, options.driver);
	const pragma = (setting: string): void => {
		const statement = database.prepare(`pragma ${setting}`);
		if (statement.reader) statement.all([]);
		else statement.run([]);
	};
	try {
		// Short: while it waits for another process the event loop stands still. What it does not get is tried again.
		pragma("busy_timeout = 50");
		// 16 MB instead of 4: a checkpoint waits for the disk twice, however much it carries over, and most pages are written again meanwhile.
		pragma("wal_autocheckpoint = 4000");
		const settings = ["journal_mode = wal", `synchronous = ${options.synchronous ?? "normal"}`];
		for (let tries = 0; settings.length > 0; tries++)
			try {
				pragma(settings[0] as string);
				settings.shift();
			} catch (error) {
				// Several processes may be changing the journal of a new file.
				if (!sqliteEngine.isTransient(error) || tries >= 100) throw error;
				await pause(10 + Math.random() * 20);
			}
		const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database }) });
		await prepare(db, language, options);
		return { store: new EmbeddedStore(database, language) };
	} catch (error) {
		database.close();
		throw error;
	}
}

/** A pooler that knows only some parameters of a session refuses to start one with others. */
const refusesOptions = (error: unknown): boolean =>
	/unsupported startup parameter/i.test(error instanceof Error ? error.message : "");

// How long the connection that listens may take to be made and to answer, in ms; what it hears then comes when it comes.
const listeningWithin = { connectionTimeoutMillis: 5000, query_timeout: 5000 };

async function openPostgres(url: string, options: SqlOptions): Promise<Opened> {
	const language = languageOf(postgresEngine, options);
	const pg = await loadPg();
	const sockets = new Sockets(options.answerWithin);
	const connect = (settings: string | undefined): Pool => {
		const pool = new pg.Pool({
			connectionString: url,
			max: options.connections ?? usual.connections,
			connectionTimeoutMillis: 5000,
			keepAlive: true,
			// Statements go out without waiting for the answers before.
			pipeline: true,
			...(settings === undefined ? {} : { options: settings }),
		});
		// Without a listener a connection that breaks would end the process, in the pool or out of it.
		pool.on("error", () => {});
		pool.on("connect", (client) => {
			client.on("error", () => {});
			sockets.add(socketOf(client));
		});
		pool.on("acquire", (client) => sockets.lend(socketOf(client)));
		pool.on("release", (_, client) => sockets.takeBack(socketOf(client)));
		return pool;
	};
	const prepareTables = (pool: Pool): Promise<void> =>
		prepare(new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }), language, options);
	// Every statement goes by an index, and is planned once: a plan that was made while a table was small must not read all of it later.
	const ways = ["seqscan", "bitmapscan", "hashjoin", "mergejoin"].map((way) => ` -c enable_${way}=off`);
	let pool = connect(`-c plan_cache_mode=force_generic_plan -c jit=off${ways.join("")}`);
	let prepares = true;
	try {
		await prepareTables(pool).catch(async (error: unknown) => {
			if (!refusesOptions(error)) throw error;
			await pool.end();
			pool = connect(undefined);
			prepares = false;
			await prepareTables(pool);
		});
	} catch (error) {
		await pool.end().catch(() => {});
		throw error;
	}
	sockets.hurry();
	const channel = `${options.schema ?? ""}.${options.prefix ?? "holdfast_"}`;
	const listening = { connectionString: url, keepAlive: true, ...listeningWithin };
	const connections = new Connections(pool);
	return {
		store: new PostgresStore(connections, pg.Query, language, prepares),
		listener: new Listener(() => new pg.Client(listening), connections, channel),
		sockets,
	};
}

async function openMysql(url: string, options: SqlOptions): Promise<Opened> {
	const language = languageOf(mysqlEngine, options);
	const { createPool } = await loadMysql();
	const pool = createPool({
		uri: url.replace(/^mariadb:/, "mysql:"),
		connectionLimit: options.connections ?? usual.connections,
		connectTimeout: 5000,
		charset: "utf8mb4",
		enableKeepAlive: true,
	});
	const sockets = new Sockets(options.answerWithin);
	const socketOfMysql = (connection: object): Socket => (connection as { readonly stream: Socket }).stream;
	pool.on("connection", (connection) => sockets.add(socketOfMysql(connection)));
	pool.on("acquire", (connection) => sockets.lend(socketOfMysql(connection)));
	pool.on("release", (connection) => sockets.takeBack(socketOfMysql(connection)));
	const db = new Kysely<unknown>({ dialect: new MysqlDialect({ pool }) });
	const close = (): Promise<void> => new Promise((resolve) => pool.end(() => resolve()));
	try {
		await prepare(db, language, options);
	} catch (error) {
		await close();
		throw error;
	}
	sockets.hurry();
	return { store: new KyselyStore(db, language, close), sockets };
}

/** An opening whose errors are typed. */
const typed = (engine: Engine, opening: Promise<Opened>): Promise<Opened> =>
	opening.catch((error: unknown) => {
		throw rejectionOf(engine, error);
	});

/** Opens a database by its URL. */
export async function openUrl(url: string, options: SqlOptions): Promise<Opened> {
	if (/^sqlite:/.test(url))
		return typed(sqliteEngine, openFile(url.replace(/^sqlite:(\/\/(?=\/))?/, ""), options));
	if (/^postgres(ql)?:/.test(url)) return typed(postgresEngine, openPostgres(url, options));
	if (/^(mysql|mariadb):/.test(url)) return typed(mysqlEngine, openMysql(url, options));
	throw new HoldfastError(
		"invalid-argument",
		`the URL must begin with sqlite:, postgres:// or mysql://, not ${JSON.stringify(url.replace(/:.*/s, ":"))}`,
	);
}

/** Whether a byte order mark at the beginning of a text gets lost on its way here. */
async function losesMarks(db: Kysely<unknown>): Promise<boolean> {
	const query = CompiledQuery.raw("select chr(65279) || 'a' as text");
	const { rows } = await db.executeQuery<{ readonly text: string }>(query);
	return rows[0]?.text === "a";
}

const openKysely = (
	db: Kysely<unknown>,
	engine: Engine,
	options: SqlDatabaseOptions | SqlDialectOptions,
	close: () => Promise<void>,
): Promise<Opened> => {
	const open = async (): Promise<Opened> => {
		const marked = engine === postgresEngine && (await losesMarks(db));
		const language = languageOf(marked ? markedPostgresEngine : engine, options);
		await prepare(db, language, options);
		return { store: new KyselyStore(db, language, close) };
	};
	return typed(engine, open());
};

/** Takes an application's Kysely. */
export async function openDatabase(options: SqlDatabaseOptions): Promise<Opened> {
	const { db } = options;
	const engine = options.engine === undefined ? engineOf(db.getExecutor().adapter) : engines[options.engine];
	return openKysely(db, engine, options, async () => {});
}

/** Makes a Kysely of a dialect: one, however often it has to be tried, because closing it may close what the dialect was given. */
export function dialectOpener(options: SqlDialectOptions): () => Promise<Opened> {
	let db: Kysely<unknown> | undefined;
	return async () => {
		const { dialect } = options;
		const engine =
			options.engine === undefined ? engineOf((dialect as Dialect).createAdapter()) : engines[options.engine];
		db ??= new Kysely<unknown>({ dialect });
		const kysely = db;
		return openKysely(kysely, engine, options, () => kysely.destroy());
	};
}
