/** What a SQL backend can be told. */
import { wholeNumber } from "@holdfast/core";
import type { Dialect, Kysely } from "kysely";
import type { SqliteDriver } from "./drivers.js";

/** Whom row-level security lets in; see {@link SqlOptions.rowLevelSecurity}. */
export interface RowLevelSecurity {
	/** Roles that may read the rows of the scope that their connection is bound to. Default: none is granted anything. */
	readonly readers: readonly string[];
	/** Roles that may also write entries of it by hand. Such a write leaves no record, and no watcher hears it. Default: none. */
	readonly writers: readonly string[];
}

/** Options of {@link sql}, whatever the database. */
export interface SqlOptions {
	/** What the names of all tables begin with: letters, digits and `_`. Default `holdfast_`. */
	readonly prefix?: string;
	/** The schema (Postgres) or database (MySQL) of the tables, which must exist. Default: the connection's own. */
	readonly schema?: string;
	/** Whether missing tables are made and old ones migrated. `false` never alters the schema, and refuses to start on another one. Default `true`. */
	readonly migrate?: boolean;
	/**
	 * How often other processes' changes are looked for while somebody watches, in ms: the least pause after a change, and the most while nothing
	 * happens. Default 20 to 500. On Postgres by URL it is only for where notifications can't be had.
	 */
	readonly poll?: { readonly least?: number; readonly most?: number };
	/**
	 * For how many ms a connection of its own to a server may say nothing while it is asked something, before it is left and the call goes on by
	 * another. Default 10,000: statements wait for locks for a second at most.
	 */
	readonly answerWithin?: number;
	/** How many connections of its own it opens to a server. Default 10. */
	readonly connections?: number;
	/**
	 * What a commit to SQLite is safe from. `normal`: the end of the process, also by `kill -9`; a loss of power may take the last commits, never
	 * the file. `full`: a loss of power too, at the cost of a sync of the disk for each transaction. Default `normal`.
	 */
	readonly synchronous?: "normal" | "full";
	/** SQLite's driver. Default: better-sqlite3 if it is installed, else Node's own. */
	readonly driver?: SqliteDriver;
	/**
	 * Postgres: installs policies by which a connection whose setting `holdfast.scope` names a scope has that scope's rows alone, and one of another role that
	 * names none has no rows; the backend's own connections name none. `true` lets such roles read what they are granted; see
	 * {@link RowLevelSecurity} for grants and for writing. Default: policies are left as they are.
	 */
	readonly rowLevelSecurity?: boolean | Partial<RowLevelSecurity>;
	/** Milliseconds that are added to the database's clock, for tests of deadlines. */
	readonly clockOffset?: () => number;
}

/** Which database it is, where that can't be seen. */
export interface SqlEngineOptions extends SqlOptions {
	/** The database's dialect. Default: what the Kysely dialect is. */
	readonly engine?: "sqlite" | "postgres" | "mysql";
}

/** An application's own Kysely: shared, and never closed. */
export interface SqlDatabaseOptions extends SqlEngineOptions {
	// biome-ignore lint/suspicious/noExplicitAny: a Kysely of any tables fits.
	readonly db: Kysely<any>;
}

/** A Kysely dialect: the backend makes its own Kysely of it, and closes that. */
export interface SqlDialectOptions extends SqlEngineOptions {
	readonly dialect: Dialect;
}

/** The numbers that hold where none are given. */
export const usual = { least: 20, most: 500, answerWithin: 10_000, connections: 10 } as const;

/**
 * Refuses numbers that are none: a driver would take each for something else.
 *
 * @throws HoldfastError `invalid-argument`.
 */
export function checkNumbers({
	poll: { least = usual.least, most = usual.most } = {},
	answerWithin,
	connections,
}: SqlOptions): void {
	wholeNumber("poll.least", least, 1);
	wholeNumber("poll.most", most, 1);
	wholeNumber("answerWithin", answerWithin ?? usual.answerWithin, 1);
	wholeNumber("connections", connections ?? usual.connections, 1);
}
