/** A pack: batches of several scopes in one transaction, a handful of statements whatever their number. */
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
import { clearScopes } from "./clearing.js";
import type { Language } from "./engine.js";
import type { KnownHeads } from "./known-heads.js";
import { type KnownScope, type KnownScopes, memoryOf } from "./known-scopes.js";
import { type Found, load, namedEntries, selectNamed, selectNamedOf } from "./load.js";
import { type LoadedScope, namedKeys } from "./loaded-scope.js";
import { cutOf, cutText, isLong, isOld, logs, sizeOf, trim, withSize } from "./retention.js";
import { parseEntry, parseWriter } from "./rows.js";
import { emptied, parseScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import { type Row, type Statement, type Steps, toNumber, toText } from "./statement.js";
import type { StoreClock } from "./store-clock.js";
import { addScopes, insertRecords, writeEntries, writeScopes, writeWriters } from "./write.js";

/** What became of one batch of a pack. */
export interface Packed {
	readonly batch: Batch;
	readonly answer: BatchAnswer | Failure;
	/** What watchers hear once the transaction is committed. */
	readonly records: readonly LogRecord[];
	readonly ended: boolean;
}

const columns = scopeColumns.map((column) => `s."${column}"`).join(", ");

/** The statement that locks the rows of scopes; it leaves out those that are locked, so that the order is all the same, unless it `waits` for the one. */
export const lockScopes = (
	language: Language,
	scopes: readonly string[],
	waits = false,
): readonly Statement[] => {
	const { engine } = language;
	const lock = (waits && engine.waiting?.lock) || engine.skipLocked;
	return language.parts(scopes).map((part) => {
		const these = engine.isOneOf('s."scope"', part);
		return language.shape(
			lock,
			these,
			() => `select ${columns}, {now} as "now" from {scopes} s where ${these.text()} ${lock}`,
		);
	});
};

const selectWriters = (language: Language, batches: readonly Batch[]): readonly Statement[] =>
	language.parts(batches.filter(({ commits }) => commits.length > 0)).map((part) => {
		const pairs = part.map(({ scope, writer }): [string, string] => [scope, writer]);
		const { pairTable, lookUp } = language.engine;
		const table = pairTable("scope", "writer", pairs);
		return language.shape(
			"writers",
			table,
			() =>
				`select a."scope", w."sequence", w."first_id", w."until", w."answer" from ${table.text()} a
				${lookUp("join", "scopes", "s", 's."scope" = a."scope"')}
				${lookUp("join", "writers", "w", 'w."scope_id" = s."id" and w."writer" = a."writer"')}`,
		);
	});

/** Says that scopes were changed: a hint to those who watch them. */
export type Hint = (scopes: readonly string[]) => readonly Statement[];

/** What a backend's transactions leave, for its next ones to guess by. */
export interface Learned {
	readonly scopes: KnownScopes;
	readonly clock: StoreClock;
	/** What the last guess was made of: V8 forgets a shape with the last object that has it, and all that it compiled for that. */
	lasting?: unknown;
}

/** A batch that was applied to a scope. */
export interface Applied {
	readonly row: ScopeRow;
	readonly batch: Batch;
	readonly state: LoadedScope;
	readonly memory: WriterMemory | undefined;
	readonly now: number;
	readonly answer: BatchAnswer;
	readonly records: readonly LogRecord[];
	readonly ended: boolean;
}

/**
 * Locks, loads, judges and writes the batches of different scopes; the transaction ends with the last step. `undefined` for scopes that are held
 * elsewhere or have no row.
 *
 * @param clockOffset - milliseconds that are added to the database's clock.
 * @param waits - whether to wait for rows that are held elsewhere, where that can be bounded.
 * @param hint - what to say behind the commit about the scopes that it changed.
 * @param known - what the connection knows of scopes, where no row has to be locked.
 * @param heads - what is known of entries, where rows have to be locked.
 * @param learned - takes what the transaction leaves, where the next one may guess.
 */
export function* commitPack(
	language: Language,
	batches: readonly Batch[],
	clockOffset: number,
	{
		waits = false,
		hint,
		known,
		heads,
		learned,
	}: {
		readonly waits?: boolean;
		readonly hint?: Hint | undefined;
		readonly known?: KnownScopes;
		readonly heads?: KnownHeads;
		readonly learned?: Learned | undefined;
	} = {},
): Steps<readonly (Packed | undefined)[]> {
	const { engine } = language;
	let begin = language.begin();
	if (waits && engine.waiting !== undefined) begin.push(language.say(engine.waiting.begin));
	let clock = 0;
	if (known !== undefined) {
		const [[version], [clocked]] = (yield [
			...begin,
			language.say("pragma data_version"),
			language.say('select {now} as "now"'),
		]).slice(begin.length) as [readonly Row[], readonly Row[]];
		known.begin(toNumber(version?.data_version));
		clock = toNumber(clocked?.now);
		begin = [];
	}
	const unknown =
		known === undefined ? batches : batches.filter(({ scope }) => known.get(scope) === undefined);
	const locks = lockScopes(
		language,
		unknown.map(({ scope }) => scope),
		waits,
	);
	const writers = selectWriters(
		language,
		batches.filter(({ scope, writer }) => memoryOf(known?.get(scope), writer) === undefined),
	);
	const covered = new Set(heads === undefined ? [] : batches.filter((batch) => heads.covers(batch)));
	const named = selectNamed(
		language,
		covered.size === 0 ? unknown : unknown.filter((batch) => !covered.has(batch)),
	);
	const namedOf = batches.map((batch) => {
		const id = known?.get(batch.scope)?.row.id;
		return id === undefined ? [] : selectNamedOf(language, id, batch);
	});
	const answers = yield [...begin, ...locks, ...writers, ...named, ...namedOf.flat()];
	const at = (from: number, count: number) => answers.slice(from, from + count);
	let rows = at(begin.length, locks.length).flat();
	const missing = batches.filter(({ commits }) => commits.length > 0).map(({ scope }) => scope);
	const there = new Set(rows.map((row) => toText(row.scope)));
	const lacking = missing.filter((scope) => !there.has(scope) && known?.get(scope) === undefined);
	if (!engine.locksRows && lacking.length > 0) {
		yield addScopes(language, lacking);
		rows = [...rows, ...(yield lockScopes(language, lacking)).flat()];
	}
	const remembered = new Map(
		at(begin.length + locks.length, writers.length)
			.flat()
			.map((row) => [toText(row.scope), parseWriter(row)]),
	);
	let from = begin.length + locks.length + writers.length;
	const entries = namedEntries(at(from, named.length));
	from += named.length;
	for (const [i, { scope }] of batches.entries()) {
		const { length } = namedOf[i] as readonly Statement[];
		if (length > 0)
			entries.set(
				scope,
				at(from, length).flatMap((found) => found.map((row) => parseEntry(row))),
			);
		from += length;
	}
	const rowOf = new Map(rows.map((row): [string, Row] => [toText(row.scope), row]));

	const [lastRow] = rows.slice(-1);
	if (lastRow !== undefined) learned?.clock.note(toNumber(lastRow.now));
	const judged = new Map<Batch, Failure | BatchAnswer>();
	const found: Found[] = [];
	for (const batch of batches) {
		const raw = rowOf.get(batch.scope);
		const before = known?.get(batch.scope);
		const row = before?.row ?? (raw && parseScopeRow(raw));
		if (row === undefined) continue;
		const now = Math.max((raw === undefined ? clock : toNumber(raw.now)) + clockOffset, row.time);
		const memory = memoryOf(before, batch.writer);
		if (memory !== undefined) remembered.set(batch.scope, memory);
		const answer = judgeWriter(remembered.get(batch.scope), batch, now);
		if (answer !== undefined) judged.set(batch, answer);
		else found.push({ row, batch, now, named: entries.get(batch.scope) ?? [] });
	}
	if (heads !== undefined && covered.size > 0) yield* recall(language, heads, covered, found);
	const states = yield* load(language, found);
	const applied = found.map(({ row, batch, now }, i): Applied => {
		const state = states[i] as LoadedScope;
		// Tokens only grow: above what an earlier life had counted, and what ends within this batch.
		const floor = Math.max(batch.floor, row.floor, row.head);
		const evaluation = evaluate(state, floor > batch.floor ? { ...batch, floor } : batch, now);
		return { row, batch, state, now, memory: remembered.get(batch.scope), ...evaluation };
	});
	const written = yield* write(language, applied, hint);
	if (heads !== undefined)
		for (const { row, batch, state } of applied)
			heads.keep(batch.scope, state.cleared ? -1 : row.head, state.head, state.difference());
	for (const one of written) (known ?? learned?.scopes)?.keep(one);
	const done = new Map(applied.map((one) => [one.batch, one]));
	return batches.map((batch): Packed | undefined => {
		const one = done.get(batch);
		if (one !== undefined) return { batch, answer: one.answer, records: one.records, ended: one.ended };
		const answer = judged.get(batch);
		if (answer !== undefined) return { batch, answer, records: [], ended: false };
		// Nothing to sweep where there is nothing.
		if (engine.locksRows || batch.commits.length > 0) return undefined;
		const now = Date.now() + clockOffset;
		return { batch, answer: { head: 0, now, next: null, outcomes: [] }, records: [], ended: false };
	});
}

/** Gives scopes the entries that are known of them, or reads these where the scope is not as it had been left. */
function* recall(
	language: Language,
	heads: KnownHeads,
	covered: ReadonlySet<Batch>,
	found: Found[],
): Steps<void> {
	const moved: Batch[] = [];
	for (const [i, one] of found.entries()) {
		const { row, batch } = one;
		if (!covered.has(batch)) continue;
		const known = row.nextExpiry === null ? heads.at(batch.scope, row.head) : undefined;
		if (known === undefined) moved.push(batch);
		else {
			const named = [...namedKeys(batch).keys()].map((key) => known.get(key));
			found[i] = { ...one, named: named.filter((entry) => entry !== undefined && entry !== null) };
		}
	}
	if (moved.length === 0) return;
	const entries = namedEntries(yield selectNamed(language, moved));
	for (const [i, one] of found.entries())
		if (moved.includes(one.batch)) found[i] = { ...one, named: entries.get(one.batch.scope) ?? [] };
}

/** Writes what became of scopes, and ends the transaction; answers what it left of them. */
function* write(
	language: Language,
	found: readonly Applied[],
	hint: Hint | undefined,
): Steps<readonly KnownScope[]> {
	const ended = found.filter(({ state }) => state.cleared);
	const cleared = yield* clearScopes(
		language,
		ended.map(({ row }) => row),
	);
	const applied = found.map((one) => ({ ...one, row: cleared[ended.indexOf(one)] ?? one.row }));
	const statements: Statement[] = [];
	const written = applied.map((one) => ({ row: rowAfter(one, one.batch.until), one }));
	statements.push(
		...writeEntries(
			language,
			applied.map(({ row, state }) => ({ id: row.id, difference: state.difference() })),
		),
		...insertRecords(
			language,
			written.map(({ row, one }) => ({ row, records: one.records })),
		),
		...writeWriters(language, applied),
	);
	const long = written.flatMap(({ row, one }) =>
		logs
			.filter((of) => row.keep !== undefined && isLong(sizeOf(row, of), row.keep[of], one.now))
			.map((of) => ({ of, row, now: one.now })),
	);
	const rows = new Map(written.map(({ row }) => [row.id, row]));
	for (const { of, row, now } of long) {
		const current = rows.get(row.id) as ScopeRow;
		const keep = current.keep?.[of];
		if (keep === undefined) continue;
		const size = sizeOf(current, of);
		if (isOld(size, keep, now)) {
			yield statements.splice(0);
			rows.set(row.id, withSize(current, of, yield* trim(language, of, row.id, size, keep, now)));
			continue;
		}
		const left = cutOf(size, keep);
		statements.push(language.say(cutText(of), [row.id, row.id, left.cut - size.cut, left.cut]));
		rows.set(row.id, withSize(current, of, left));
	}
	const left = [...rows.values()];
	const last = writeScopes(language, left);
	statements.push(...last);
	const changed = applied.filter(({ records, ended }) => ended || records.length > 0);
	const hints =
		hint === undefined || changed.length === 0 ? [] : hint(changed.map(({ batch }) => batch.scope));
	const answers = yield [...statements, language.say("commit", [], true), ...hints];
	const versions = new Map(
		answers
			.slice(statements.length - last.length, statements.length)
			.flatMap((rows) => rows.map(({ id, version }) => [toNumber(id), toText(version)])),
	);
	return applied.map(({ batch, answer, memory }, i) => {
		const row = left[i] as ScopeRow;
		const version = versions.get(row.id);
		const known = knownScope(row, batch, answer, memory);
		return version === undefined ? known : { ...known, version };
	});
}

/** What is known of a scope that was just written. */
export function knownScope(
	row: ScopeRow,
	{ writer, sequence, until, commits }: Batch,
	answer: BatchAnswer,
	before: WriterMemory | undefined,
): KnownScope {
	const [first] = commits;
	// Who only sweeps is not remembered.
	if (first === undefined)
		return before === undefined
			? { row }
			: { row, last: { writer, sequence: before.sequence, memory: before } };
	if (!isSmall(answer)) return { row, last: { writer, sequence } };
	return { row, last: { writer, sequence, memory: { sequence, id: first.id, until, answer } } };
}

/** Whether an answer may be kept in memory: refusals carry whole entries. */
const isSmall = ({ outcomes }: BatchAnswer): boolean =>
	outcomes.length <= 64 && outcomes.every((outcome) => outcome.ok || outcome.entry === null);

/** When a log's oldest record will be past its age. */
export const nextTidy = ({
	keep,
	changesOldest,
	eventsOldest,
}: Pick<ScopeRow, "keep" | "changesOldest" | "eventsOldest">): number | null => {
	if (keep === undefined) return null;
	const next = Math.min(
		changesOldest === null ? Number.POSITIVE_INFINITY : changesOldest + keep.changes.age,
		eventsOldest === null ? Number.POSITIVE_INFINITY : eventsOldest + keep.events.age,
	);
	return Number.isFinite(next) ? next : null;
};

/**
 * A scope's row behind a batch.
 *
 * @param until - Until when its writer is remembered; `null`: it is not.
 */
export function rowAfter(
	{ row, state, now, answer, records }: Pick<Applied, "row" | "state" | "now" | "answer" | "records">,
	until: number | null,
): ScopeRow {
	const { keep, seal, deadline } = state;
	const before = state.cleared ? emptied(row) : row;
	let { changesTotal, changesOldest, eventsTotal, eventsOldest } = before;
	const [first] = records;
	if (first !== undefined && (keep === undefined || keep.changes.count > 0)) {
		changesTotal += records.length;
		changesOldest ??= first.time;
	}
	if (keep === undefined || keep.events.count > 0)
		for (const { events, time } of records)
			if (events.length > 0) {
				eventsTotal++;
				eventsOldest ??= time;
			}
	return {
		id: row.id,
		scope: row.scope,
		head: state.head,
		eventsHead: state.eventsHead,
		floor: before.floor,
		time: now,
		deadline,
		endsAt: seal === undefined && deadline !== null ? endOfScope(state) : null,
		dueAt: answer.next,
		nextExpiry: state.next(),
		seal,
		keep,
		changesTotal,
		changesCut: before.changesCut,
		changesOldest,
		eventsTotal,
		eventsCut: before.eventsCut,
		eventsOldest,
		// Only ever brought forward, so that the index on it rests: who tidies sets it anew.
		tidyAt: row.tidyAt ?? nextTidy({ keep, changesOldest, eventsOldest }) ?? until,
	};
}
