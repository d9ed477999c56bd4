/** The factory. */
import type { Backend } from "@holdfast/core";
import { SqlBackend } from "./backend.js";
import { dialectOpener, openDatabase, openUrl } from "./opened.js";
import { checkNumbers, type SqlDatabaseOptions, type SqlDialectOptions, type SqlOptions } from "./options.js";

/**
 * SQLite, Postgres, MySQL or MariaDB as a backend: by URL, by the application's own Kysely (`db`), or by a Kysely dialect.
 *
 * | URL | driver to install |
 * | --- | --- |
 * | `sqlite:./state.db`, `sqlite::memory:` | `better-sqlite3`, or none: then Node's own SQLite serves |
 * | `postgres://…` | `pg` |
 * | `mysql://…`, `mariadb://…` | `mysql2` |
 *
 * Tables are made and migrated at the first call. Nothing is connected before it.
 *
 * @throws HoldfastError `invalid-argument` where a number among the options is none.
 *
 * @example
 * ```ts
 * const manager = createStateManager({ backend: sql(process.env.DATABASE_URL ?? "sqlite:./state.db") });
 * ```
 */
export function sql(
	where: string | SqlDatabaseOptions | SqlDialectOptions,
	options: SqlOptions = {},
): Backend {
	checkNumbers(typeof where === "object" ? where : options);
	if (typeof where === "object") {
		const traits = { reach: "network", durable: true } as const;
		return new SqlBackend("db" in where ? () => openDatabase(where) : dialectOpener(where), traits, where);
	}
	// What an environment lacks is refused as any other malformed URL.
	const url = String(where);
	const inMemory = /^sqlite:(:memory:)?$/.test(url);
	const reach = inMemory ? "process" : url.startsWith("sqlite:") ? "device" : "network";
	return new SqlBackend(() => openUrl(url, options), { reach, durable: !inMemory }, options);
}
