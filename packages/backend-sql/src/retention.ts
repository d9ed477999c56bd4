/** Logs are trimmed from their old end, a little at a time. */
import type { LogRetention } from "@holdfast/core";
import type { Language } from "./engine.js";
import { ask, type Steps, toNumber } from "./statement.js";

/** How many records, and other things, go in one transaction at most. */
export const batchLimit = 1000;

/** The logs of a scope. */
export const logs = ["changes", "events"] as const;

/** One log, as its scope's row knows it. */
export interface LogSize {
	readonly count: number;
	readonly oldest: number | null;
}

/** A long log may be a little longer for a while: trimming record by record would cost each commit two statements. */
const slack = (count: number): number => Math.min(64, Math.floor(count / 64));

/** Whether a log holds records that are past their age, or may. */
export const isOld = ({ oldest }: LogSize, keep: LogRetention, now: number): boolean =>
	oldest !== null && oldest < now - keep.age;

/** Whether a log holds so many more records than are kept that some should go. */
export const isOver = ({ count }: LogSize, keep: LogRetention): boolean =>
	count > keep.count + slack(keep.count);

/** Whether a log should be trimmed now. */
export const isLong = (size: LogSize, keep: LogRetention, now: number): boolean =>
	isOver(size, keep) || isOld(size, keep, now);

/** The revision of the record of a log that so many come before. */
export const recordAt = (table: "changes" | "events"): string =>
	`select "revision" from {${table}} where "scope_id" = ? order by "revision" limit 1 offset ?`;

/** Lets go of a log's records up to a revision. */
export const cutTo = (table: "changes" | "events"): string =>
	`delete from {${table}} where "scope_id" = ? and "revision" <= ?`;

/** Lets go of a log's records up to the one that so many come before: both at once, where asking twice would be a round trip. */
export const cutText = (table: "changes" | "events"): string =>
	`delete from {${table}} where "scope_id" = ? and "revision" <= (select o."revision" from (${recordAt(table)}) o)`;

/**
 * How many are too many in a log of which nothing is past its age, and how long it is without them. The time of the oldest record stays what it
 * was, though that one went: looked at again when that time is past the age, it is set right.
 */
export function cut(
	{ count, oldest }: LogSize,
	keep: LogRetention,
): { readonly gone: number; readonly size: LogSize } {
	const gone = Math.min(batchLimit, count - keep.count);
	return { gone, size: { count: count - gone, oldest: gone === count ? null : oldest } };
}

/** Lets go of records that are past retention. */
export function* trim(
	language: Language,
	table: "changes" | "events",
	id: number,
	{ count, oldest: first }: LogSize,
	keep: LogRetention,
	now: number,
): Steps<LogSize> {
	const over = Math.max(0, count - keep.count);
	// Where none is past its age, only the number counts.
	const most = first !== null && first < now - keep.age ? batchLimit : Math.min(batchLimit, over);
	const rows = yield* ask(
		language.say(
			`select "revision", "time" from {${table}} where "scope_id" = ? order by "revision" limit ?`,
			[id, most + 1],
		),
	);
	let gone = 0;
	while (gone < Math.min(rows.length, most) && (gone < over || toNumber(rows[gone]?.time) < now - keep.age))
		gone++;
	if (gone > 0) yield [language.say(cutTo(table), [id, toNumber(rows[gone - 1]?.revision)])];
	const oldest = rows[gone];
	return {
		count: oldest === undefined ? 0 : Math.max(0, count - gone),
		oldest: oldest === undefined ? null : toNumber(oldest.time),
	};
}
