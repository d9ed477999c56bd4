/** What can be asked without changing anything. */
import {
	compareKeys,
	type Entry,
	isLive,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	type LogRecord,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
} from "@holdfast/core";
import type { Parts } from "./commit.js";
import { type LogRow, parseRecords } from "./records.js";
import { logs } from "./retention.js";
import type { Ask, Steps } from "./row-store.js";
import { blankRow, isOver, type ScopeRow } from "./scope-row.js";

/** How many rows of a log are read at once. */
const rowsAtOnce = 100;

/** The row of a scope as it counts now, and the store's time. */
function* look({ clock }: Parts, scope: ScopeId): Steps<{ readonly row: ScopeRow; readonly now: number }> {
	const [found] = (yield [{ key: ["m", scope] }]) as [ScopeRow | undefined];
	return counted(found ?? blankRow(scope), clock);
}

function counted(row: ScopeRow, clock: Parts["clock"]) {
	clock.witness(row);
	const now = clock.now();
	return { row: isOver(row, now) ? blankRow(row.scope) : row, now };
}

/** Answers reads, all of one instant. */
export function* readEntries(parts: Parts, asks: readonly ReadAsk[]): Steps<readonly ReadAnswer[]> {
	const { cache, clock, era } = parts;
	const rows = yield asks.map(({ scope }): Ask => ({ key: ["m", scope] }));
	const answers: ReadAnswer[] = [];
	for (const [i, { scope, keys }] of asks.entries()) {
		const found = (rows[i] as ScopeRow | undefined) ?? blankRow(scope);
		const { row, now } = counted(found, clock);
		cache.meet(found);
		// Who asks for the head alone needs nothing in memory.
		const state = keys.length > 0 && row.head > 0 ? yield* cache.current(row) : undefined;
		if (state !== undefined) state.era = era;
		const entries = keys.map((key): Entry | null => {
			const entry = state?.get(key);
			return entry !== undefined && isLive(entry, now) ? entry : null;
		});
		answers.push({ head: row.head, now, next: row.next, entries });
	}
	return answers;
}

/** Answers reads by what this tab knows, if it is alone and knows it all. Who asks for the head alone asks the store. */
export function readKnown(parts: Parts, asks: readonly ReadAsk[]): readonly ReadAnswer[] | undefined {
	const { cache, era } = parts;
	if (era === undefined) return undefined;
	const rows = asks.map(({ scope, keys }) => {
		const state = keys.length > 0 ? cache.get(scope) : undefined;
		return state?.era === era ? state.row : undefined;
	});
	if (rows.includes(undefined)) return undefined;
	const steps = readEntries(parts, asks);
	steps.next();
	const { done, value } = steps.next(rows);
	return done === true ? value : undefined;
}

/** A page of a scope's entries. */
export function* listEntries(
	parts: Parts,
	scope: ScopeId,
	{ from, to, limit, bytes }: KeyRange,
): Steps<ListPage> {
	const { row, now } = yield* look(parts, scope);
	const { head } = row;
	const entries: Entry[] = [];
	if (head === 0) return { entries, next: null, head, now };
	const state = yield* parts.cache.current(row);
	let room = bytes;
	for (const entry of state.under({ from, to })) {
		if (!isLive(entry, now)) continue;
		if (entries.length > 0 && (entries.length >= limit || room < entry.value.size))
			return { entries, next: entry.key, head, now };
		entries.push(entry);
		room -= entry.value.size;
	}
	return { entries, next: null, head, now };
}

/** A page of a scope's log. */
export function* readLog(
	parts: Parts,
	scope: ScopeId,
	after: number,
	{ of, limit, bytes, newest = false }: LogQuery,
): Steps<LogPage> {
	const { row, now } = yield* look(parts, scope);
	const [{ table }] = logs.filter((log) => log.of === of) as [(typeof logs)[0]];
	const head = of === "changes" ? row.head : row.eventsHead;
	const keep = row.keep?.[of] ?? { count: Number.POSITIVE_INFINITY, age: Number.POSITIVE_INFINITY };
	const firstPlace = row[of].total - keep.count;
	const records: LogRecord[] = [];
	let room = bytes;
	const isFull = (): boolean => records.length >= limit || (records.length > 0 && room <= 0);
	/** Shows what a row has; answers whether there was room for all of it. */
	const show = ({ at, text }: LogRow): boolean => {
		// What is past retention is not shown, though it may not have been trimmed yet.
		const shown = parseRecords(text).filter(
			({ revision, time }, i) => revision > after && at + i >= firstPlace && time >= now - keep.age,
		);
		if (newest) shown.reverse();
		for (const record of shown) {
			if (isFull()) return false;
			records.push(record);
			room -= text.length / shown.length;
		}
		return true;
	};
	const tail = of === "changes" && head > 0 && row.tail !== null ? [row.tail] : [];
	let hasRoom = newest ? tail.every(show) : true;
	let from = after;
	let upTo: number | undefined;
	while (head > 0 && hasRoom && !isFull()) {
		const range = { table, scope, after: from, limit: rowsAtOnce, newest };
		const [rows] = (yield [{ range: upTo === undefined ? range : { ...range, upTo } }]) as [LogRow[]];
		hasRoom = rows.every(show);
		if (rows.length < rowsAtOnce) {
			if (hasRoom && !newest) hasRoom = tail.every(show);
			break;
		}
		const last = rows.at(-1)?.last ?? 0;
		if (newest) upTo = last - 1;
		else from = last;
	}
	const more = !newest && (!hasRoom || (isFull() && (records.at(-1)?.revision ?? head) < head));
	return { records: newest ? records.reverse() : records, more, head, now };
}

/** Scopes in the order of their ids. */
export function* listScopes(
	{ clock }: Parts,
	{ prefix, after, limit, due = false }: ScopeRange,
): Steps<ScopePage> {
	const rows = yield* allRows();
	for (const row of rows) clock.witness(row);
	const now = clock.now();
	const found = rows
		.filter(({ scope, head, next, ...row }) => {
			if (!scope.startsWith(prefix) || (after !== null && compareKeys(scope, after) <= 0)) return false;
			if (due) return next !== null && next <= now;
			return (head > 0 || row.seal !== undefined) && !isOver({ scope, head, next, ...row }, now);
		})
		.sort((a, b) => compareKeys(a.scope, b.scope));
	const scopes = found.slice(0, limit).map(({ scope, head, next }) => ({ scope, head, next }));
	return { scopes, more: found.length > limit, now };
}

/** The rows of all scopes. */
export function* allRows(): Steps<readonly ScopeRow[]> {
	const [rows] = (yield [{ range: { table: "m" } }]) as [ScopeRow[]];
	return rows;
}
