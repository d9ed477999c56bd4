/** The rows of a scope's logs: each holds records of one batch, as JSON that people and SQL can read. */
import { type Change, type EventFact, type Json, type LogRecord, storedValue } from "@holdfast/core";
import type { ScopeRow } from "./scope-row.js";
import { type Bound, type Row, toNumber, toText } from "./statement.js";

/** The columns of a log's row. */
export const logColumns = [
	"scope_id",
	/** Of its last record. */
	"revision",
	/** Of its first record. */
	"previous",
	"previous_events",
	/** Of its records: a batch has one. */
	"time",
	/** How many records this log has had in the scope's present life, up to the last of this row. */
	"total",
	"records",
] as const;

/** So many characters of records, about, make a row, since Postgres compresses or moves elsewhere what does not fit on a page. */
const mostText = 7800;

/** What a row holds at most, of a log that keeps so many records: one that keeps few is to be trimmed to about as many. */
const mostRecords = (count: number): number => Math.max(1, Math.min(64, Math.floor(count / 8)));

interface StoredChange {
	readonly type: Change["type"];
	readonly key: string;
	/** The encoded value, as text: parsed and written again, JSON would not come back as it was. */
	readonly value?: string;
	/** Absent: the record's own revision. */
	readonly created?: number;
	readonly expires?: number;
}

interface StoredRecord {
	readonly revision: number;
	/** Absent: the revision of the record before it in the row, or what the row says. */
	readonly previous?: number;
	/** Absent: the last revision before it in the row that has events, or what the row says. */
	readonly previousEvents?: number;
	/** Absent: the origin, a dot and `nth`. */
	readonly id?: string;
	/** Absent: the revision, by which commits that come alone are named. */
	readonly nth?: string;
	/** Absent: that of the record before it in the row, if any; `null`: none. */
	readonly origin?: string | null;
	readonly metadata?: Json;
	readonly quiet?: true;
	readonly changes: readonly StoredChange[];
	readonly events?: readonly { readonly type: string; readonly payload: string }[];
}

/** A {@link StoredChange} as JSON: put together here, since every commit writes one. */
function formatChange({ type, key, entry }: Change, revision: number): string {
	const change = `{"type":"${type}","key":${JSON.stringify(key)}`;
	if (entry === null) return `${change}}`;
	const { value, createdRevision, expiresAt } = entry;
	let written = `${change},"value":${JSON.stringify(value.text)}`;
	if (createdRevision !== revision) written += `,"created":${createdRevision}`;
	return expiresAt === null ? `${written}}` : `${written},"expires":${expiresAt}}`;
}

/** The id and the origin of a {@link StoredRecord} as JSON. */
function formatName({ revision, id, origin }: LogRecord, before: string | undefined): string {
	const named = origin === before ? "" : `,"origin":${JSON.stringify(origin ?? null)}`;
	if (origin === undefined || !id.startsWith(`${origin}.`)) return `,"id":${JSON.stringify(id)}${named}`;
	const nth = id.slice(origin.length + 1);
	return nth === String(revision) ? named : `,"nth":${JSON.stringify(nth)}${named}`;
}

/** A {@link StoredRecord} as JSON, from its metadata on. */
function formatRest({ revision, metadata, quiet, changes, events }: LogRecord): string {
	let text = "";
	if (metadata !== undefined) text += `,"metadata":${JSON.stringify(metadata)}`;
	if (quiet) text += ',"quiet":true';
	text +=
		changes.length === 1
			? `,"changes":[${formatChange(changes[0] as Change, revision)}]`
			: `,"changes":[${changes.map((change) => formatChange(change, revision)).join(",")}]`;
	if (events.length > 0)
		text += `,"events":${JSON.stringify(events.map(({ type, payload }) => ({ type, payload: payload.text })))}`;
	return `${text}}`;
}

/**
 * The rows that a batch adds to a log, as {@link logColumns} hold them: of what is kept of its records.
 *
 * @param after - the scope's row as the batch leaves it.
 */
export function logRows(
	of: "changes" | "events",
	{ id, keep, changesTotal, eventsTotal }: Pick<ScopeRow, "id" | "keep" | "changesTotal" | "eventsTotal">,
	records: readonly LogRecord[],
): Bound[][] {
	const rows: Bound[][] = [];
	const count = keep?.[of].count ?? Number.POSITIVE_INFINITY;
	if (count === 0) return rows;
	const logged = of === "changes" ? records : records.filter(({ events }) => events.length > 0);
	const kept = logged.length > count ? logged.slice(-count) : logged;
	const most = mostRecords(count);
	let total = (of === "changes" ? changesTotal : eventsTotal) - kept.length;
	let inRow = 0;
	let row: Bound[] = [];
	let text = "";
	let previous = 0;
	let previousEvents = 0;
	let origin: string | undefined;
	for (const record of kept) {
		const rest = formatRest(record);
		if (inRow === most || text.length + rest.length > mostText) inRow = 0;
		if (inRow === 0) {
			({ previous, previousEvents } = record);
			origin = undefined;
			row = [id, 0, previous, previousEvents, record.time, 0, ""];
			rows.push(row);
			text = "[";
		} else text += ",";
		text += `{"revision":${record.revision}`;
		if (record.previous !== previous) text += `,"previous":${record.previous}`;
		if (record.previousEvents !== previousEvents) text += `,"previousEvents":${record.previousEvents}`;
		text += formatName(record, origin) + rest;
		row[1] = record.revision;
		row[5] = ++total;
		row[6] = `${text}]`;
		inRow++;
		previous = record.revision;
		previousEvents = record.events.length > 0 ? record.revision : record.previousEvents;
		({ origin } = record);
	}
	return rows;
}

function parseChange(
	{ type, key, value, created, expires }: StoredChange,
	revision: number,
	metadata: Json | undefined,
): Change {
	if (value === undefined) return { type, key, entry: null };
	return {
		type,
		key,
		entry: {
			key,
			value: storedValue(value),
			revision,
			createdRevision: created ?? revision,
			expiresAt: expires ?? null,
			metadata,
		},
	};
}

const parseEvent = ({ type, payload }: { readonly type: string; readonly payload: string }): EventFact => ({
	type,
	payload: storedValue(payload),
});

/** The records of a row, in order. */
export function parseRecords(row: Row): LogRecord[] {
	let previous = toNumber(row.previous);
	let previousEvents = toNumber(row.previous_events);
	const time = toNumber(row.time);
	let origin: string | undefined;
	return (JSON.parse(toText(row.records)) as readonly StoredRecord[]).map((stored): LogRecord => {
		const { revision, nth = revision, metadata, quiet = false, changes, events = [] } = stored;
		if (stored.origin !== undefined) origin = stored.origin ?? undefined;
		const record = {
			revision,
			previous: stored.previous ?? previous,
			previousEvents: stored.previousEvents ?? previousEvents,
			id: stored.id ?? `${origin}.${nth}`,
			time,
			origin,
			metadata,
			quiet,
			changes: changes.map((change) => parseChange(change, revision, metadata)),
			events: events.map(parseEvent),
		};
		previous = revision;
		previousEvents = events.length > 0 ? revision : record.previousEvents;
		return record;
	});
}

/** The size of a record in a page, about. */
export function recordSize({ changes, events }: LogRecord): number {
	let size = 0;
	for (const { key, entry } of changes) size += 32 + key.length + (entry?.value.size ?? 0);
	for (const { type, payload } of events) size += 32 + type.length + payload.size;
	return size;
}
