/** Loads what a batch can touch. */
import { type Batch, type Entry, lockUnder, spanUnder, sweepLimit, type Tally } from "@holdfast/core";
import type { Language } from "./engine.js";
import { type LoadedParts, LoadedScope, namedKeys, type Timed } from "./loaded-scope.js";
import { entryColumns, headColumns, parseEntry, selectList } from "./rows.js";
import type { ScopeRow } from "./scope-row.js";
import { type Answers, type Row, type Statement, type Steps, toNumber, toText } from "./statement.js";

const heads = selectList("e", headColumns);

/** Selects of the entries that batches name, by the ids of scopes; values only where they may be looked at. */
export function selectNamed(language: Language, batches: readonly Batch[]): readonly Statement[] {
	const { lookUp } = language.engine;
	const whole: [string, string][] = [];
	const headOnly: [string, string][] = [];
	for (const batch of batches)
		for (const [key, needsValue] of namedKeys(batch))
			(needsValue ? whole : headOnly).push([batch.scope, key]);
	const select = (pairs: readonly [string, string][], columns: readonly string[]): readonly Statement[] =>
		language.parts(pairs).map((part) => {
			const table = language.engine.pairTable("scope", "key", part);
			return language.shape(
				columns,
				table,
				() =>
					`select a."scope", ${selectList("e", columns)} from ${table.text()} a
					${lookUp("join", "scopes", "s", 's."scope" = a."scope"')}
					${lookUp("join", "entries", "e", 'e."scope_id" = s."id" and e."key" = a."key"')}`,
			);
		});
	return [...select(whole, entryColumns), ...select(headOnly, headColumns)];
}

/** Selects an entry by the id of its scope and its key. */
export const wholeOf = `select ${selectList("e", entryColumns)} from {entries} e where e."scope_id" = ? and e."key" = ?`;
/** The same without its value. */
export const headOf = `select ${heads} from {entries} e where e."scope_id" = ? and e."key" = ?`;

/** The same of a scope whose row is known, one by one. */
export function selectNamedOf(language: Language, id: number, batch: Batch): readonly Statement[] {
	const statements: Statement[] = [];
	for (const [key, needsValue] of namedKeys(batch))
		statements.push(language.say(needsValue ? wholeOf : headOf, [id, key]));
	return statements;
}

/** Entries by scope, of the answers to {@link selectNamed}. */
export function namedEntries(answers: Answers): Map<string, readonly Entry[]> {
	const found = new Map<string, Entry[]>();
	for (const rows of answers)
		for (const row of rows) {
			const scope = toText(row.scope);
			const entries = found.get(scope);
			if (entries === undefined) found.set(scope, [parseEntry(row)]);
			else entries.push(parseEntry(row));
		}
	return found;
}

interface More {
	readonly statement: Statement;
	take(rows: readonly Row[]): void;
}

const seal = (batch: Batch): boolean => batch.commits.some(({ do: [first] }) => first?.op === "seal");

/** What else has to be known of a scope, beside its row and the entries that the batch names. */
function more(
	language: Language,
	row: ScopeRow,
	batch: Batch,
	named: readonly Entry[],
	now: number,
	parts: { timed?: Timed; locks?: readonly Entry[]; tallies: Map<string, Tally> },
): readonly More[] {
	const needs: More[] = [];
	const { nextExpiry, id } = row;
	const count = namedKeys(batch).size + 1;
	const isDue = nextExpiry !== null && nextExpiry <= now;
	// What ends first is known by the row, unless the batch may take just that away.
	if (isDue || (nextExpiry !== null && named.some(({ expiresAt }) => expiresAt === nextExpiry))) {
		const limit = isDue ? sweepLimit * (seal(batch) ? 2 : 1) + count : count;
		needs.push({
			statement: language.say(
				`select ${heads} from {entries} e where e."scope_id" = ? and e."expires_at" is not null
				order by e."expires_at" limit ?`,
				[id, limit],
			),
			take: (rows) => {
				parts.timed = { entries: rows.map((row) => parseEntry(row)), more: rows.length === limit };
			},
		});
	}
	if (row.deadline !== null) {
		const { from, to } = spanUnder(lockUnder);
		needs.push({
			statement: language.say(
				`select ${heads} from {entries} e where e."scope_id" = ? and e."key" >= ? and e."key" < ?
				and e."expires_at" is not null order by e."expires_at" desc limit ?`,
				[id, from, to, count],
			),
			take: (rows) => {
				parts.locks = rows.map((row) => parseEntry(row));
			},
		});
	}
	const unders = new Set(
		batch.commits.flatMap((commit) =>
			(commit.if ?? []).flatMap((condition) => ("under" in condition ? [condition.under] : [])),
		),
	);
	for (const under of unders) {
		const { from, to } = spanUnder(under);
		needs.push({
			// In two halves: a sum of revisions does not fit in 64 bits.
			statement: language.say(
				`select count(*) as "count", sum(e."revision" & 67108863) as "low", sum((e."revision" >> 26) & 67108863) as "high"
				from {entries} e where e."scope_id" = ? and e."key" >= ?${to === null ? "" : ' and e."key" < ?'}
				and (e."expires_at" is null or e."expires_at" > ?)`,
				to === null ? [id, from, now] : [id, from, to, now],
			),
			take: ([found]) => {
				const half = (name: string): bigint => BigInt(toText(String(found?.[name] ?? 0)));
				const sum = (half("low") + half("high") * 2n ** 26n) % 2n ** 52n;
				parts.tallies.set(under, { count: toNumber(found?.count), sum: Number(sum) });
			},
		});
	}
	return needs;
}

/** One scope with what was found of it. */
export interface Found {
	readonly row: ScopeRow;
	readonly batch: Batch;
	readonly now: number;
	readonly named: readonly Entry[];
}

/** Loads scopes, all in one step at most. */
export function* load(language: Language, found: readonly Found[]): Steps<readonly LoadedScope[]> {
	const needs: More[] = [];
	const parts = found.map(({ row, batch, named, now }) => {
		const loaded: LoadedParts & { timed?: Timed; tallies: Map<string, Tally> } = {
			named,
			tallies: new Map(),
		};
		if (row.head > 0) needs.push(...more(language, row, batch, named, now, loaded));
		return loaded;
	});
	if (needs.length > 0) {
		const answers = yield needs.map(({ statement }) => statement);
		for (const [i, { take }] of needs.entries()) take(answers[i] ?? []);
	}
	return found.map(({ row }, i) => new LoadedScope(row, parts[i] as LoadedParts));
}
