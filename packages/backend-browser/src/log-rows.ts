/** What a transaction adds to a scope's two logs. */
import type { LogRecord } from "@holdfast/core";
import { formatRecords, type LogRow } from "./records.js";
import { type Log, logs, trim } from "./retention.js";
import type { Steps, Table, Writes } from "./row-store.js";
import { grown, isLong, type ScopeRow } from "./scope-row.js";

/** How many characters of records stay in the scope's row, which every transaction reads, before they get a row of the log. */
const tailLength = 2048;

/** The records that belong in a log; those that are over its count at once leave no trace but the count. */
function rowOf(
	{ of, holds }: Log,
	row: ScopeRow,
	records: readonly LogRecord[],
	text: string,
): { readonly count: number; readonly added: LogRow } | undefined {
	const concerned = records.filter(holds);
	const { length: count } = concerned;
	const kept = concerned.slice(Math.max(0, count - (row.keep?.[of].count ?? count)));
	const last = kept.at(-1);
	if (last === undefined) return undefined;
	const added = {
		at: row[of].total + count - kept.length,
		count: kept.length,
		last: last.revision,
		time: last.time,
		text: kept.length === records.length ? text : formatRecords(kept),
	};
	return { count, added };
}

const joined = (tail: LogRow | null, added: LogRow): LogRow =>
	// A gap between them: what is in the tail is over the log's count.
	tail === null || tail.at + tail.count !== added.at
		? added
		: {
				...added,
				at: tail.at,
				count: tail.count + added.count,
				text: `${tail.text.slice(0, -1)},${added.text.slice(1)}`,
			};

/**
 * Logs records, and trims what is long; answers the scope's row. All that is read is read before anything is put.
 *
 * @param isNew - whether the scope begins anew, so that the rows that are there are not its own.
 */
export function* logRecords(
	before: ScopeRow,
	records: readonly LogRecord[],
	text: string,
	isNew: boolean,
	writes: Writes,
): Steps<ScopeRow> {
	let row = before;
	const { scope, keep, time } = before;
	const puts: { readonly table: Table; readonly logRow: LogRow }[] = [];
	for (const log of logs) {
		const { of, table } = log;
		const found = rowOf(log, row, records, text);
		let pending = found?.added;
		const left = of === "changes" ? records[records.length - (pending?.count ?? 0) - 1] : undefined;
		if (left !== undefined) row = { ...row, trimmed: left.revision };
		if (found !== undefined) {
			row = { ...row, [of]: grown(row[of], found.count, time) };
			if (of === "changes") pending = joined(row.tail, found.added);
			const staysInTail = of === "changes" && (pending?.text.length ?? 0) <= tailLength;
			if (of === "changes") row = { ...row, tail: staysInTail ? (pending ?? null) : null };
			if (pending !== undefined && !staysInTail) puts.push({ table, logRow: pending });
		}
		if (!isNew && keep !== undefined && isLong(row[of], keep[of], time))
			row = yield* trim(log, row, time, writes, pending);
	}
	for (const { table, logRow } of puts) writes.put([table, scope, logRow.last], logRow);
	return row;
}
