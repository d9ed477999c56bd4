/** Reads: entries, pages of them, pages of logs, scopes. Each is of one instant, because each is one statement. */
import {
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
import type { Language } from "./engine.js";
import { logColumns, parseRecords, recordSize } from "./log-rows.js";
import { entryColumns, parseEntry, selectList } from "./rows.js";
import { ask, type Row, type Steps, toNullable, toNumber, toText } from "./statement.js";

const scopePart = 's."head", s."events_head", s."time" as "seen", s."ends_at", s."due_at"';
const scopeNames = ["head", "events_head", "seen", "ends_at", "due_at"];
const entryPart = selectList("e", entryColumns);
const listedColumns = [...scopeNames, ...entryColumns, "now"];
// Who asks for a log knows its scope.
const rowColumns = logColumns.slice(1);
const loggedColumns = [...scopeNames, "keep_age", ...rowColumns, "now"];
// Who asks for a key knows it.
const restColumns = entryColumns.slice(1);
const restPart = selectList("e", restColumns);
const logPart = selectList("c", rowColumns);

// Where a page is cut out of a table before it is joined: a planner reads all that is behind it, and sorts it, otherwise.
const ofScope = '"scope_id" = (select "id" from {scopes} where "scope" = ?)';

interface Seen {
	readonly head: number;
	readonly eventsHead: number;
	readonly now: number;
	readonly next: number | null;
	/** Whether it is past its end, and so absent. */
	readonly over: boolean;
}

/** What a row says of its scope, which may be absent. */
function see(row: Row, clockOffset: number): Seen {
	const now = Math.max(toNumber(row.now) + clockOffset, toNumber(row.seen ?? 0));
	const endsAt = toNullable(row.ends_at);
	const over = endsAt !== null && now >= endsAt;
	return {
		head: over ? 0 : toNumber(row.head ?? 0),
		eventsHead: over ? 0 : toNumber(row.events_head ?? 0),
		now,
		next: over ? null : toNullable(row.due_at),
		over,
	};
}

const readColumns = ["at", ...scopeNames, ...restColumns, "now"];
const oneColumns = ["head", "seen", "ends_at", "due_at", ...restColumns, "now"];
const oneOf = `select s."head", s."time" as "seen", s."ends_at", s."due_at", ${restPart}, {now} as "now" from (select 1 as "one") o
	left join {scopes} s on s."scope" = ? left join {entries} e on e."scope_id" = s."id" and e."key" = ?`;

/** Reads one entry: single values need no table. */
function* readEntry(language: Language, scope: ScopeId, key: string, clockOffset: number): Steps<ReadAnswer> {
	const [row] = yield* ask({ ...language.say(oneOf, [scope, key]), columns: oneColumns });
	const { head, now, next, over } = see(row as Row, clockOffset);
	const entry = over || row?.revision === null ? null : parseEntry(row as Row, key);
	return { head, now, next, entries: [entry !== null && isLive(entry, now) ? entry : null] };
}

/** Reads entries of many scopes. */
export function* readEntries(
	language: Language,
	asks: readonly ReadAsk[],
	clockOffset: number,
): Steps<readonly ReadAnswer[]> {
	const [first] = asks;
	if (asks.length === 1 && first?.keys.length === 1)
		return [yield* readEntry(language, first.scope, first.keys[0] as string, clockOffset)];
	const pairs: [string, string][] = [];
	for (const { scope, keys } of asks)
		if (keys.length === 0) pairs.push([scope, ""]);
		else for (const key of keys) pairs.push([scope, key]);
	const parts = language.parts(pairs);
	const answers = yield parts.map((part) => {
		const { pairTable, lookUp } = language.engine;
		const table = pairTable("scope", "key", part);
		const statement = language.shape(
			"read entries",
			table,
			() =>
				`select a."at", ${scopePart}, ${restPart}, {now} as "now" from ${table.text()} a
				${lookUp("left join", "scopes", "s", 's."scope" = a."scope"')}
				${lookUp("left join", "entries", "e", 'e."scope_id" = s."id" and e."key" = a."key"')}`,
		);
		return { ...statement, columns: readColumns };
	});
	// A row for each pair, in any order.
	const rows: Row[] = new Array(pairs.length);
	let before = 0;
	for (const [i, part] of parts.entries()) {
		for (const row of answers[i] ?? []) rows[before + toNumber(row.at)] = row;
		before += part.length;
	}
	let at = 0;
	return asks.map(({ keys }): ReadAnswer => {
		const first = see(rows[at] as Row, clockOffset);
		if (keys.length === 0) at++;
		const entries = keys.map((key): Entry | null => {
			const row = rows[at++] as Row;
			if (row.revision === null || first.over) return null;
			const entry = parseEntry(row, key);
			return isLive(entry, first.now) ? entry : null;
		});
		return { head: first.head, now: first.now, next: first.next, entries };
	});
}

// So many rows first; how many more, their sizes say.
const firstRows = 64;

/** How many rows to ask for next, so that a page of large values does not become one of gigabytes. */
const rowsFor = (limit: number, taken: number, room: number, bytes: number): number =>
	taken === 0
		? Math.min(limit, firstRows)
		: Math.max(1, Math.min(limit - taken, Math.ceil((room * taken) / Math.max(1, bytes - room))));

/** A page of live entries. */
export function* listEntries(
	language: Language,
	scope: ScopeId,
	{ from, to, limit, bytes }: KeyRange,
	clockOffset: number,
): Steps<ListPage> {
	const entries: Entry[] = [];
	let room = bytes;
	let first: Seen | undefined;
	for (let start = from; ; ) {
		// One more than fits, to know whether there is one.
		const count = rowsFor(limit + 1, entries.length, room, bytes);
		const range = to === null ? "" : ' and "key" < ?';
		const rows = yield* ask({
			...language.say(
				`select ${scopePart}, ${entryPart}, {now} as "now" from (select 1 as "one") o
				left join {scopes} s on s."scope" = ?
				left join (select * from {entries} where ${ofScope} and "key" >= ?${range} order by "key" limit ?) e on true
				order by e."key"`,
				to === null ? [scope, scope, start, count] : [scope, scope, start, to, count],
			),
			columns: listedColumns,
		});
		const seen = see(rows[0] as Row, clockOffset);
		first ??= seen;
		const page = { head: first.head, now: first.now };
		if (seen.over) return { entries, next: null, ...page };
		for (const row of rows) {
			if (row.revision === null) return { entries, next: null, ...page };
			const entry = parseEntry(row);
			if (!isLive(entry, seen.now)) continue;
			if (entries.length > 0 && (entries.length >= limit || room < entry.value.size))
				return { entries, next: entry.key, ...page };
			entries.push(entry);
			room -= entry.value.size;
		}
		if (rows.length < count) return { entries, next: null, ...page };
		// The least key behind the last one; no key holds this character.
		start = `${toText((rows.at(-1) as Row).key)} `;
	}
}

/** A page of a log: a row holds records, and a page may begin and end in the middle of one. */
export function* readLog(
	language: Language,
	scope: ScopeId,
	after: number,
	{ of, limit, bytes, newest = false }: LogQuery,
	clockOffset: number,
): Steps<LogPage> {
	const records: LogRecord[] = [];
	let room = bytes;
	let bound = newest ? Number.MAX_SAFE_INTEGER : after;
	const range = newest ? '"revision" > ? and "revision" < ?' : '"revision" > ?';
	const order = newest ? '"revision" desc' : '"revision"';
	for (let read = 0; ; ) {
		// As many rows as so many records take, if all rows hold as many as those that were read.
		const wanted = read === 0 ? limit + 1 : Math.ceil(((limit + 1) * read) / records.length);
		const count = rowsFor(wanted, read, room, bytes);
		const rows = yield* ask({
			...language.say(
				`select ${scopePart}, s."keep_${of}_age" as "keep_age", ${logPart}, {now} as "now"
				from (select 1 as "one") o left join {scopes} s on s."scope" = ?
				left join (select * from {${of}} where ${ofScope} and ${range} order by ${order} limit ?) c on true
				order by c.${order}`,
				newest ? [scope, scope, after, bound, count] : [scope, scope, bound, count],
			),
			columns: loggedColumns,
		});
		const seen = see(rows[0] as Row, clockOffset);
		const head = of === "changes" ? seen.head : seen.eventsHead;
		const end = (more: boolean): LogPage => {
			if (newest) records.reverse();
			return { records, more: more && !newest, head, now: seen.now };
		};
		if (seen.over) return { records: [], more: false, head: 0, now: seen.now };
		const cutoff = seen.now - toNumber((rows[0] as Row).keep_age ?? Number.MAX_SAFE_INTEGER);
		for (const row of rows) {
			if (row.revision === null) return end(false);
			bound = toNumber(row.revision);
			// Past its age, though nobody has trimmed it yet.
			if (toNumber(row.time) < cutoff) {
				if (newest) return end(false);
				continue;
			}
			read++;
			const held = parseRecords(row);
			for (const record of newest ? held.reverse() : held) {
				if (record.revision <= after) {
					if (newest) return end(false);
					continue;
				}
				if (records.length > 0 && (records.length >= limit || room <= 0)) return end(true);
				const last = records.at(-1);
				// Trimmed, or dropped, between two statements: the next page tells it as a reset.
				if (of === "changes" && last !== undefined && !newest && record.previous !== last.revision)
					return end(true);
				records.push(record);
				room -= recordSize(record);
			}
		}
		if (rows.length < count) return end(false);
	}
}

/** What sorts behind all ids of a prefix that ends in ASCII; `undefined` where that is not so easily said. */
const endOf = (prefix: string): string | undefined => {
	const last = prefix.charCodeAt(prefix.length - 1);
	return last < 0x7f ? `${prefix.slice(0, -1)}${String.fromCharCode(last + 1)}` : undefined;
};

/** Scopes in order of their ids. */
export function* listScopes(
	language: Language,
	{ prefix, after, limit, due = false }: ScopeRange,
	clockOffset: number,
): Steps<ScopePage> {
	const from = after === null || Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0 ? prefix : after;
	const compare = from === after ? ">" : ">=";
	const [clock] = yield* ask(language.say('select {now} as "now"'));
	const now = toNumber(clock?.now) + clockOffset;
	const which = due
		? 's."due_at" is not null and s."due_at" <= ?'
		: '(s."ends_at" is null or s."ends_at" > ?)';
	const end = endOf(prefix);
	const rows = yield* ask(
		language.say(
			`select s."scope", s."head", s."due_at" from {scopes} s where s."scope" ${compare} ?
			${end === undefined ? "" : 'and s."scope" < ?'} and ${which} and (s."head" > 0 or s."seal" is not null)
			order by s."scope" limit ?`,
			[from, ...(end === undefined ? [] : [end]), now, limit + 1],
		),
	);
	const found = rows.filter((row) => toText(row.scope).startsWith(prefix));
	const scopes = found.slice(0, limit).map((row) => ({
		scope: toText(row.scope),
		head: toNumber(row.head),
		next: toNullable(row.due_at),
	}));
	return { scopes, more: found.length > limit, now };
}

/** The heads of scopes, as far as they are there. */
export function* readHeads(
	language: Language,
	scopes: readonly ScopeId[],
): Steps<ReadonlyMap<ScopeId, number>> {
	const heads = new Map<ScopeId, number>();
	const statements = [];
	for (let i = 0; i < scopes.length; i += 200) {
		const these = language.engine.isOneOf('"scope"', scopes.slice(i, i + 200));
		statements.push(
			language.shape("heads", these, () => `select "scope", "head" from {scopes} where ${these.text()}`),
		);
	}
	for (const row of (yield statements).flat()) heads.set(toText(row.scope), toNumber(row.head));
	return heads;
}
