/** Which database it is, and where its tables are. */
import { HoldfastError } from "@holdfast/core";
import { type DialectAdapter, MysqlAdapter, PostgresAdapter, SqliteAdapter } from "kysely";
import { type Engine, Language } from "./engine.js";
import { mysqlEngine } from "./mysql-engine.js";
import type { SqlOptions } from "./options.js";
import { postgresEngine } from "./postgres-engine.js";
import { sqliteEngine } from "./sqlite-engine.js";

/** The databases, by name. */
export const engines = { sqlite: sqliteEngine, postgres: postgresEngine, mysql: mysqlEngine };

/** Which database an adapter of Kysely's is for: by its class, or by its name where another copy of Kysely made it. */
export function engineOf(adapter: DialectAdapter): Engine {
	const { name } = adapter.constructor;
	if (adapter instanceof SqliteAdapter || /sqlite/i.test(name)) return sqliteEngine;
	if (adapter instanceof PostgresAdapter || /postgres|pglite/i.test(name)) return postgresEngine;
	if (adapter instanceof MysqlAdapter || /mysql/i.test(name)) return mysqlEngine;
	throw new HoldfastError(
		"invalid-argument",
		`the dialect ${name} is not known: say which it speaks as, engine: "sqlite", "postgres" or "mysql"`,
	);
}

/** The statements of a database for tables of these names. */
export function languageOf(
	engine: Engine,
	{ prefix = "holdfast_", schema }: Pick<SqlOptions, "prefix" | "schema">,
): Language {
	for (const [name, value] of Object.entries({ prefix, schema }))
		if (value !== undefined && !/^[A-Za-z_]\w{0,40}$/.test(value))
			throw new HoldfastError(
				"invalid-argument",
				`${name} must begin with a letter and have letters, digits and _ only, 41 at most: ${JSON.stringify(value)}`,
			);
	return new Language(engine, prefix, schema);
}
