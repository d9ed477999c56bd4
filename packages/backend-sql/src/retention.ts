/** Logs are trimmed from their old end, a little at a time. */
import type { LogRetention } from "@holdfast/core";
import type { Language } from "./engine.js";
import type { ScopeRow } from "./scope-row.js";
import { ask, type Row, type Steps, toNumber } from "./statement.js";

/** How many records, and other things, go in one transaction at most. */
export const batchLimit = 1000;

/** The logs of a scope. */
export const logs = ["changes", "events"] as const;

/** One log, as its scope's row knows it. */
export interface LogSize {
	/** How many records it has had. */
	readonly total: number;
	/** How many of these, the first ones, are not kept any more. Rows all of whose records are among them are gone. */
	readonly cut: number;
	readonly oldest: number | null;
}

/** How long a scope's log is, by its row. */
export const sizeOf = (row: ScopeRow, of: "changes" | "events"): LogSize =>
	of === "changes"
		? { total: row.changesTotal, cut: row.changesCut, oldest: row.changesOldest }
		: { total: row.eventsTotal, cut: row.eventsCut, oldest: row.eventsOldest };

/** The row of a log that has another length. */
export const withSize = (
	row: ScopeRow,
	of: "changes" | "events",
	{ total, cut, oldest }: LogSize,
): ScopeRow =>
	of === "changes"
		? { ...row, changesTotal: total, changesCut: cut, changesOldest: oldest }
		: { ...row, eventsTotal: total, eventsCut: cut, eventsOldest: oldest };

/** How many of its records are kept. */
export const lengthOf = ({ total, cut }: LogSize): number => total - cut;

/** A long log may be a little longer for a while: trimming record by record would cost each commit two statements. */
const slack = (count: number): number => Math.min(64, Math.floor(count / 64));

/** Whether a log holds records that are past their age, or may. */
export const isOld = ({ oldest }: LogSize, keep: LogRetention, now: number): boolean =>
	oldest !== null && oldest < now - keep.age;

/**
 * Whether a log holds records that are so far past their age that a commit sees to it: who tidies does, as a rule, and nobody is told of them before.
 * A scope that is written every now and then has one that has just passed it at nearly each commit.
 */
export const isOverdue = (size: LogSize, keep: LogRetention, now: number): boolean =>
	isOld(size, keep, now - keep.age / 8);

/** Whether a log holds so many more records than are kept that some should go. */
export const isOver = (size: LogSize, keep: LogRetention): boolean =>
	lengthOf(size) > keep.count + slack(keep.count);

/** Whether a log should be trimmed now. */
export const isLong = (size: LogSize, keep: LogRetention, now: number): boolean =>
	isOver(size, keep) || isOld(size, keep, now);

/**
 * The last of a log's first so many `rows` that holds no record beyond a `total`. As many rows are enough as records are cut: those that were cut
 * before are gone.
 */
export const lastRow = (table: "changes" | "events", scope = "?", rows = "?", total = "?"): string =>
	`select max(o."revision") as "revision" from (
		select "revision", "total" from {${table}} where "scope_id" = ${scope} order by "revision" limit ${rows}
	) o where o."total" <= ${total}`;

/** Lets go of a log's rows up to a revision. */
export const cutTo = (table: "changes" | "events"): string =>
	`delete from {${table}} where "scope_id" = ? and "revision" <= ?`;

/** Lets go of a log's rows up to that of {@link lastRow}: both at once, where asking twice would be a round trip. */
export const cutText = (table: "changes" | "events"): string =>
	`delete from {${table}} where "scope_id" = ? and "revision" <= (${lastRow(table)})`;

/**
 * A log of which nothing is past its age without the records that are too many. The time of the oldest record stays what it was, though that one
 * went: looked at again when that time is past the age, it is set right.
 */
export function cutOf({ total, cut: before, oldest }: LogSize, keep: LogRetention): LogSize {
	const cut = Math.min(before + batchLimit, Math.max(before, total - keep.count));
	return { total, cut, oldest: cut === total ? null : oldest };
}

/** Lets go of rows that are past retention: of one some of whose records are kept, all are. */
export function* trim(
	language: Language,
	table: "changes" | "events",
	id: number,
	size: LogSize,
	keep: LogRetention,
	now: number,
): Steps<LogSize> {
	const { total } = size;
	const { cut } = cutOf(size, keep);
	// Where none is past its age, only the number counts.
	const most = isOld(size, keep, now) ? batchLimit : cut - size.cut;
	const rows = yield* ask(
		language.say(
			`select "revision", "time", "total" from {${table}} where "scope_id" = ? order by "revision" limit ?`,
			[id, most + 1],
		),
	);
	let gone = 0;
	const goes = (row: Row): boolean => toNumber(row.total) <= cut || toNumber(row.time) < now - keep.age;
	while (gone < Math.min(rows.length, most) && goes(rows[gone] as Row)) gone++;
	const last = rows[gone - 1];
	if (last !== undefined) yield [language.say(cutTo(table), [id, toNumber(last.revision)])];
	const oldest = rows[gone];
	if (oldest === undefined) return { total, cut: total, oldest: null };
	return { total, cut: Math.max(cut, toNumber(last?.total ?? 0)), oldest: toNumber(oldest.time) };
}
