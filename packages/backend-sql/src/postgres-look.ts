/** A look at scopes, as they are at one instant, by one statement that locks nothing: enough to guess by where nothing else is known. */
import type { Batch, Entry, WriterMemory } from "@holdfast/core";
import type { Language } from "./engine.js";
import { namedKeys } from "./loaded-scope.js";
import { Columns, given, type Rows, rowsAs } from "./postgres-rows.js";
import { headColumns, parseEntry, parseWriter } from "./rows.js";
import { parseScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import { type Row, type Statement, toNumber, toText } from "./statement.js";

/** What was seen of a scope. */
export interface Seen {
	readonly row: ScopeRow;
	readonly version: string;
	/** What it remembers of the batch's writer. */
	readonly memory: WriterMemory | undefined;
	/** The entries that the batch names; `null`: there is no such entry. */
	readonly entries: ReadonlyMap<string, Entry | null>;
}

const asked: Rows = {
	columns: ["at", "scope", "writer", "key", "whole"],
	types: ["bigint", "text", "text", "text", "smallint"],
};

// Who asks for a key knows it.
const entryColumns = headColumns.slice(1);
const writerColumns = ["sequence", "first_id", "until", "answer"];
const columns = [
	"at",
	"asked",
	...scopeColumns,
	"version",
	...writerColumns,
	...entryColumns,
	"value",
	"now",
];

const of = (table: string, names: readonly string[]): string =>
	names.map((name) => `${table}."${name}"`).join(", ");

/** The statement that looks at what batches need to know. */
export function lookAt(language: Language, batches: readonly Batch[]): Statement {
	const rows = new Columns(asked);
	for (const [at, batch] of batches.entries()) {
		const { scope, writer } = batch;
		const keys = namedKeys(batch);
		if (keys.size === 0) rows.add(at, [scope, writer, null, 0]);
		for (const [key, needsValue] of keys) rows.add(at, [scope, writer, key, needsValue ? 1 : 0]);
	}
	const { one, values, types } = given([rows]);
	const { lookUp } = language.engine;
	const statement = language.shape(
		"look",
		{ size: 0, form: one ? 0 : 1, values, types, text: () => "" },
		() => `select u."at", u."key" as "asked", ${of("s", scopeColumns)}, s."version",
			${of("w", writerColumns)}, ${of("e", entryColumns)}, case when u."whole" = 1 then e."value" end as "value", {now} as "now"
			from ${rowsAs("u", asked, one)}
			left join lateral (select *, {version} as "version" from {scopes} where "scope" = u."scope" offset 0) s on true
			${lookUp("left join", "writers", "w", 'w."scope_id" = s."id" and w."writer" = u."writer"')}
			${lookUp("left join", "entries", "e", 'e."scope_id" = s."id" and e."key" = u."key"')}`,
	);
	return { ...statement, columns };
}

/** What was seen for each batch, by the answer; `undefined`: there is no such scope. */
export function seen(batches: readonly Batch[], rows: readonly Row[]): readonly (Seen | undefined)[] {
	const entriesOf = batches.map(() => new Map<string, Entry | null>());
	const found: (Seen | undefined)[] = batches.map(() => undefined);
	for (const row of rows) {
		if (row.id === null) continue;
		const at = toNumber(row.at);
		const entries = entriesOf[at] as Map<string, Entry | null>;
		found[at] ??= {
			row: parseScopeRow(row),
			version: toText(row.version),
			memory: row.sequence === null ? undefined : parseWriter(row),
			entries,
		};
		if (row.asked === null) continue;
		const key = toText(row.asked);
		entries.set(key, row.revision === null ? null : parseEntry(row, key));
	}
	return found;
}
