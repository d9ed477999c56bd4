/**
 * All that a scope holds goes: at once if it is little. If it is much, the scope gets another row, and what it held stays behind, out of sight,
 * to be deleted a little at a time: no lock is held for as long as a hundred thousand rows take.
 */
import type { Language } from "./engine.js";
import { batchLimit } from "./retention.js";
import { emptied, type ScopeRow } from "./scope-row.js";
import { ask, type Statement, type Steps, toNumber } from "./statement.js";
import { addScopes, writeScopes } from "./write.js";

const tables = [
	["entries", "key"],
	["changes", "revision"],
	["events", "revision"],
] as const;

// No id of a scope begins so.
const buriedUnder = "!buried/";

/** Whether it is what a scope left behind. */
export const isBuried = (scope: string): boolean => scope.startsWith(buriedUnder);

const deleteAll = (language: Language, id: number): readonly Statement[] =>
	tables.map(([table]) => language.say(`delete from {${table}} where "scope_id" = ?`, [id]));

/** The first row of a table that is too many for one transaction. */
const beyond = (language: Language, [table, column]: (typeof tables)[number], id: number): Statement =>
	language.say(
		`select "${column}" as "at" from {${table}} where "scope_id" = ? order by "${column}" limit 1 offset ${batchLimit}`,
		[id],
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
	const found = yield rows.map(({ id }) => beyond(language, entries, id));
	const cleared: ScopeRow[] = [];
	const deletes: Statement[] = [];
	for (const [i, row] of rows.entries()) {
		const isMuch = found[i]?.length === 1 || row.changesCount + row.eventsCount > batchLimit;
		if (!isMuch) deletes.push(...deleteAll(language, row.id));
		cleared.push(isMuch ? yield* bury(language, row) : row);
	}
	if (deletes.length > 0) yield deletes;
	return cleared;
}

/** Deletes some of what a scope left behind, and its row once nothing is left; answers whether there is more. */
export function* deleteBuried(language: Language, id: number): Steps<boolean> {
	for (const table of tables) {
		const [name, column] = table;
		const [next] = yield* ask(beyond(language, table, id));
		if (next === undefined) {
			yield [language.say(`delete from {${name}} where "scope_id" = ?`, [id])];
			continue;
		}
		yield [
			language.say(`delete from {${name}} where "scope_id" = ? and "${column}" < ?`, [id, next.at as string]),
		];
		return true;
	}
	yield [language.say('delete from {scopes} where "id" = ?', [id])];
	return false;
}
