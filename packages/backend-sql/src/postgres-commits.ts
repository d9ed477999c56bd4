/**
 * Commits without a look before them: batches are judged by what this backend left of their scopes, and written by one statement that does so only
 * where all is still as it had been left. On Postgres, whose rows have versions and whose statements may write several tables.
 */
import { type Batch, evaluate, judgeWriter, type Mutation } from "@holdfast/core";
import {
	type Applied,
	type Hint,
	knownScope,
	type Learned,
	type Packed,
	rowAfter,
	sizeOf,
	withSize,
} from "./commit.js";
import type { Insertion, Language } from "./engine.js";
import type { KnownHeads } from "./known-heads.js";
import { LoadedScope } from "./loaded-scope.js";
import { formatMoved, isPlain, lasts, movedColumns, rests } from "./plain-batch.js";
import type { ElementType } from "./postgres-array.js";
import { typeOf } from "./postgres-engine.js";
import { cut, isOver, logs } from "./retention.js";
import { formatAnswer, formatEntry, formatRecord } from "./rows.js";
import type { ScopeRow } from "./scope-row.js";
import { type Bound, type Statement, type Steps, toNumber, toText } from "./statement.js";
import { insertions } from "./write.js";

/** By how many ms a guess at the database's clock may be behind: by as long as an answer took to come, and the statement takes to get there. */
const mostBehind = 1000;

/** A batch that was judged by a guess. */
interface Guess extends Applied {
	readonly version: string;
	/** The row as the statement leaves it. */
	readonly after: ScopeRow;
	/** How many records each log has too many. */
	readonly gone: Readonly<Record<(typeof logs)[number], number>>;
}

/** Whether a mutation does the same whatever the database's clock says: a deadline must not be nearer than who set it believes. */
const isTimeless = (mutation: Mutation): boolean =>
	lasts(mutation) &&
	(mutation.op !== "add" ||
		[mutation.base, mutation.min, mutation.max].every((amount) => typeof amount !== "object"));

/** Whether it is worth while to guess at a batch. */
export const mayGuess = ({ scopes }: Learned, batch: Batch): boolean => {
	const known = scopes.get(batch.scope);
	return (
		known?.version !== undefined &&
		known.last?.writer === batch.writer &&
		known.last.memory.sequence < batch.sequence &&
		batch.commits.every((commit) => commit.do.every(isTimeless))
	);
};

/** What a batch does to a scope that is as it had been left. */
function guess({ scopes }: Learned, heads: KnownHeads, batch: Batch, clock: number): Guess | undefined {
	const { row, version, last } = scopes.get(batch.scope) ?? {};
	if (row === undefined || version === undefined || last === undefined) return undefined;
	const now = Math.max(clock, row.time);
	const named = isPlain(row, batch, now) ? heads.named(batch, row.head) : undefined;
	if (named === undefined || judgeWriter(last.memory, batch, now) !== undefined) return undefined;
	const state = new LoadedScope(row, { named, tallies: new Map() });
	const floor = Math.max(batch.floor, row.floor, row.head);
	const evaluation = evaluate(state, floor > batch.floor ? { ...batch, floor } : batch, now);
	// A refusal tells the entry, with its value.
	if (!evaluation.answer.outcomes.every(({ ok }) => ok)) return undefined;
	const applied = { row, batch, state, now, memory: last.memory, ...evaluation };
	let after = rowAfter(applied, batch.until);
	const gone = { changes: 0, events: 0 };
	for (const of of logs) {
		const size = sizeOf(after, of);
		if (!isOver(size, batch.keep[of])) continue;
		const { gone: many, size: left } = cut(size, batch.keep[of]);
		// What this statement adds it does not see.
		if (many > sizeOf(row, of).count) return undefined;
		gone[of] = many;
		after = withSize(after, of, left);
	}
	return rests(row, after) ? { ...applied, version, after, gone } : undefined;
}

const list = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(", ");

/** Rows as a table, in a from-clause: one of single values, or any number by an array for each column. */
function rowsAs(
	name: string,
	columns: readonly string[],
	types: readonly ElementType[],
	one: boolean,
): string {
	return one
		? `(select ${columns.map((column, i) => `?::${types[i]} as "${column}"`).join(", ")}) ${name}`
		: `unnest(${types.map((type) => `?::${type}[]`).join(", ")}) as ${name}(${list(columns)})`;
}

const guessColumns = ["id", "left", "version", "clock", "until", ...movedColumns];
const guessTypes: readonly ElementType[] = [
	...(["bigint", "bigint", "text", "double precision", "double precision"] as const),
	...movedColumns.map((column) => typeOf("scopes", column)),
];

const sets = movedColumns.map((column) => `"${column}" = k."${column}"`).join(", ");

/**
 * Locks the rows that are as they were left, and leaves out those that somebody holds; nor is a batch applied after its time, or by a clock that is
 * not the database's.
 */
const lock = (one: boolean): string => `k as materialized (
	select g.*, s."at" from ${rowsAs("g", guessColumns, guessTypes, one)} join lateral (
		select s.ctid as "at" from {scopes} s
		where s."id" = g."id" and s."head" = g."left" and s.{version} = g."version"
		and {now} - g."clock" between 0 and ${mostBehind} and {now} <= g."until" for update skip locked
	) s on true
)`;

// Not a join, which would have each row compared with each: a list of ids that are looked up.
const isLocked = (column: string): string => `(${column} in (select k."id" from k)) is true`;

/** One thing that the statement does beside, for the scopes that were locked. */
interface Part {
	readonly name: string;
	readonly columns: readonly string[];
	readonly types: readonly ElementType[];
	/** Each begins with a scope's number. */
	readonly rows: readonly (readonly Bound[])[];
	text(from: string): string;
}

const insertion = (language: Language, shape: Insertion, rows: readonly (readonly Bound[])[]): Part => ({
	name: shape.table,
	columns: shape.columns,
	types: shape.columns.map((column) => typeOf(shape.table, column)),
	rows,
	text: (from) => {
		const conflict =
			shape.conflict && language.engine.onConflict(shape.conflict.keys, shape.conflict.updated);
		return `insert into {${shape.table}} (${list(shape.columns)})
			select u.* from ${from} where ${isLocked('u."scope_id"')} ${conflict ?? ""}`;
	},
});

const deletion = (rows: readonly (readonly Bound[])[]): Part => ({
	name: "deleted",
	columns: ["scope_id", "key"],
	types: ["bigint", "text"],
	rows,
	text: (from) => `delete from {entries} e using ${from}
		where e."scope_id" = u."scope_id" and e."key" = u."key" and ${isLocked('u."scope_id"')}`,
});

const trimming = (table: (typeof logs)[number], rows: readonly (readonly Bound[])[]): Part => ({
	name: `trimmed_${table}`,
	columns: ["scope_id", "last"],
	types: ["bigint", "bigint"],
	rows,
	text: (from) => `delete from {${table}} c using ${from} cross join lateral (
			select "revision" from {${table}} where "scope_id" = u."scope_id" order by "revision" limit 1 offset u."last"
		) o where c."scope_id" = u."scope_id" and c."revision" <= o."revision" and ${isLocked('u."scope_id"')}`,
});

function partsOf(language: Language, guesses: readonly Guess[]): readonly Part[] {
	const rowsOf = (make: (one: Guess) => readonly (readonly Bound[])[]): Bound[][] =>
		guesses.flatMap((one) => make(one).map((row) => [one.row.id, ...row]));
	const differences = new Map(guesses.map((one) => [one, one.state.difference()]));
	const trimmed = (of: (typeof logs)[number]): Part =>
		trimming(
			of,
			rowsOf(({ gone }) => (gone[of] > 0 ? [[gone[of] - 1]] : [])),
		);
	return [
		deletion(rowsOf((one) => (differences.get(one)?.deleted ?? []).map((key) => [key]))),
		insertion(
			language,
			insertions.entries,
			rowsOf((one) => (differences.get(one)?.put ?? []).map(formatEntry)),
		),
		trimmed("changes"),
		insertion(
			language,
			insertions.changes,
			rowsOf(({ batch, records }) => (batch.keep.changes.count > 0 ? records.map(formatRecord) : [])),
		),
		trimmed("events"),
		insertion(
			language,
			insertions.events,
			rowsOf(({ batch, records }) =>
				batch.keep.events.count > 0
					? records.filter(({ events }) => events.length > 0).map(formatRecord)
					: [],
			),
		),
		insertion(
			language,
			insertions.writers,
			rowsOf(({ batch, answer }) => [
				[batch.writer, batch.sequence, batch.commits[0]?.id ?? "", formatAnswer(answer), batch.until],
			]),
		),
	].filter(({ rows }) => rows.length > 0);
}

/** The statement that writes what was guessed, all of a scope or nothing; it answers the scopes that it wrote. */
function writeGuesses(language: Language, guesses: readonly Guess[], clockOffset: number): Statement {
	const scopes = guesses.map(({ row, version, now, batch, after }): Bound[] => [
		...[row.id, row.head, version, now - clockOffset, batch.until - clockOffset],
		...formatMoved(after),
	]);
	const parts = partsOf(language, guesses);
	const one = guesses.length === 1 && parts.every(({ rows }) => rows.length === 1);
	const all = [{ types: guessTypes, rows: scopes }, ...parts];
	const values = all.flatMap(({ types, rows }): readonly Bound[] =>
		one
			? (rows[0] as readonly Bound[])
			: types.map((_, i) => rows.map((row) => row[i] as string | number | null)),
	);
	const shape = `${one ? "guess" : "guesses"} ${parts.map(({ name }) => name).join(" ")}`;
	const fragment = { size: 0, values, types: one ? [] : all.flatMap(({ types }) => types), text: () => "" };
	const statement = language.shape(
		shape,
		fragment,
		() => `with ${lock(one)},
			moved as (
				update {scopes} o set ${sets} from k where o.ctid = k."at" returning o."id", o.{version} as "version"
			)${parts
				.map(({ name, columns, types, text }) => `, ${name} as (${text(rowsAs("u", columns, types, one))})`)
				.join("")}
			select m."id", m."version", {now} as "now" from moved m`,
	);
	return { ...statement, columns: ["id", "version", "now"], commits: true };
}

/**
 * Commits batches of different scopes by one statement; `undefined` for those whose scopes are not as they were left, or that take more: nothing of
 * them was written.
 *
 * @param clockOffset - milliseconds that are added to the database's clock.
 */
export function* commitGuesses(
	language: Language,
	batches: readonly Batch[],
	clockOffset: number,
	{
		hint,
		heads,
		learned,
	}: { readonly hint: Hint | undefined; readonly heads: KnownHeads; readonly learned: Learned },
): Steps<readonly (Packed | undefined)[]> {
	const clock = learned.clock.now();
	if (clock === undefined) return batches.map(() => undefined);
	const guesses = batches.map((batch) => guess(learned, heads, batch, clock + clockOffset));
	const made = guesses.filter((one) => one !== undefined);
	if (made.length === 0) return guesses.map(() => undefined);
	const changed = made.filter(({ records }) => records.length > 0);
	const hints =
		hint === undefined || changed.length === 0 ? [] : hint(changed.map(({ batch }) => batch.scope));
	const [rows = []] = yield [writeGuesses(language, made, clockOffset), ...hints];
	const [first] = rows;
	if (first !== undefined) learned.clock.note(toNumber(first.now));
	const versions = new Map(rows.map(({ id, version }) => [toNumber(id), toText(version)]));
	return guesses.map((one): Packed | undefined => {
		const version = one && versions.get(one.row.id);
		if (one === undefined || version === undefined) return undefined;
		const { batch, row, after, state, answer, records, memory } = one;
		learned.scopes.keep({ ...knownScope(after, batch, answer, memory), version });
		heads.keep(batch.scope, row.head, after.head, state.difference());
		return { batch, answer, records, ended: false };
	});
}
