/** Entries, records and answers as rows and JSON, and back. */
import {
	type BatchAnswer,
	type Change,
	type CommitOutcome,
	type Entry,
	type EventFact,
	type Json,
	type LogRecord,
	storedValue,
	type Value,
	type WriterMemory,
} from "@holdfast/core";
import { type Bound, type Row, toNullable, toNumber, toText } from "./statement.js";

/** Everything of an entry but its value. */
export const headColumns = ["key", "revision", "created_revision", "expires_at", "metadata"] as const;

/** The columns of an entry, behind its scope. */
export const entryColumns = [...headColumns, "value"] as const;

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

/** An entry of its row; without the value's column its value is not to be looked at. */
export const parseEntry = (row: Row): Entry => ({
	key: toText(row.key),
	value: row.value === undefined ? unread : storedValue(toText(row.value)),
	revision: toNumber(row.revision),
	createdRevision: toNumber(row.created_revision),
	expiresAt: toNullable(row.expires_at),
	metadata: parseMetadata(row.metadata),
});

/** What {@link entryColumns} hold. */
export const formatEntry = (entry: Entry): Bound[] => [
	entry.key,
	entry.revision,
	entry.createdRevision,
	entry.expiresAt,
	formatMetadata(entry.metadata),
	entry.value.text,
];

interface StoredChange {
	readonly type: Change["type"];
	readonly key: string;
	/** The encoded value, as text: parsed and written again, JSON would not come back as it was. */
	readonly value?: string;
	readonly created?: number;
	readonly expires?: number | null;
}

const formatChange = ({ type, key, entry }: Change): StoredChange =>
	entry === null
		? { type, key }
		: { type, key, value: entry.value.text, created: entry.createdRevision, expires: entry.expiresAt };

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
	JSON.stringify(record.changes.map(formatChange)),
	JSON.stringify(record.events.map(({ type, payload }) => ({ type, payload: payload.text }))),
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

/** An answer as a writer is remembered by. */
export const formatAnswer = (answer: BatchAnswer): string =>
	JSON.stringify({
		...answer,
		outcomes: answer.outcomes.map((outcome) =>
			outcome.ok
				? { ...outcome, numbers: outcome.numbers.map(formatNumber) }
				: {
						...outcome,
						entry: outcome.entry === null ? null : { ...outcome.entry, value: outcome.entry.value.text },
					},
		),
	});

function parseAnswer(text: string): BatchAnswer {
	const answer = JSON.parse(text) as BatchAnswer;
	return {
		...answer,
		outcomes: answer.outcomes.map((outcome): CommitOutcome => {
			if (outcome.ok) return { ...outcome, numbers: outcome.numbers.map(Number) };
			if (outcome.entry === null) return outcome;
			const { value, ...rest } = outcome.entry as Omit<Entry, "value" | "metadata"> & {
				readonly value: unknown;
				readonly metadata?: Json;
			};
			return {
				...outcome,
				entry: { ...rest, value: storedValue(value as string), metadata: rest.metadata },
			};
		}),
	};
}

/** What a scope remembers of a writer. */
export const parseWriter = (row: Row): WriterMemory => ({
	sequence: toNumber(row.sequence),
	id: toText(row.first_id),
	until: toNumber(row.until),
	answer: parseAnswer(toText(row.answer)),
});
