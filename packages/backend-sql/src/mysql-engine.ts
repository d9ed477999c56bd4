/** MySQL 8 and MariaDB 10.6 or newer. */
import { codeOf, type Engine, isNetworkError, type PairOf, valuesOf } from "./engine.js";

type Pair = readonly [string | number, string];

// Keys and ids are binary there: text of the connection's character set is compared by its bytes.
const value = (of: PairOf): string => (of === "scope" ? "cast(? as binary)" : "?");

/** How the store speaks to MySQL and MariaDB. */
export const mysqlEngine: Engine = {
	name: "mysql",
	locksRows: true,
	rowsAtOnce: 500,
	pairsAtOnce: 2000,
	// In UTC: the hour that a change of summer time repeats must not count twice.
	now: "floor(timestampdiff(microsecond, '1970-01-01', utc_timestamp(3)) / 1000)",
	// Repeatable read would lock the gaps beside the rows, of other scopes too.
	begin: ["set transaction isolation level read committed", "start transaction"],
	skipLocked: "for update skip locked",
	waiting: undefined,
	quote: "`",
	text: (column) => column,
	// In this order: MariaDB begins with all entries of all scopes otherwise, and looks each up among the pairs.
	lookUp: (join, table, name, condition) =>
		`${join === "join" ? "straight_join" : join} {${table}} ${name} on ${condition}`,
	placeholder: () => "?",
	// MySQL has deprecated values() for an alias of the row, which MariaDB does not know.
	onConflict: (keys, updated) =>
		`on duplicate key update ${(updated.length === 0 ? keys : updated)
			.map((column) =>
				updated.length === 0 ? `"${column}" = "${column}"` : `"${column}" = values("${column}")`,
			)
			.join(", ")}`,
	rows: valuesOf,
	returning: () => "",
	isOneOf: (column, values) => ({
		size: values.length,
		text: () => `${column} in (${values.map(() => "?").join(", ")})`,
		values,
	}),
	pairTable: (first: PairOf, second: string, pairs: readonly Pair[]) => ({
		size: pairs.length,
		text: () =>
			`(${pairs
				.map((_, i) =>
					i === 0
						? `select ${value(first)} as ${first}, cast(? as binary) as "${second}", 0 as "at"`
						: `select ${value(first)}, cast(? as binary), ${i}`,
				)
				.join(" union all ")})`,
		values: pairs.flat(),
	}),
	// Rows of pairs would be compared with each row of the table, and many alternatives with one another: lists of keys are looked up.
	isPair(first: PairOf, second: string, pairs: readonly Pair[]) {
		// A text of so few is kept by its size alone, see Language.shape; the text of more depends on how they are grouped.
		const few = pairs.length <= 64;
		const groups = few
			? pairs.map((pair) => [pair[0], [pair]] as const)
			: [...Map.groupBy(pairs, ([one]) => one)];
		return {
			size: pairs.length,
			text: () =>
				groups
					.map(
						([, group]) =>
							`(${first} = ${value(first)} and "${second}" in (${group.map(() => "cast(? as binary)").join(", ")}))`,
					)
					.join(" or "),
			values: groups.flatMap(([one, group]) => [one, ...group.map(([, other]) => other)]),
		};
	},
	isTransient: (error) =>
		/^(ER_LOCK_DEADLOCK|ER_LOCK_WAIT_TIMEOUT|ER_DUP_ENTRY|ER_CHECKREAD)$/.test(codeOf(error)),
	isDisconnect: (error) =>
		isNetworkError(error) ||
		/^(ER_SERVER_SHUTDOWN|ER_CON_COUNT_ERROR|ER_NORMAL_SHUTDOWN)/.test(codeOf(error)),
	isAnswer: (error) => /^ER_/.test(codeOf(error)) && codeOf(error) !== "ER_SERVER_SHUTDOWN",
	refusal: (error) =>
		/^(ER_RECORD_FILE_FULL|ER_DISK_FULL)$/.test(codeOf(error))
			? "full"
			: /^(ER_OPTION_PREVENTS_STATEMENT|ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION|ER_TABLEACCESS_DENIED_ERROR)$/.test(
						codeOf(error),
					)
				? "read-only"
				: undefined,
};
