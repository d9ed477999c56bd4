/** The two logs of a scope, trimmed from their old end. */
import type { LogRecord, Retention } from "@holdfast/core";
import type { LogRow } from "./records.js";
import type { Steps, Table, Writes } from "./row-store.js";
import type { LogSize, ScopeRow } from "./scope-row.js";

/** How many rows go in one transaction at most. */
const rowsAtOnce = 500;

/** One of the two logs. */
export interface Log {
	readonly of: keyof Retention;
	readonly table: Table;
	/** Whether a record belongs in it. */
	readonly holds: (record: LogRecord) => boolean;
}

/** The log of changes, which has all records, and that of events. */
export const logs: readonly [Log, Log] = [
	{ of: "changes", table: "l", holds: () => true },
	{ of: "events", table: "v", holds: ({ events }) => events.length > 0 },
];

/**
 * Lets go of rows that are past retention as a whole; answers the scope's row with the log as it is then.
 *
 * @param pending - the records of this log that have no row of it yet.
 */
export function* trim(
	{ of, table }: Log,
	row: ScopeRow,
	now: number,
	writes: Writes,
	pending?: LogRow,
): Steps<ScopeRow> {
	const { scope, keep } = row;
	const { total } = row[of];
	if (keep === undefined) return row;
	const { count, age } = keep[of];
	const isOver = (one: LogRow): boolean => one.at + one.count <= total - count || one.time < now - age;
	const tail = of === "changes" && row.tail !== null && !isOver(row.tail) ? row.tail : null;
	const next = pending ?? tail;
	const [rows] = (yield [{ range: { table, scope, limit: rowsAtOnce } }]) as [LogRow[]];
	const from = rows.findIndex((one) => !isOver(one));
	const kept = rows[from];
	const gone = from < 0 ? rows.at(-1) : rows[from - 1];
	if (gone !== undefined) writes.deleteAll({ table, scope, upTo: gone.last });
	let size: LogSize = { total, first: total, oldest: null };
	// A row goes when all of it is over: its beginning counts as gone before.
	if (kept !== undefined) size = { total, first: Math.max(kept.at, total - count), oldest: kept.time };
	else if (gone !== undefined && rows.length === rowsAtOnce)
		size = { total, first: gone.at + gone.count, oldest: gone.time };
	else if (next !== null) size = { total, first: next.at, oldest: next.time };
	if (of === "events") return { ...row, events: size };
	const trimmed = tail === row.tail ? (gone?.last ?? row.trimmed) : (row.tail as LogRow).last;
	return { ...row, tail, trimmed, changes: size };
}
