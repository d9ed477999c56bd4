/** SQLite, 3.42 or newer. */
import { codeOf, type Engine, type Fragment, isNetworkError, type PairOf, valuesOf } from "./engine.js";

type Pair = readonly [string | number, string];

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Driver errors name the condition by code (better-sqlite3) or by number (node:sqlite). */
const isCondition = (error: unknown, name: string, number: number): boolean =>
	codeOf(error).startsWith(`SQLITE_${name}`) ||
	(Number((error as { errcode?: unknown } | null)?.errcode ?? -1) & 0xff) === number;

/** How the store speaks to SQLite. */
export const sqliteEngine: Engine = {
	name: "sqlite",
	locksRows: false,
	rowsAtOnce: 1,
	pairsAtOnce: 1,
	now: "cast(round(unixepoch('subsec') * 1000) as integer)",
	// A transaction that began by reading can't become one that writes while another writes.
	begin: ["begin immediate"],
	skipLocked: "",
	waiting: undefined,
	quote: '"',
	text: (column) => column,
	lookUp: (join, table, name, condition) => `${join} {${table}} ${name} on ${condition}`,
	placeholder: () => "?",
	onConflict: (keys, updated) =>
		`on conflict (${keys.map((key) => `"${key}"`).join(", ")}) do ${
			updated.length === 0
				? "nothing"
				: `update set ${updated.map((column) => `"${column}" = excluded."${column}"`).join(", ")}`
		}`,
	rows: valuesOf,
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
