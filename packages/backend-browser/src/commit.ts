/** Batches, judged and written in one transaction. */
import {
	type Batch,
	type BatchAnswer,
	endOfScope,
	evaluate,
	type Failure,
	judgeWriter,
	type LogRecord,
	type WriterMemory,
} from "@holdfast/core";
import type { CachedScope } from "./cached-scope.js";
import type { DeviceClock } from "./device-clock.js";
import { logRecords } from "./log-rows.js";
import {
	type AnswerRow,
	formatAnswer,
	formatEntry,
	formatRecords,
	parseAnswer,
	type WriterNote,
} from "./records.js";
import type { Ask, Steps, Writes } from "./row-store.js";
import type { ScopeCache } from "./scope-cache.js";
import {
	blankRow,
	emptied,
	marked,
	nextTidy,
	type ScopeRow,
	type Touched,
	withTouches,
} from "./scope-row.js";

/** An answer of more characters has a row of its own: each commit reads and writes the scope's row. */
const longAnswer = 2048;

// Stands for an answer that nobody asks for again.
const noAnswer: BatchAnswer = { head: 0, now: 0, next: null, outcomes: [] };

/** What became of a batch. */
export interface Judged {
	readonly batch: Batch;
	readonly answer: BatchAnswer | Failure;
	/** What watchers hear once the transaction is committed. */
	readonly records: readonly LogRecord[];
	/** The same as text, for other tabs; `undefined` where there is none. */
	readonly text: string | undefined;
	readonly ended: boolean;
	/** The scope in memory, and since when nobody else was there (see `Presence`). */
	readonly state?: CachedScope;
	readonly era?: object | undefined;
}

/** What transactions work with. */
export interface Parts {
	readonly cache: ScopeCache;
	readonly clock: DeviceClock;
	/** Whether writers have to be remembered. */
	readonly remembers: boolean;
	/** How many records entries' rows may be behind. */
	readonly mostBehind: number;
	/** The time alone (see `Presence`) in which the transaction began. */
	readonly era: object | undefined;
}

/** Reads what batches need, has them judged in order, and writes what they did. */
export function* commitBatches(
	parts: Parts,
	batches: readonly Batch[],
	writes: Writes,
): Steps<readonly Judged[]> {
	const { cache, clock, era } = parts;
	const scopes = [...new Set(batches.map(({ scope }) => scope))];
	const answers = yield scopes.map(
		(scope): Ask => ({ key: ["m", scope], assumed: era && cache.get(scope)?.row }),
	);
	const rows = new Map(
		scopes.map((scope, i) => [scope, (answers[i] as ScopeRow | undefined) ?? blankRow(scope)]),
	);
	const judged: Judged[] = [];
	for (const batch of batches) {
		const row = rows.get(batch.scope) as ScopeRow;
		clock.witness(row);
		const now = clock.now();
		const known = judgeWriter(yield* recall(row, batch), batch, now);
		if (known !== undefined) {
			judged.push({ batch, answer: known, records: [], text: undefined, ended: false });
			continue;
		}
		const state = yield* cache.current(row);
		state.begin();
		const floor = Math.max(batch.floor, row.floor, row.head);
		const { answer, records, ended } = evaluate(state, { ...batch, floor }, now);
		const text = records.length > 0 ? formatRecords(records) : undefined;
		judged.push({ batch, answer, records, text, ended, state, era });
		const isIdle = answer.outcomes.every(({ ok }) => !ok) && records.length === 0 && !ended;
		// A sweep that found nothing, or refusals that nobody has to remember.
		if (isIdle && (batch.commits.length === 0 || !parts.remembers)) continue;
		rows.set(batch.scope, yield* write(parts, row, judged.at(-1) as Judged, state, writes));
	}
	return judged;
}

function* write(
	{ clock, remembers, mostBehind }: Parts,
	before: ScopeRow,
	{ batch, answer, records, text, ended }: Judged,
	state: CachedScope,
	writes: Writes,
): Steps<ScopeRow> {
	const { scope, commits } = batch;
	const { now, next } = answer as BatchAnswer;
	// Nobody reads in memory what is not committed yet.
	state.doubt();
	const { cleared, touched } = state.difference(records);
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
	if (cleared) for (const table of ["e", "l", "v"] as const) writes.deleteAll({ table, scope });
	if (text !== undefined) row = yield* logRecords(row, records, text, cleared, writes);
	if (remembers && commits.length > 0)
		row = { ...row, writers: remember(row, batch, answer as BatchAnswer, writes) };
	row = { ...row, tidyAt: before.tidyAt ?? nextTidy(row) ?? batch.until };
	for (const record of records) state.unwritten.note(record, state.place++);
	row = writeEntries(
		row,
		state,
		{ added: records.length, mostBehind: cleared ? 0 : mostBehind, touched },
		writes,
	);
	row = marked(row);
	writes.put(["m", scope], row);
	state.row = row;
	return row;
}

/** Writes the rows of entries that may not be behind any longer; answers the scope's row. */
export function writeEntries(
	row: ScopeRow,
	state: CachedScope,
	{ added, mostBehind, touched }: { added: number; mostBehind: number; touched: readonly Touched[] },
	writes: Writes,
): ScopeRow {
	const { scope } = row;
	// No record tells of an extended deadline.
	const keys = new Set(touched.map(({ key }) => key));
	for (const key of state.unwritten.take(row, added, mostBehind)) keys.add(key);
	for (const key of keys) {
		const entry = state.get(key);
		if (entry === undefined) writes.delete(["e", scope, key]);
		else writes.put(["e", scope, key], formatEntry(entry));
	}
	return { ...row, written: state.unwritten.reach(row) };
}

/** Notes a batch and its answer, and forgets the writers whose time is over. */
function remember(
	{ scope, writers, time }: ScopeRow,
	{ sequence, commits, until, writer }: Batch,
	answer: BatchAnswer,
	writes: Writes,
): ScopeRow["writers"] {
	const kept: Record<string, WriterNote> = {};
	for (const [other, note] of Object.entries(writers)) {
		if (note.until >= time || other === writer) kept[other] = note;
		else if (note.answer === null) writes.delete(["w", scope, other]);
	}
	const text = formatAnswer(answer);
	const isLong = text.length > longAnswer;
	if (isLong) writes.put(["w", scope, writer], { text } satisfies AnswerRow);
	else if (kept[writer]?.answer === null) writes.delete(["w", scope, writer]);
	kept[writer] = { sequence, id: commits[0]?.id ?? "", until, answer: isLong ? null : text };
	return kept;
}

/** What is remembered of a batch's writer. */
function* recall({ scope, writers }: ScopeRow, { writer, sequence }: Batch): Steps<WriterMemory | undefined> {
	const note = writers[writer];
	if (note === undefined) return undefined;
	let { answer: text } = note;
	// Only who asks again needs the answer.
	if (text === null && note.sequence === sequence) {
		const [row] = (yield [{ key: ["w", scope, writer] }]) as [AnswerRow];
		({ text } = row);
	}
	const answer = text === null || note.sequence !== sequence ? noAnswer : parseAnswer(text);
	return { ...note, answer };
}
