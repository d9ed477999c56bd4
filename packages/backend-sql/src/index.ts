/**
 * SQLite, Postgres, MySQL and MariaDB as backends of Holdfast.
 *
 * @packageDocumentation
 */
export type { SqliteDriver } from "./drivers.js";
export type {
	RowLevelSecurity,
	SqlDatabaseOptions,
	SqlDialectOptions,
	SqlEngineOptions,
	SqlOptions,
} from "./options.js";
export { sqlSchema } from "./schema.js";
export { sql } from "./sql.js";
