/** Postgres, 12 or newer, and what speaks as it does. */
import { codeOf, type Engine, type Fragment, type Insertion, isNetworkError, type PairOf } from "./engine.js";
import type { ElementType } from "./postgres-array.js";

type Pair = readonly [string | number, string];

const typeOfFirst = (first: PairOf): ElementType => (first === "scope" ? "text" : "bigint");

// Arrays: one text of a statement for any number of pairs.
const unnest = (first: PairOf): string => `unnest(?::${typeOfFirst(first)}[], ?::text[])`;

const arrays = (first: PairOf, pairs: readonly Pair[]): Pick<Fragment, "values" | "types"> => ({
	values: [pairs.map(([one]) => one), pairs.map(([, other]) => other)],
	types: [typeOfFirst(first), "text"],
});

const numbers =
	/^(scope_id|head|floor|sequence|revision|previous|total|.*_(head|revision|events|total|cut)|keep_changes)$/;
const instants = /^(time|until|deadline|.*_(at|age|expiry|oldest))$/;

/** The type of a table's column. */
export const typeOf = (table: Insertion["table"], column: string): ElementType => {
	if (instants.test(column)) return "double precision";
	return numbers.test(column) || (table === "scopes" && column === "id") ? "bigint" : "text";
};

const known = new Map<readonly string[], readonly ElementType[]>();

function typesOf(table: Insertion["table"], columns: readonly string[]): readonly ElementType[] {
	let types = known.get(columns);
	if (types === undefined) {
		types = columns.map((column) => typeOf(table, column));
		known.set(columns, types);
	}
	return types;
}

/** How the store speaks to Postgres. */
export const postgresEngine: Engine = {
	name: "postgres",
	locksRows: true,
	rowsAtOnce: 10_000,
	pairsAtOnce: 10_000,
	// now() is when the transaction started, which may be before it got its locks. extract() would count in decimals, which takes ten times as long.
	now: "floor(date_part('epoch', clock_timestamp()) * 1000)",
	begin: ["begin isolation level read committed"],
	skipLocked: "for update skip locked",
	waiting: { begin: "set local lock_timeout = '1s'", lock: "for update" },
	quote: '"',
	text: (column) => column,
	// The offset keeps the planner from joining by the first column of an index alone, which it takes for as good while it has not seen the table full.
	lookUp: (join, table, name, condition) =>
		`${join} lateral (select * from {${table}} ${name} where ${condition} offset 0) ${name} on true`,
	placeholder: (index) => `$${index}`,
	onConflict: (keys, updated) =>
		`on conflict (${keys.map((key) => `"${key}"`).join(", ")}) do ${
			updated.length === 0
				? "nothing"
				: `update set ${updated.map((column) => `"${column}" = excluded."${column}"`).join(", ")}`
		}`,
	rows: ({ table, columns }, rows) => ({
		size: 0,
		text: () =>
			`select * from unnest(${typesOf(table, columns)
				.map((type) => `?::${type}[]`)
				.join(", ")})`,
		values: columns.map((_, i) => rows.map((row) => row[i] as string | number | null)),
		types: typesOf(table, columns),
	}),
	returning: (columns) => `returning ${columns}`,
	rowVersion: "xmin::text",
	isOneOf: (column, values) => ({
		size: 0,
		text: () => `${column} = any(?::text[])`,
		values: [values],
		types: ["text"],
	}),
	pairTable: (first, second, pairs) => ({
		size: 0,
		text: () =>
			`(select ${first}, "${second}", n - 1 as "at" from ${unnest(first)} with ordinality as pair(${first}, "${second}", n))`,
		...arrays(first, pairs),
	}),
	isPair: (first, second, pairs) => ({
		size: 0,
		text: () => `(${first}, "${second}") in (select * from ${unnest(first)})`,
		...arrays(first, pairs),
	}),
	// Serialisation failure, deadlock, lock not available, a unique key that another transaction took meanwhile, and a prepared statement that
	// a pooler left on another connection: the store prepares none from then on.
	isTransient: (error) => /^(40001|40P01|55P03|23505|26000|42P05)$/.test(codeOf(error)),
	// Class 08 and 57P: the server goes down, or ended the session.
	isDisconnect: (error) => isNetworkError(error) || /^(08|57P|53300)/.test(codeOf(error)),
	isAnswer: (error) => /^[0-9A-Z]{5}$/.test(codeOf(error)) && !/^(08|57P)/.test(codeOf(error)),
	refusal: (error) =>
		/^(53100|53200|53400)$/.test(codeOf(error))
			? "full"
			: /^(25006|42501)$/.test(codeOf(error))
				? "read-only"
				: undefined,
};

/**
 * The same through a driver that decodes text as if it were a file, and takes a byte order mark from its beginning, as PGlite does: it is
 * given one to take. Otherwise a key that begins with one would come back as another key, and a list that goes on behind it would never end.
 */
export const markedPostgresEngine: Engine = {
	...postgresEngine,
	text: (column) => `(chr(65279) || ${column})`,
};
