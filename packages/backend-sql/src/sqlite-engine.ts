/** SQLite, 3.42 or newer. */
import {
	codeOf,
	type Engine,
	type Fragment,
	type Insertion,
	isNetworkError,
	type PairOf,
	valuesOf,
} from "./engine.js";
import type { Bound } from "./statement.js";

type Pair = readonly [string | number, string];

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Driver errors name the condition by code (better-sqlite3) or by number (node:sqlite). */
const isCondition = (error: unknown, name: string, number: number): boolean =>
	codeOf(error).startsWith(`SQLITE_${name}`) ||
	(Number((error as { errcode?: unknown } | null)?.errcode ?? -1) & 0xff) === number;

/** Rows of values; those that are the same in all rows are handed over once, since that is most of what a row costs. */
function rowsOf(insertion: Insertion, rows: readonly (readonly Bound[])[]): Fragment {
	if (rows.length === 1) return valuesOf(insertion, rows);
	const [first] = rows as readonly [readonly Bound[]];
	const shared: Bound[] = [];
	const own: number[] = [];
	let form = 0;
	for (let i = 0; i < first.length; i++) {
		const value = first[i] as Bound;
		if (rows.every((row) => row[i] === value)) {
			shared.push(value);
			form += 2 ** i;
		} else own.push(i);
	}
	if (shared.length === 0) return valuesOf(insertion, rows);
	const values = shared;
	for (const row of rows) for (const i of own) values.push(row[i] as Bound);
	return {
		size: rows.length,
		form,
		text: () => {
			const bound = first.map((_, i) => (own.includes(i) ? `v.column${own.indexOf(i) + 1}` : "?"));
			const selected = [...bound, ...Object.values(insertion.alike ?? {})];
			const row = `(${own.map(() => "?").join(", ")})`;
			// Without a condition SQLite takes what follows for a join's.
			return `select ${selected.join(", ")} from (values ${rows.map(() => row).join(", ")}) v where true`;
		},
		values,
	};
}

/** How the store speaks to SQLite. */
export const sqliteEngine: Engine = {
	name: "sqlite",
	locksRows: false,
	// More per statement hardly helps: handing over a value then costs as much as the row.
	rowsAtOnce: 16,
	pairsAtOnce: 1,
	now: "cast(round(unixepoch('subsec') * 1000) as integer)",
	// A transaction that began by reading can't become one that writes while another writes.
	begin: ["begin immediate"],
	skipLocked: "",
	waiting: undefined,
	quote: '"',
	text: (column) => column,
	lookUp: (join, table, name, condition) => `${join} {${table}} ${name} on ${condition}`,
	// A bare parameter in a limit or a join has SQLite plan the statement anew each time another value is bound: as an expression it has not.
	placeholder: () => "+?",
	onConflict: (keys, updated) =>
		`on conflict (${keys.map((key) => `"${key}"`).join(", ")}) do ${
			updated.length === 0
				? "nothing"
				: `update set ${updated.map((column) => `"${column}" = excluded."${column}"`).join(", ")}`
		}`,
	rows: rowsOf,
	returning: () => "",
	isOneOf: (column, values) => ({
		size: values.length,
		text: () => `${column} in (${values.map(() => "?").join(", ")})`,
		values,
	}),
	pairTable: (first: PairOf, second: string, pairs: readonly Pair[]): Fragment => ({
		size: pairs.length,
		text: () =>
			`(${pairs.map((_, i) => (i === 0 ? `select ? as ${first}, ? as "${second}", 0 as "at"` : `select ?, ?, ${i}`)).join(" union all ")})`,
		values: pairs.flat(),
	}),
	isPair: (first: PairOf, second: string, pairs: readonly Pair[]): Fragment => ({
		size: pairs.length,
		text: () => pairs.map(() => `(${first} = ? and "${second}" = ?)`).join(" or "),
		values: pairs.flat(),
	}),
	isTransient: (error) =>
		isCondition(error, "BUSY", 5) ||
		isCondition(error, "LOCKED", 6) ||
		/database is locked/.test(messageOf(error)),
	isDisconnect: isNetworkError,
	isAnswer: () => true,
	refusal: (error) =>
		isCondition(error, "FULL", 13)
			? "full"
			: isCondition(error, "READONLY", 8) || isCondition(error, "CANTOPEN", 14)
				? "read-only"
				: undefined,
};
