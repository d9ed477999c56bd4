/**
 * Commits without a look before them: batches are judged by what this backend left of their scopes, and written by one statement that does so only
 * where all is still as it had been left. On Postgres, whose rows have versions and whose statements may write several tables.
 */
import {
	type Batch,
	evaluate,
	judgeWriter,
	type Mutation,
	type Tally,
	type WriterMemory,
} from "@holdfast/core";
import { type Applied, type Hint, knownScope, type Learned, type Packed, rowAfter } from "./commit.js";
import type { Insertion, Language } from "./engine.js";
import type { KnownHeads, NamedHeads, Way } from "./known-heads.js";
import type { KnownScope } from "./known-scopes.js";
import { type Difference, LoadedScope } from "./loaded-scope.js";
import { logRows } from "./log-rows.js";
import { formatMoved, isKeyed, isPlain, lasts, movedColumns, rests } from "./plain-batch.js";
import { typeOf } from "./postgres-engine.js";
import { lookAt, type Seen, seen } from "./postgres-look.js";
import { Columns, given, list, type Rows, rowsAs } from "./postgres-rows.js";
import { cutOf, isOver, lastRow, logs, sizeOf, withSize } from "./retention.js";
import { formatAnswer, formatEntry } from "./rows.js";
import type { ScopeRow } from "./scope-row.js";
import { ask, type Bound, type Statement, type Steps, toNumber, toText } from "./statement.js";
import { insertions } from "./write.js";

/** By how many ms a guess at the database's clock may be behind: by as long as an answer took to come, and the statement takes to get there. */
const mostBehind = 1000;

/** So many keys of a scope are looked up at most: each comes with the scope's row. */
const mostLookedUp = 64;

// Conditions on listings are not guessed.
const noTallies: ReadonlyMap<string, Tally> = new Map();

/** A batch that was judged by a guess. */
interface Guess extends Applied {
	readonly version: string;
	readonly isNewWriter: boolean;
	/** The row as the statement leaves it. */
	readonly after: ScopeRow;
	readonly difference: Difference;
	/** Keys that must not be there. */
	readonly fresh: readonly string[];
}

/** Whether a mutation does the same whatever the database's clock says: a deadline must not be nearer than who set it believes. */
const isTimeless = (mutation: Mutation): boolean =>
	lasts(mutation) &&
	(mutation.op !== "add" ||
		[mutation.base, mutation.min, mutation.max].every((amount) => typeof amount !== "object"));

const isShort = ({ commits }: Batch): boolean =>
	commits.reduce((keys, commit) => keys + commit.do.length + (commit.if?.length ?? 0), 0) <= mostLookedUp;

/** Whether a batch follows its writer's last one, which was also the scope's: so it is neither that one sent again, nor from before it. */
const isNext = ({ last }: KnownScope, { writer, sequence }: Batch): boolean =>
	last?.writer === writer && last.sequence < sequence;

/** The way that is likely to do for a batch. */
export function wayOf({ scopes, clock }: Learned, heads: KnownHeads, batch: Batch): Way {
	const { scope, commits } = batch;
	if (commits.length === 0 || !commits.every((commit) => isKeyed(commit) && commit.do.every(isTimeless)))
		return "lock";
	if (heads.wayOf(scope) === "lock") return "lock";
	const otherwise = isShort(batch) ? "look" : "lock";
	const known = scopes.get(scope);
	if (known?.version === undefined) return otherwise;
	const { row } = known;
	if (!isPlain(row, batch, clock.now() ?? row.time)) return "lock";
	return isNext(known, batch) && heads.named(batch, row.head) !== undefined ? "guess" : otherwise;
}

/** What a batch is judged by. */
interface Basis extends NamedHeads {
	readonly row: ScopeRow;
	readonly version: string;
	readonly memory: WriterMemory | undefined;
	/** Whether the scope remembers nothing of the batch's writer. */
	readonly isNewWriter: boolean;
	/** Whether entries have their values, where they may be looked at. */
	readonly isWhole: boolean;
}

/** What the last commit left. */
function recall({ scopes }: Learned, heads: KnownHeads, batch: Batch): Basis | undefined {
	const known = scopes.get(batch.scope);
	if (known?.version === undefined || !isNext(known, batch)) return undefined;
	const { row, version, last } = known;
	const named = heads.named(batch, row.head);
	return named && { row, version, memory: last?.memory, isNewWriter: false, isWhole: false, ...named };
}

/** What a look found. */
const basisOf = ({ row, version, memory, entries }: Seen): Basis => ({
	row,
	version,
	memory,
	isNewWriter: memory === undefined,
	isWhole: true,
	entries: [...entries.values()].filter((entry) => entry !== null),
	fresh: [],
});

/** What a batch does to a scope that is as it had been left, or seen. */
function guess(batch: Batch, basis: Basis, clock: number): Guess | undefined {
	const { row, version, memory, isNewWriter, isWhole, entries, fresh } = basis;
	const now = Math.max(clock, row.time);
	if (!isPlain(row, batch, now) || judgeWriter(memory, batch, now) !== undefined) return undefined;
	const state = new LoadedScope(row, { named: entries, tallies: noTallies });
	const floor = Math.max(batch.floor, row.floor, row.head);
	const evaluation = evaluate(state, floor > batch.floor ? { ...batch, floor } : batch, now);
	// A refusal tells the entry, with its value.
	if (!isWhole && !evaluation.answer.outcomes.every(({ ok }) => ok)) return undefined;
	const applied = { row, batch, state, now, memory, ...evaluation };
	let after = rowAfter(applied, batch.until);
	for (const of of logs) {
		const size = sizeOf(after, of);
		if (isOver(size, batch.keep[of])) after = withSize(after, of, cutOf(size, batch.keep[of]));
	}
	if (!rests(row, after)) return undefined;
	return { ...applied, version, isNewWriter, after, difference: state.difference(), fresh };
}

/** One thing that the statement does beside, for the scopes that were locked. */
interface Part extends Rows {
	readonly name: string;
	/** Adds what is to be done for a scope, each row behind the scope's number. */
	add(one: Guess, to: (row: readonly Bound[]) => void): void;
	text(language: Language, from: string): string;
}

// Not a join, which would have each row compared with each: a list of ids that are looked up.
const isAmong = (column: string, scopes: string): string =>
	`(${column} in (select i."id" from ${scopes} i)) is true`;

/** Keys that were taken for new. */
const fresh: Rows = { columns: ["scope_id", "key"], types: ["bigint", "text"] };

const there = (one: boolean): string => `there as materialized (
	select u."scope_id" as "id" from ${rowsAs("u", fresh, one)} join lateral (
		select from {entries} e where e."scope_id" = u."scope_id" and e."key" = u."key" offset 0
	) e on true
), `;

const writerColumns = insertions.writers.columns.slice(1);

/** Of each scope one row: how it was left, what of its row moves, and what it is to remember of the batch's writer. */
const guessed: Rows = {
	columns: ["id", "left", "version", "clock", "latest", ...movedColumns, ...writerColumns],
	types: [
		...(["bigint", "bigint", "text", "double precision", "double precision"] as const),
		...movedColumns.map((column) => typeOf("scopes", column)),
		...writerColumns.map((column) => typeOf("writers", column)),
	],
};

const formatGuess = ({ row, version, now, batch, after, answer }: Guess, clockOffset: number): Bound[] => [
	row.head,
	version,
	now - clockOffset,
	batch.until - clockOffset,
	...formatMoved(after),
	batch.writer,
	batch.sequence,
	batch.commits[0]?.id ?? "",
	formatAnswer(answer),
	batch.until,
];

const sets = movedColumns.map((column) => `"${column}" = k."${column}"`).join(", ");

/**
 * Locks the rows that are as they were left, and leaves out those that somebody holds; nor is a batch applied after its time, or by a clock that is
 * not the database's. A row that is as it was left has the entries that it had.
 */
const lock = (one: boolean, isFresh: boolean): string => `k as materialized (
	select g.*, s."at" from ${rowsAs("g", guessed, one)} join lateral (
		select s.ctid as "at" from {scopes} s
		where s."id" = g."id" and s."head" = g."left" and s.{version} = g."version"
		and {now} - g."clock" between 0 and ${mostBehind} and {now} <= g."latest" for update skip locked
	) s on true ${isFresh ? `where not ${isAmong('g."id"', "there")}` : ""}
)`;

const isLocked = isAmong('u."scope_id"', "k");

const insertion = (shape: Insertion, add: Part["add"]): Part => ({
	name: shape.table,
	columns: shape.columns,
	types: shape.columns.map((column) => typeOf(shape.table, column)),
	add,
	text: ({ engine }, from) => `insert into {${shape.table}} (${list(shape.columns)})
		select u.* from ${from} where ${isLocked}
		${shape.conflict === undefined ? "" : engine.onConflict(shape.conflict.keys, shape.conflict.updated)}`,
});

const deletion: Part = {
	name: "deleted",
	columns: ["scope_id", "key"],
	types: ["bigint", "text"],
	add({ difference }, to) {
		for (const key of difference.deleted) to([key]);
	},
	text: (_, from) => `delete from {entries} e using ${from}
		where e."scope_id" = u."scope_id" and e."key" = u."key" and ${isLocked}`,
};

const trimming = (table: (typeof logs)[number]): Part => ({
	name: `trimmed_${table}`,
	columns: ["scope_id", "rows", "cut"],
	types: ["bigint", "bigint", "bigint"],
	add({ row, after }, to) {
		const { cut } = sizeOf(after, table);
		const more = cut - sizeOf(row, table).cut;
		if (more > 0) to([more, cut]);
	},
	// What this statement adds it does not see, but none of that is to go.
	text: (_, from) => `delete from {${table}} c
		using ${from} cross join lateral (${lastRow(table, 'u."scope_id"', 'u."rows"', 'u."cut"')}) o
		where c."scope_id" = u."scope_id" and c."revision" <= o."revision" and ${isLocked}`,
});

/** A new writer is the occasion to forget those whose time is over. */
const forgetting: Part = {
	name: "forgotten",
	columns: ["scope_id", "now"],
	types: ["bigint", "double precision"],
	add({ isNewWriter, now }, to) {
		if (isNewWriter) to([now]);
	},
	text: (_, from) => `delete from {writers} w using ${from}
		where w."scope_id" = u."scope_id" and w."until" < u."now" and ${isLocked}`,
};

const parts: readonly Part[] = [
	forgetting,
	deletion,
	insertion(insertions.entries, ({ difference }, to) => {
		for (const entry of difference.put) to(formatEntry(entry));
	}),
	trimming("changes"),
	insertion(insertions.changes, ({ after, records }, to) => {
		for (const [, ...row] of logRows("changes", after, records)) to(row);
	}),
	trimming("events"),
	insertion(insertions.events, ({ after, records }, to) => {
		for (const [, ...row] of logRows("events", after, records)) to(row);
	}),
];

/** Remembers the writers of what was locked. */
const remember = ({ engine }: Language): string => {
	const { columns, conflict } = insertions.writers;
	return `insert into {writers} (${list(columns)}) select k."id", ${list(writerColumns)} from k
		${engine.onConflict(conflict.keys, conflict.updated)}`;
};

/** The statement that writes what was guessed, all of a scope or nothing; it answers the scopes that it wrote. */
function writeGuesses(language: Language, guesses: readonly Guess[], clockOffset: number): Statement {
	const scopes = new Columns(guessed);
	const absent = new Columns(fresh);
	for (const guess of guesses) {
		scopes.add(guess.row.id, formatGuess(guess, clockOffset));
		for (const key of guess.fresh) absent.add(guess.row.id, [key]);
	}
	const isFresh = absent.count > 0;
	const all = isFresh ? [absent, scopes] : [scopes];
	const done: Part[] = [];
	// What of these there is tells one text of the statement from another.
	let form = isFresh ? 1 : 0;
	for (const part of parts) {
		const columns = new Columns(part);
		for (const guess of guesses) part.add(guess, (row) => columns.add(guess.row.id, row));
		form *= 2;
		if (columns.count === 0) continue;
		form++;
		done.push(part);
		all.push(columns);
	}
	const { one, values, types } = given(all);
	const statement = language.shape(
		one ? "guess" : "guesses",
		{ size: 0, form, values, types, text: () => "" },
		() => `with ${isFresh ? there(one) : ""}${lock(one, isFresh)},
			moved as (
				update {scopes} o set ${sets} from k where o.ctid = k."at" returning o."id", o.{version} as "version"
			), writers as (${remember(language)})${done.map((part) => `, ${part.name} as (${part.text(language, rowsAs("u", part, one))})`).join("")}
			select m."id", m."version", {now} as "now" from moved m`,
	);
	return { ...statement, columns: ["id", "version", "now"], commits: true };
}

/**
 * Commits batches of different scopes by one statement; `undefined` for those whose scopes are not as they were left, or that take more: nothing of
 * them was written. `"absent"`: the scope has no row.
 *
 * @param clockOffset - milliseconds that are added to the database's clock.
 * @param looks - whether to look before.
 */
export function* commitGuesses(
	language: Language,
	batches: readonly Batch[],
	clockOffset: number,
	{
		looks,
		hint,
		heads,
		learned,
	}: {
		readonly looks: boolean;
		readonly hint: Hint | undefined;
		readonly heads: KnownHeads;
		readonly learned: Learned;
	},
): Steps<readonly (Packed | "absent" | undefined)[]> {
	const rows = looks ? yield* ask(lookAt(language, batches)) : [];
	if (rows[0] !== undefined) learned.clock.note(toNumber(rows[0].now));
	const found = seen(batches, rows);
	const clock = learned.clock.now() ?? 0;
	const guesses = batches.map((batch, i) => {
		const one = found[i];
		const basis = looks ? one && basisOf(one) : recall(learned, heads, batch);
		return basis && guess(batch, basis, clock + clockOffset);
	});
	const made = guesses.filter((one) => one !== undefined);
	learned.lasting = made[0] ?? learned.lasting;
	const changed = made.filter(({ records }) => records.length > 0);
	const hints =
		hint === undefined || changed.length === 0 ? [] : hint(changed.map(({ batch }) => batch.scope));
	const [written = []] = made.length === 0 ? [] : yield [writeGuesses(language, made, clockOffset), ...hints];
	if (written[0] !== undefined) learned.clock.note(toNumber(written[0].now));
	const versions = new Map(written.map(({ id, version }) => [toNumber(id), toText(version)]));
	return guesses.map((one, i): Packed | "absent" | undefined => {
		const { entries } = found[i] ?? {};
		if (looks && entries === undefined) return "absent";
		if (one === undefined) return undefined;
		const { batch, row, after, difference, answer, records, memory } = one;
		const version = versions.get(row.id);
		if (version === undefined) {
			if (looks) heads.miss(batch.scope, row.head);
			return undefined;
		}
		heads.keep(batch.scope, row.head, after.head, difference, entries);
		learned.scopes.keep({ ...knownScope(after, batch, answer, memory), version });
		return { batch, answer, records, ended: false };
	});
}
