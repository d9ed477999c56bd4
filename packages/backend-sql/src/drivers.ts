/** The drivers, loaded when they are asked for: each is an optional peer. */
import { HoldfastError } from "@holdfast/core";
import type { EmbeddedDatabase } from "./embedded-store.js";
import { codeOf } from "./engine.js";

/** Loads a package, or says which one to install. */
async function load<T>(name: string, what: string, from: () => Promise<T>): Promise<T> {
	try {
		return await from();
	} catch (cause) {
		if (!isMissing(cause)) throw cause;
		throw new HoldfastError("failed", `${what} needs the package ${name}: npm install ${name}`, { cause });
	}
}

const isMissing = (error: unknown): boolean =>
	/^(ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND|ERR_UNKNOWN_BUILTIN_MODULE)$/.test(codeOf(error));

/** Which of SQLite's drivers. */
export type SqliteDriver = "better-sqlite3" | "node:sqlite";

/** Opens a database in a file with better-sqlite3. */
async function openBetter(file: string): Promise<EmbeddedDatabase> {
	const { default: Database } = await load("better-sqlite3", "SQLite", () => import("better-sqlite3"));
	const database = new Database(file);
	const version = database.prepare("pragma data_version").pluck();
	return {
		prepare(text) {
			const statement = database.prepare<unknown[]>(text);
			return {
				reader: statement.reader,
				// Each by itself: from a list the driver takes them one by one through a call of its own.
				all: (parameters) => statement.all(...parameters),
				run: (parameters) => statement.run(...parameters),
				iterate: (parameters) => statement.iterate(...parameters),
			};
		},
		version: () => version.get() as number,
		isInTransaction: () => database.inTransaction,
		close: () => void database.close(),
	};
}

type Parameters = (null | number | string)[];

/** Opens a database in a file with Node's own SQLite. */
async function openNode(file: string): Promise<EmbeddedDatabase> {
	const { DatabaseSync } = await load("better-sqlite3", "SQLite on this Node", () => import("node:sqlite"));
	const database = new DatabaseSync(file);
	const version = database.prepare("pragma data_version");
	return {
		prepare(text) {
			const statement = database.prepare(text);
			return {
				reader: statement.columns().length > 0,
				all: (parameters) => statement.all(...(parameters as Parameters)),
				run: (parameters) => statement.run(...(parameters as Parameters)),
				iterate: (parameters) => statement.iterate(...(parameters as Parameters)),
			};
		},
		version: () => Number(version.get()?.data_version),
		isInTransaction: () => database.isTransaction,
		close: () => database.close(),
	};
}

/** Opens a database in a file, with better-sqlite3 if it is installed and was built for this Node, else with Node's own. */
export async function openSqlite(file: string, driver: SqliteDriver | undefined): Promise<EmbeddedDatabase> {
	if (driver === "node:sqlite") return openNode(file);
	try {
		return await openBetter(file);
	} catch (error) {
		if (driver === "better-sqlite3" || !isUnusable(error)) throw error;
		return openNode(file);
	}
}

/** A package that is not there, or whose native half is missing or of another Node. */
const isUnusable = (error: unknown): boolean =>
	isMissing(error) ||
	isMissing((error as Error).cause) ||
	(error as { code?: unknown }).code === "ERR_DLOPEN_FAILED" ||
	/locate the bindings file|NODE_MODULE_VERSION/.test((error as Error).message);

/** node-postgres. */
export const loadPg = async () => (await load("pg", "Postgres", () => import("pg"))).default;

/** mysql2. */
export const loadMysql = (): Promise<typeof import("mysql2")> =>
	load("mysql2", "MySQL", () => import("mysql2"));
