/** Writes what a pack changed, in statements that take the rows of all its scopes. */
import type { Batch, BatchAnswer, LogRecord, WriterMemory } from "@holdfast/core";
import type { Insertion, Language } from "./engine.js";
import type { Difference } from "./loaded-scope.js";
import { logColumns, logRows } from "./log-rows.js";
import { logs } from "./retention.js";
import { entryColumns, formatAnswer, formatEntry } from "./rows.js";
import { formatScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import type { Bound, Statement } from "./statement.js";

const bare = { expires_at: "null", metadata: "null" };

/** What is inserted into each table: those that exist already are written anew. */
export const insertions = {
	entries: {
		table: "entries",
		columns: ["scope_id", ...entryColumns],
		conflict: { keys: ["scope_id", "key"], updated: entryColumns.slice(1) },
	},
	// Most entries have neither a deadline nor metadata.
	bareEntries: {
		table: "entries",
		columns: ["scope_id", ...entryColumns.filter((column) => !(column in bare))],
		alike: bare,
		conflict: { keys: ["scope_id", "key"], updated: entryColumns.slice(1) },
	},
	changes: { table: "changes", columns: logColumns },
	events: { table: "events", columns: logColumns },
	writers: {
		table: "writers",
		columns: ["scope_id", "writer", "sequence", "first_id", "answer", "until"],
		conflict: { keys: ["scope_id", "writer"], updated: ["sequence", "first_id", "answer", "until"] },
	},
	scopes: {
		table: "scopes",
		columns: scopeColumns,
		conflict: { keys: ["id"], updated: scopeColumns.slice(2) },
	},
} as const satisfies Record<string, Insertion>;
const versionedScopes: Insertion = { ...insertions.scopes, returning: '"id", {version} as "version"' };

/** Gives an entry another deadline. */
export const extendEntry = 'update {entries} set "expires_at" = ? where "scope_id" = ? and "key" = ?';

/** Deletes an entry. */
export const deleteEntry = 'delete from {entries} where "scope_id" = ? and "key" = ?';

/** Forgets a scope's writers whose time is over. */
export const forgetWriters = 'delete from {writers} where "scope_id" = ? and "until" < ?';

/** Statements for what became of entries. */
export function writeEntries(
	language: Language,
	scopes: readonly { readonly id: number; readonly difference: Difference }[],
): readonly Statement[] {
	const deleted: [number, string][] = [];
	const put: Bound[][] = [];
	const extended: Statement[] = [];
	for (const { id, difference } of scopes) {
		for (const key of difference.deleted) deleted.push([id, key]);
		for (const entry of difference.put) put.push([id, ...formatEntry(entry)]);
		for (const { key, expiresAt } of difference.extended)
			extended.push(language.say(extendEntry, [expiresAt, id, key]));
	}
	const deletes = language.parts(deleted).map((part) => {
		const pairs = language.engine.isPair("scope_id", "key", part);
		return language.shape("delete entries", pairs, () => `delete from {entries} where ${pairs.text()}`);
	});
	return [...deletes, ...language.insert(insertions.entries, put), ...extended];
}

/** Statements that log what batches did to scopes, whose rows are as these leave them. */
export const insertRecords = (
	language: Language,
	scopes: readonly { readonly row: ScopeRow; readonly records: readonly LogRecord[] }[],
): readonly Statement[] =>
	logs.flatMap((of) =>
		language.insert(
			insertions[of],
			scopes.flatMap(({ row, records }) => logRows(of, row, records)),
		),
	);

/** Statements that remember writers; a new one is the occasion to forget those whose time is over. */
export function writeWriters(
	language: Language,
	applied: readonly {
		readonly row: ScopeRow;
		readonly batch: Batch;
		readonly answer: BatchAnswer;
		readonly memory: WriterMemory | undefined;
		readonly now: number;
	}[],
): readonly Statement[] {
	const statements: Statement[] = [];
	const rows: Bound[][] = [];
	for (const { row, batch, answer, memory, now } of applied) {
		const [first] = batch.commits;
		if (first === undefined) continue;
		rows.push([row.id, batch.writer, batch.sequence, first.id, formatAnswer(answer), batch.until]);
		if (memory === undefined && row.head > 0) statements.push(language.say(forgetWriters, [row.id, now]));
	}
	return [...statements, ...language.insert(insertions.writers, rows)];
}

/** Statements that write scopes' rows, which are there and locked; they answer their versions, where rows have such. */
export const writeScopes = (language: Language, rows: readonly ScopeRow[]): readonly Statement[] =>
	language.insert(
		language.engine.rowVersion === undefined ? insertions.scopes : versionedScopes,
		rows.map(formatScopeRow),
	);

const newScopes: Insertion = {
	table: "scopes",
	columns: [
		"scope",
		"head",
		"events_head",
		"floor",
		"time",
		"changes_total",
		"changes_cut",
		"events_total",
		"events_cut",
	],
	conflict: { keys: ["scope"], updated: [] },
	returning: '"scope"',
};

/** The statement that adds the rows of scopes that have none. */
export const addScopes = (language: Language, scopes: readonly string[]): readonly Statement[] =>
	language.insert(
		newScopes,
		[...scopes].sort().map((scope) => [scope, 0, 0, 0, 0, 0, 0, 0, 0]),
	);
