/** Writes what a pack changed, in statements that take the rows of all its scopes. */
import type { Batch, BatchAnswer, LogRecord, Retention, WriterMemory } from "@holdfast/core";
import type { Insertion, Language } from "./engine.js";
import type { Difference } from "./loaded-scope.js";
import { entryColumns, formatAnswer, formatEntry, formatRecord, recordColumns } from "./rows.js";
import { formatScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import type { Bound, Statement } from "./statement.js";

const logColumns = ["scope_id", ...recordColumns];

/** What is inserted into each table: those that exist already are written anew. */
export const insertions = {
	entries: {
		table: "entries",
		columns: ["scope_id", ...entryColumns],
		conflict: { keys: ["scope_id", "key"], updated: entryColumns.slice(1) },
	},
	// Most entries have neither a deadline nor metadata, and most records no more than changes.
	bareEntries: {
		table: "entries",
		columns: ["scope_id", "key", "revision", "created_revision", "value"],
		alike: { expires_at: "null", metadata: "null" },
		conflict: { keys: ["scope_id", "key"], updated: entryColumns.slice(1) },
	},
	changes: { table: "changes", columns: logColumns },
	bareChanges: {
		table: "changes",
		columns: ["scope_id", "revision", "previous", "previous_events", "id", "time", "origin", "changes"],
		alike: { metadata: "null", quiet: "0", events: "'[]'" },
	},
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

/** Statements that log records, as many as are kept. */
export function insertRecords(
	language: Language,
	scopes: readonly {
		readonly id: number;
		readonly records: readonly LogRecord[];
		readonly keep: Retention | undefined;
	}[],
): readonly Statement[] {
	const changes: Bound[][] = [];
	const events: Bound[][] = [];
	for (const { id, records, keep } of scopes)
		for (const record of records) {
			const row = [id, ...formatRecord(record)];
			if (keep === undefined || keep.changes.count > 0) changes.push(row);
			if (record.events.length > 0 && (keep === undefined || keep.events.count > 0)) events.push(row);
		}
	return [...language.insert(insertions.changes, changes), ...language.insert(insertions.events, events)];
}

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
	columns: ["scope", "head", "events_head", "floor", "time", "changes_count", "events_count"],
	conflict: { keys: ["scope"], updated: [] },
	returning: '"scope"',
};

/** The statement that adds the rows of scopes that have none. */
export const addScopes = (language: Language, scopes: readonly string[]): readonly Statement[] =>
	language.insert(
		newScopes,
		[...scopes].sort().map((scope) => [scope, 0, 0, 0, 0, 0, 0]),
	);
