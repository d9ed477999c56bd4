/**
 * All that a scope holds goes: at once if it is little. If it is much, the scope gets another row, and what it held stays behind, out of sight,
 * to be deleted a little at a time: no lock is held for as long as a hundred thousand rows take.
 */
import type { Language } from "./engine.js";
import { batchLimit, lengthOf, logs, sizeOf } from "./retention.js";
import { emptied, type ScopeRow } from "./scope-row.js";
import { ask, type Statement, type Steps, toNumber, toText } from "./statement.js";
import { addScopes, writeScopes } from "./write.js";

interface Table {
	readonly name: string;
	/** What orders a scope's rows, and its least value. */
	readonly column: string;
	readonly least: string | number;
}

const tables: readonly [Table, ...Table[]] = [
	{ name: "entries", column: "key", least: "" },
	{ name: "changes", column: "revision", least: 0 },
	{ name: "events", column: "revision", least: 0 },
];

/** How far a deletion has come. */
export interface Progress {
	readonly table: number;
	readonly at: string | number;
}

// No id of a scope begins so.
const buriedUnder = "!buried/";

/** Whether it is what a scope left behind. */
export const isBuried = (scope: string): boolean => scope.startsWith(buriedUnder);

const deleteAll = (language: Language, id: number): readonly Statement[] =>
	tables.map(({ name }) => language.say(`delete from {${name}} where "scope_id" = ?`, [id]));

/** Where in a table, from a row on, there is more than one transaction should delete. */
const beyond = (
	language: Language,
	{ name, column, least }: Table,
	id: number,
	from: string | number,
): Statement =>
	language.say(
		`select ${typeof least === "string" ? `{text "${column}"}` : `"${column}"`} as "at" from {${name}} where "scope_id" = ? and "${column}" >= ? order by "${column}" limit 1 offset ${batchLimit}`,
		[id, from],
	);

/** Leaves behind what a scope holds; answers the scope's new row, which its writers follow. */
function* bury(language: Language, row: ScopeRow): Steps<ScopeRow> {
	const grave: ScopeRow = {
		...emptied(row),
		scope: `${buriedUnder}${row.id}`,
		keep: undefined,
		tidyAt: row.time,
	};
	const answers = yield [
		language.say('update {scopes} set "scope" = ? where "id" = ?', [grave.scope, row.id]),
		...writeScopes(language, [grave]),
		...addScopes(language, [row.scope]),
		language.say('select "id" from {scopes} where "scope" = ?', [row.scope]),
	];
	const id = toNumber(answers.at(-1)?.[0]?.id);
	yield [language.say('update {writers} set "scope_id" = ? where "scope_id" = ?', [id, row.id])];
	return { ...row, id };
}

/** Removes all that scopes hold but their writers, within a transaction that has locked their rows; answers the rows that they have now. */
export function* clearScopes(language: Language, rows: readonly ScopeRow[]): Steps<readonly ScopeRow[]> {
	if (rows.length === 0) return rows;
	const [entries] = tables;
	const found = yield rows.map(({ id }) => beyond(language, entries, id, entries.least));
	const cleared: ScopeRow[] = [];
	const deletes: Statement[] = [];
	for (const [i, row] of rows.entries()) {
		const logged = logs.reduce((kept, of) => kept + lengthOf(sizeOf(row, of)), 0);
		const isMuch = found[i]?.length === 1 || logged > batchLimit;
		if (!isMuch) deletes.push(...deleteAll(language, row.id));
		cleared.push(isMuch ? yield* bury(language, row) : row);
	}
	if (deletes.length > 0) yield deletes;
	return cleared;
}

/**
 * Deletes some of what a scope left behind, and its row once nothing is left; answers how far it came if there is more. Told where to go on, the
 * database does not look again at all the rows that it deleted before.
 */
export function* deleteBuried(
	language: Language,
	id: number,
	{ table, at }: Progress = { table: 0, at: tables[0].least },
): Steps<Progress | undefined> {
	for (const [i, here] of tables.entries()) {
		if (i < table) continue;
		const { name, column, least } = here;
		const from = i === table ? at : least;
		const [next] = yield* ask(beyond(language, here, id, from));
		if (next === undefined) {
			yield [language.say(`delete from {${name}} where "scope_id" = ? and "${column}" >= ?`, [id, from])];
			continue;
		}
		const to = typeof least === "string" ? toText(next.at) : toNumber(next.at);
		yield [
			language.say(`delete from {${name}} where "scope_id" = ? and "${column}" >= ? and "${column}" < ?`, [
				id,
				from,
				to,
			]),
		];
		return { table: i, at: to };
	}
	yield [language.say('delete from {scopes} where "id" = ?', [id])];
	return undefined;
}
