/** Entries, records and answers as rows and JSON, and back. */
import {
	type BatchAnswer,
	type Change,
	type CommitOutcome,
	type Entry,
	type EventFact,
	type Json,
	type LogRecord,
	type Refused,
	storedValue,
	type Value,
	type WriterMemory,
} from "@holdfast/core";
import { type Bound, type Row, toNullable, toNumber, toText } from "./statement.js";

/** Everything of an entry but its value. */
export const headColumns = ["key", "revision", "created_revision", "expires_at", "metadata"] as const;

/** The columns of an entry, behind its scope. */
export const entryColumns = [...headColumns, "value"] as const;

const anyText: readonly string[] = ["key", "value"];

/** The list of these columns of a table in a select, each by its own name. */
export const selectList = (table: string, columns: readonly string[]): string =>
	columns
		.map((column) => {
			const name = `${table}."${column}"`;
			// All other text is ours, and plain.
			return `${anyText.includes(column) ? `{text ${name}}` : name} as "${column}"`;
		})
		.join(", ");

/** The columns of a record, behind its scope. */
export const recordColumns = [
	"revision",
	"previous",
	"previous_events",
	"id",
	"time",
	"origin",
	"metadata",
	"quiet",
	"changes",
	"events",
] as const;

// Stands for a value that nobody asked for.
const unread: Value = storedValue("null");

const parse = (text: unknown): Json => JSON.parse(toText(text)) as Json;

const parseMetadata = (text: unknown): Json | undefined =>
	text === null || text === undefined ? undefined : parse(text);

const formatMetadata = (metadata: Json | undefined): string | null =>
	metadata === undefined ? null : JSON.stringify(metadata);

/** An entry of its row; without a value there its value is not to be looked at. */
export const parseEntry = (row: Row, key = toText(row.key)): Entry => ({
	key,
	value: row.value === undefined || row.value === null ? unread : storedValue(toText(row.value)),
	revision: toNumber(row.revision),
	createdRevision: toNumber(row.created_revision),
	expiresAt: toNullable(row.expires_at),
	metadata: parseMetadata(row.metadata),
});

/** What can be known of an entry without holding on to its value, which may be large: only a number stays. */
export function withoutValue(entry: Entry): Entry {
	if (entry.value.number !== undefined) return entry;
	const { key, revision, createdRevision, expiresAt, metadata } = entry;
	// Written out: a copy by spreading costs several times as much.
	return { key, value: unread, revision, createdRevision, expiresAt, metadata };
}

/** What {@link entryColumns} hold. */
export const formatEntry = (entry: Entry): Bound[] => [
	entry.key,
	entry.revision,
	entry.createdRevision,
	entry.expiresAt,
	formatMetadata(entry.metadata),
	entry.value.text,
];

/** Whether an entry has neither a deadline nor metadata. */
export const isBareEntry = ({ expiresAt, metadata }: Entry): boolean =>
	expiresAt === null && metadata === undefined;

/** The row of such an entry of a scope, in the order of `insertions.bareEntries`. */
export const formatBareEntry = (
	scopeId: number,
	{ key, revision, createdRevision, value }: Entry,
): Bound[] => [scopeId, key, revision, createdRevision, value.text];

interface StoredChange {
	readonly type: Change["type"];
	readonly key: string;
	/** The encoded value, as text: parsed and written again, JSON would not come back as it was. */
	readonly value?: string;
	readonly created?: number;
	readonly expires?: number | null;
}

/** A {@link StoredChange} as JSON: put together here, since every commit writes one. */
const formatChange = ({ type, key, entry }: Change): string => {
	const change = `{"type":"${type}","key":${JSON.stringify(key)}`;
	if (entry === null) return `${change}}`;
	const { value, createdRevision, expiresAt } = entry;
	const written = `${change},"value":${JSON.stringify(value.text)},"created":${createdRevision}`;
	return expiresAt === null ? `${written}}` : `${written},"expires":${expiresAt}}`;
};

const formatChanges = (changes: LogRecord["changes"]): string =>
	changes.length === 1
		? `[${formatChange(changes[0] as Change)}]`
		: `[${changes.map(formatChange).join(",")}]`;

/** What {@link recordColumns} hold. */
export const formatRecord = (record: LogRecord): Bound[] => [
	record.revision,
	record.previous,
	record.previousEvents,
	record.id,
	record.time,
	record.origin ?? null,
	formatMetadata(record.metadata),
	record.quiet ? 1 : 0,
	formatChanges(record.changes),
	record.events.length === 0
		? "[]"
		: JSON.stringify(record.events.map(({ type, payload }) => ({ type, payload: payload.text }))),
];

/** Whether a record holds changes alone, and is not quiet. */
export const isBareRecord = ({ metadata, quiet, events }: LogRecord): boolean =>
	metadata === undefined && !quiet && events.length === 0;

/** The row of such a record of a scope, in the order of `insertions.bareChanges`. */
export const formatBareRecord = (scopeId: number, record: LogRecord): Bound[] => [
	scopeId,
	record.revision,
	record.previous,
	record.previousEvents,
	record.id,
	record.time,
	record.origin ?? null,
	formatChanges(record.changes),
];

/** A record of its row. */
export function parseRecord(row: Row): LogRecord {
	const revision = toNumber(row.revision);
	const metadata = parseMetadata(row.metadata);
	const changes = (parse(row.changes) as unknown as StoredChange[]).map(
		({ type, key, value, created = 0, expires = null }): Change => ({
			type,
			key,
			entry:
				value === undefined
					? null
					: {
							key,
							value: storedValue(value),
							revision,
							createdRevision: created,
							expiresAt: expires,
							metadata,
						},
		}),
	);
	const events = (parse(row.events) as unknown as { type: string; payload: string }[]).map(
		({ type, payload }): EventFact => ({ type, payload: storedValue(payload) }),
	);
	return {
		revision,
		previous: toNumber(row.previous),
		previousEvents: toNumber(row.previous_events),
		id: toText(row.id),
		time: toNumber(row.time),
		origin: row.origin === null ? undefined : toText(row.origin),
		metadata,
		quiet: toNumber(row.quiet) === 1,
		changes,
		events,
	};
}

/** The size of a record in a page, about. */
export const recordSize = (row: Row): number => toText(row.changes).length + toText(row.events).length;

// JSON has no -0.
const formatNumber = (number: number): number | string => (Object.is(number, -0) ? "-0" : number);

/** An outcome as it is stored: most are two small numbers, how far above the one before it, and how many changes. */
type StoredOutcome =
	| readonly [above: number, changes: number, ...numbers: (number | string)[]]
	| StoredRefusal;

type StoredRefusal = Omit<Refused, "entry"> & {
	readonly entry: (Omit<Entry, "value"> & { readonly value: string }) | null;
};

/** An answer as a writer is remembered by. */
export function formatAnswer({ head, now, next, outcomes }: BatchAnswer): string {
	let before = head;
	const stored = outcomes.map((outcome): StoredOutcome => {
		if (!outcome.ok) {
			const { entry } = outcome;
			return { ...outcome, entry: entry === null ? null : { ...entry, value: entry.value.text } };
		}
		const above = outcome.revision - before;
		before = outcome.revision;
		return [above, outcome.changes, ...outcome.numbers.map(formatNumber)];
	});
	return JSON.stringify({ head, now, next, outcomes: stored });
}

function parseAnswer(text: string): BatchAnswer {
	const { outcomes, ...answer } = JSON.parse(text) as Omit<BatchAnswer, "outcomes"> & {
		readonly outcomes: readonly StoredOutcome[];
	};
	let revision = answer.head;
	return {
		...answer,
		outcomes: outcomes.map((stored): CommitOutcome => {
			if (!("ok" in stored)) {
				const [above, changes, ...numbers] = stored;
				revision += above;
				return { ok: true, revision, changes, numbers: numbers.map(Number) };
			}
			const { entry } = stored;
			return {
				...stored,
				entry:
					entry === null ? null : { ...entry, value: storedValue(entry.value), metadata: entry.metadata },
			};
		}),
	};
}

/** What a scope remembers of a writer. */
export const parseWriter = (row: Row): WriterMemory => ({
	sequence: toNumber(row.sequence),
	id: toText(row.first_id),
	until: toNumber(row.until),
	// Seldom looked at: only for a batch that was sent again.
	get answer() {
		return parseAnswer(toText(row.answer));
	},
});
