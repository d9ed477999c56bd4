/** The schema as SQL text, for those who apply it themselves. */
import {
	DummyDriver,
	Kysely,
	MysqlAdapter,
	MysqlIntrospector,
	MysqlQueryCompiler,
	PostgresAdapter,
	PostgresIntrospector,
	PostgresQueryCompiler,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";
import type { Engine } from "./engine.js";
import { engines, languageOf } from "./engines.js";
import { migratorTables, type Place, steps } from "./tables.js";

const parts = {
	sqlite: [SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler],
	postgres: [PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler],
	mysql: [MysqlAdapter, MysqlIntrospector, MysqlQueryCompiler],
} as const;

/** A Kysely that only compiles. */
function compiler(engine: Engine["name"]): Kysely<unknown> {
	const [Adapter, Introspector, QueryCompiler] = parts[engine];
	return new Kysely({
		dialect: {
			createAdapter: () => new Adapter(),
			createDriver: () => new DummyDriver(),
			createIntrospector: (db) => new Introspector(db),
			createQueryCompiler: () => new QueryCompiler(),
		},
	});
}

/** What the migrator makes for itself, as it makes it, and what it notes once all is done: it then finds nothing left to do. */
function notes(
	db: Kysely<unknown>,
	engine: Engine["name"],
	place: Place,
	versions: readonly string[],
): readonly string[] {
	const { migrationTableName, migrationLockTableName } = migratorTables(place);
	const within = place.schema === undefined ? db : db.withSchema(place.schema);
	const made = within.schema
		.createTable(migrationTableName)
		.ifNotExists()
		.addColumn("name", "varchar(255)", (column) => column.notNull().primaryKey())
		.addColumn("timestamp", "varchar(255)", (column) => column.notNull());
	const lock = within.schema
		.createTable(migrationLockTableName)
		.ifNotExists()
		.addColumn("id", "varchar(255)", (column) => column.notNull().primaryKey())
		.addColumn("is_locked", "integer", (column) => column.notNull().defaultTo(0));
	const quote = engines[engine].quote;
	const name = (table: string): string =>
		[...(place.schema === undefined ? [] : [place.schema]), table]
			.map((part) => `${quote}${part}${quote}`)
			.join(".");
	const insert = (table: string, columns: string, values: string): string =>
		engine === "mysql"
			? `insert ignore into ${name(table)} (${columns}) values ${values}`
			: `insert into ${name(table)} (${columns}) values ${values} on conflict do nothing`;
	const quoted = (column: string): string => `${quote}${column}${quote}`;
	const columns = (...names: string[]): string => names.map(quoted).join(", ");
	return [
		made.compile().sql,
		lock.compile().sql,
		insert(migrationLockTableName, columns("id", "is_locked"), "('migration_lock', 0)"),
		...versions.map((version) =>
			insert(migrationTableName, columns("name", "timestamp"), `('${version}', '${version}')`),
		),
	];
}

/** A statement in lines: a column each. */
function inLines(statement: string): string {
	const start = statement.indexOf("(");
	if (!statement.startsWith("create table") || start < 0) return `${statement};`;
	let depth = 1;
	let lines = `${statement.slice(0, start + 1)}\n  `;
	let end = start + 1;
	for (; depth > 0; end++) {
		const character = statement[end];
		if (character === "(") depth++;
		if (character === ")") depth--;
		if (depth === 1 && character === " " && statement[end - 1] === ",") lines += "\n  ";
		else lines += depth === 0 ? "\n)" : character;
	}
	return `${lines}${statement.slice(end)};`;
}

/** The schema that these versions make together. */
export function schemaOf(engine: Engine["name"], place: Place, versions: readonly string[]): string {
	const db = compiler(engine);
	const made = versions.flatMap((version) =>
		(steps[version]?.(engines[engine], db, place) ?? []).map((statement) => statement.compile().sql),
	);
	return `${[...made, ...notes(db, engine, place, versions)].map(inLines).join("\n\n")}\n`;
}

/**
 * The schema as SQL, for those who apply it themselves: the tables that `sql` would make, and its notes that they were made. Each statement may be run
 * again. Throws `invalid-argument` for a malformed prefix or schema.
 *
 * @example
 * ```ts
 * writeFileSync("holdfast.sql", sqlSchema("postgres", { schema: "state" }));
 * ```
 */
export function sqlSchema(
	engine: "sqlite" | "postgres" | "mysql",
	options: { readonly prefix?: string; readonly schema?: string } = {},
): string {
	languageOf(engines[engine], options);
	const place: Place = { prefix: options.prefix ?? "holdfast_", schema: options.schema };
	return schemaOf(engine, place, Object.keys(steps));
}
