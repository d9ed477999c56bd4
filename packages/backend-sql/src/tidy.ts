/** Dropping scopes, and housekeeping: logs age though nobody writes, and what is empty goes. */
import { clearScopes, deleteBuried, isBuried, type Progress } from "./clearing.js";
import { lockScopes, nextTidy } from "./commit.js";
import type { Language } from "./engine.js";
import { isLong, lengthOf, logs, sizeOf, trim, withSize } from "./retention.js";
import { emptied, parseScopeRow, type ScopeRow } from "./scope-row.js";
import { ask, type Statement, type Steps, toNumber, toText } from "./statement.js";
import { forgetWriters, writeScopes } from "./write.js";

/** Locks a scope's row; `undefined`: there is none, or it is held elsewhere. */
function* lock(
	language: Language,
	scope: string,
	clockOffset: number,
): Steps<{ readonly row: ScopeRow; readonly now: number } | undefined> {
	const begin = language.begin();
	const raw = (yield [...begin, ...lockScopes(language, [scope])]).at(-1)?.[0];
	if (raw === undefined) return undefined;
	const row = parseScopeRow(raw);
	return { row, now: Math.max(toNumber(raw.now) + clockOffset, row.time) };
}

const commit = (language: Language): Statement => language.say("commit", [], true);

/** What a drop found, and whether it left much to be deleted later. */
export interface Dropped {
	readonly there: boolean;
	readonly leaves: boolean;
}

/** Removes a scope; its writers stay. `undefined`: it is held elsewhere. */
export function* dropScope(
	language: Language,
	scope: string,
	clockOffset: number,
): Steps<Dropped | undefined> {
	const locked = yield* lock(language, scope, clockOffset);
	if (locked === undefined) {
		const [there] = yield* ask(language.say('select "id" from {scopes} where "scope" = ?', [scope]));
		yield [commit(language)];
		return there === undefined ? { there: false, leaves: false } : undefined;
	}
	const { now } = locked;
	const [row] = (yield* clearScopes(language, [locked.row])) as readonly [ScopeRow];
	const after = { ...emptied(row), time: now, keep: undefined, tidyAt: row.tidyAt ?? now + 60_000 };
	yield [...writeScopes(language, [after]), commit(language)];
	return { there: row.head > 0, leaves: row.id !== locked.row.id };
}

/** What is left to tidy in a scope. */
export interface Untidy {
	readonly progress?: Progress;
}

/** Scopes that may have something to tidy. */
export function* untidy(language: Language, limit: number, clockOffset: number): Steps<readonly string[]> {
	const rows = yield* ask(
		language.say(
			`select "scope" from {scopes} where "tidy_at" is not null and "tidy_at" <= {now} + ? order by "tidy_at" limit ?`,
			[clockOffset, limit],
		),
	);
	return rows.map((row) => toText(row.scope));
}

/**
 * Trims a scope's logs, forgets writers whose time is over, and the scope itself once nothing is left of it: as much as one transaction should do.
 * If there is more, it answers what to go on with.
 */
export function* tidyScope(
	language: Language,
	scope: string,
	clockOffset: number,
	{ progress }: Untidy = {},
): Steps<Untidy | undefined> {
	const locked = yield* lock(language, scope, clockOffset);
	if (locked === undefined) {
		yield [commit(language)];
		return undefined;
	}
	const { now } = locked;
	let { row } = locked;
	if (isBuried(scope)) {
		const further = yield* deleteBuried(language, row.id, progress);
		yield [commit(language)];
		return further === undefined ? undefined : { progress: further };
	}
	yield [language.say(forgetWriters, [row.id, now])];
	let again = false;
	for (const of of logs) {
		const keep = row.keep?.[of];
		if (keep === undefined || !isLong(sizeOf(row, of), keep, now)) continue;
		row = withSize(row, of, yield* trim(language, of, row.id, sizeOf(row, of), keep, now));
		again ||= isLong(sizeOf(row, of), keep, now);
	}
	const [left] = yield* ask(
		language.say(
			`select (select max("until") from {writers} where "scope_id" = ?) as "until",
			(select max("key") from {entries} where "scope_id" = ?) as "key"`,
			[row.id, row.id],
		),
	);
	const until = left?.until === null ? null : toNumber(left?.until);
	const isEmpty =
		left?.key === null && row.seal === undefined && logs.every((of) => lengthOf(sizeOf(row, of)) === 0);
	// A next life counts on above the clock, so what this one had counted may go only once the clock is past it.
	const counted = Math.max(row.head, row.floor) / 1000;
	if (isEmpty && until === null && counted < now && (row.endsAt === null || row.endsAt <= now)) {
		yield [language.say('delete from {scopes} where "id" = ?', [row.id]), commit(language)];
		return undefined;
	}
	const waiting = isEmpty ? Math.max(until ?? 0, counted, now) + 1000 : until;
	const tidyAt = again ? now : (nextTidy(row) ?? waiting);
	yield [...writeScopes(language, [{ ...row, time: now, tidyAt }]), commit(language)];
	return again ? {} : undefined;
}
