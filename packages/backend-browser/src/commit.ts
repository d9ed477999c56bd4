/** Batches, judged and written in one transaction. */
import {
	type Batch,
	type BatchAnswer,
	endOfScope,
	evaluate,
	type Failure,
	judgeWriter,
	type LogRecord,
} from "@holdfast/core";
import type { CachedScope } from "./cached-scope.js";
import type { DeviceClock } from "./device-clock.js";
import {
	formatAnswer,
	formatEntry,
	formatRecords,
	type LogRow,
	parseWriter,
	type WriterRow,
} from "./records.js";
import { type Log, logs, trim } from "./retention.js";
import type { Ask, Steps, Writes } from "./row-store.js";
import type { ScopeCache } from "./scope-cache.js";
import { blankRow, emptied, grown, isLong, nextTidy, type ScopeRow, withTouches } from "./scope-row.js";

/** What became of a batch. */
export interface Judged {
	readonly batch: Batch;
	readonly answer: BatchAnswer | Failure;
	/** What watchers hear once the transaction is committed. */
	readonly records: readonly LogRecord[];
	/** The same as text, for other tabs; `undefined` where there is none. */
	readonly text: string | undefined;
	readonly ended: boolean;
}

/** What transactions work with. */
export interface Parts {
	readonly cache: ScopeCache;
	readonly clock: DeviceClock;
	/** Whether writers have to be remembered. */
	readonly remembers: boolean;
}

/** Reads what batches need, has them judged in order, and writes what they did. */
export function* commitBatches(
	parts: Parts,
	batches: readonly Batch[],
	writes: Writes,
): Steps<readonly Judged[]> {
	const { cache, clock, remembers } = parts;
	const scopes = [...new Set(batches.map(({ scope }) => scope))];
	const asks = scopes.map((scope): Ask => ({ key: ["m", scope] }));
	if (remembers)
		for (const { scope, writer, commits } of batches)
			if (commits.length > 0) asks.push({ key: ["w", scope, writer] });
	const answers = yield asks;
	const rows = new Map(
		scopes.map((scope, i) => [scope, (answers[i] as ScopeRow | undefined) ?? blankRow(scope)]),
	);
	let remembered = scopes.length;
	const judged: Judged[] = [];
	for (const batch of batches) {
		const writer =
			remembers && batch.commits.length > 0 ? (answers[remembered++] as WriterRow | undefined) : undefined;
		const row = rows.get(batch.scope) as ScopeRow;
		clock.witness(row);
		const now = clock.now();
		const known = judgeWriter(writer && parseWriter(writer), batch, now);
		if (known !== undefined) {
			judged.push({ batch, answer: known, records: [], text: undefined, ended: false });
			continue;
		}
		const state = yield* cache.current(row);
		state.begin();
		const floor = Math.max(batch.floor, row.floor, row.head);
		const { answer, records, ended } = evaluate(state, { ...batch, floor }, now);
		const text = records.length > 0 ? formatRecords(records) : undefined;
		judged.push({ batch, answer, records, text, ended });
		// A sweep that found nothing.
		if (batch.commits.length === 0 && records.length === 0 && !ended) continue;
		rows.set(batch.scope, yield* write(parts, row, judged.at(-1) as Judged, state, writes));
	}
	return judged;
}

function* write(
	{ clock, remembers }: Parts,
	before: ScopeRow,
	{ batch, answer, records, text, ended }: Judged,
	state: CachedScope,
	writes: Writes,
): Steps<ScopeRow> {
	const { scope, commits } = batch;
	const { now, next } = answer as BatchAnswer;
	const { cleared, deleted, put, touched } = state.difference();
	let row: ScopeRow = {
		...withTouches(ended ? emptied(before) : before, touched),
		head: state.head,
		eventsHead: state.eventsHead,
		deadline: state.deadline,
		seal: state.seal,
		keep: state.keep,
		time: now,
		offset: clock.offset,
		next,
		endsAt: state.seal === undefined && state.deadline !== null ? endOfScope(state) : null,
	};
	state.touches = row.touches;
	const added = logs.map((log) => additions(log, row, records, text));
	for (const [i, log] of logs.entries()) {
		const { count } = added[i] as Addition;
		if (count > 0) row = { ...row, [log.of]: grown(row[log.of], count, now) };
	}
	// All that is read is read before anything is written.
	for (const [i, log] of logs.entries())
		if (row.keep !== undefined && isLong(row[log.of], row.keep[log.of], now))
			row = yield* trim(log, row, now, writes, added[i]?.logRow?.at);
	row = { ...row, tidyAt: before.tidyAt ?? nextTidy(row) ?? batch.until };
	if (cleared) for (const table of ["e", "l", "v"] as const) writes.deleteAll({ table, scope });
	for (const key of deleted) writes.delete(["e", scope, key]);
	for (const entry of put) writes.put(["e", scope, entry.key], formatEntry(entry));
	for (const [i, { table }] of logs.entries()) {
		const { logRow } = added[i] as Addition;
		if (logRow !== undefined) writes.put([table, scope, logRow.last], logRow);
	}
	if (remembers && commits.length > 0) writes.put(["w", scope, batch.writer], remember(batch, answer));
	writes.put(["m", scope], row);
	return row;
}

interface Addition {
	/** How many records the log grows by, those that are over its count already included. */
	readonly count: number;
	readonly logRow: LogRow | undefined;
}

/** What a log gets of a transaction's records: one row, keyed by the last of them. */
function additions(
	{ of, holds }: Log,
	row: ScopeRow,
	records: readonly LogRecord[],
	text: string | undefined,
): Addition {
	const concerned = records.filter(holds);
	const most = row.keep?.[of].count ?? concerned.length;
	const kept = concerned.slice(Math.max(0, concerned.length - most));
	const last = kept.at(-1);
	if (last === undefined) return { count: 0, logRow: undefined };
	const { length: count } = concerned;
	const whole = kept.length === records.length && text !== undefined;
	const logRow = {
		at: row[of].total + count - kept.length,
		count: kept.length,
		last: last.revision,
		time: last.time,
		text: whole ? text : formatRecords(kept),
	};
	return { count, logRow };
}

const remember = ({ sequence, commits, until, writer }: Batch, answer: BatchAnswer | Failure): WriterRow => ({
	writer,
	sequence,
	id: commits[0]?.id ?? "",
	until,
	answer: formatAnswer(answer as BatchAnswer),
});
