/** Entries, records and answers as rows and text, and back. */
import {
	type BatchAnswer,
	type Change,
	type CommitOutcome,
	type Entry,
	type EventFact,
	type Json,
	type LogRecord,
	storedValue,
	type WriterMemory,
} from "@holdfast/core";

/** One row of the table `e`: key, encoded value, revision, created revision, deadline, metadata. */
export type EntryRow = readonly [
	key: string,
	text: string,
	revision: number,
	created: number,
	expiresAt: number | null,
	metadata?: Json,
];

/** One row of the tables `l` and `v`: the records of a transaction. */
export interface LogRow {
	/** The place of the first of them in the log. */
	readonly at: number;
	readonly count: number;
	/** The revision of the last of them. */
	readonly last: number;
	/** When they were written, in ms. */
	readonly time: number;
	readonly text: string;
}

/** What a scope's row says of a writer. */
export interface WriterNote extends Omit<WriterMemory, "answer"> {
	/** The answer as text; `null`: it is long, and has a row of its own in the table `w`. */
	readonly answer: string | null;
}

/** One row of the table `w`. */
export interface AnswerRow {
	readonly text: string;
}

/** An entry as a row. */
export function formatEntry({ key, value, revision, createdRevision, expiresAt, metadata }: Entry): EntryRow {
	const { text } = value;
	return metadata === undefined
		? [key, text, revision, createdRevision, expiresAt]
		: [key, text, revision, createdRevision, expiresAt, metadata];
}

/** An entry of its row. */
export const parseEntry = ([key, text, revision, createdRevision, expiresAt, metadata]: EntryRow): Entry => ({
	key,
	value: storedValue(text),
	revision,
	createdRevision,
	expiresAt,
	metadata,
});

interface PlainRecord extends Omit<LogRecord, "changes" | "events"> {
	readonly changes: readonly (readonly [Change["type"], string, string?, number?, (number | null)?])[];
	readonly events: readonly (readonly [string, string])[];
}

/** Records as text. Values stay the text that they are: parsed and written again, JSON would not come back as it was. */
export const formatRecords = (records: readonly LogRecord[]): string =>
	JSON.stringify(
		records.map(
			({ changes, events, ...record }): PlainRecord => ({
				...record,
				changes: changes.map(({ type, key, entry }) =>
					entry === null
						? [type, key]
						: [type, key, entry.value.text, entry.createdRevision, entry.expiresAt],
				),
				events: events.map(({ type, payload }) => [type, payload.text]),
			}),
		),
	);

/** What {@link formatRecords} wrote. */
export const parseRecords = (text: string): LogRecord[] =>
	(JSON.parse(text) as PlainRecord[]).map(({ changes, events, origin, metadata, ...record }) => ({
		...record,
		origin,
		metadata,
		changes: changes.map(
			([type, key, value, createdRevision = 0, expiresAt = null]): Change => ({
				type,
				key,
				entry:
					value === undefined
						? null
						: {
								key,
								value: storedValue(value),
								revision: record.revision,
								createdRevision,
								expiresAt,
								metadata,
							},
			}),
		),
		events: events.map(([type, payload]): EventFact => ({ type, payload: storedValue(payload) })),
	}));

// JSON has no -0.
const formatNumber = (number: number): number | string => (Object.is(number, -0) ? "-0" : number);

/** An answer as a writer is remembered by. */
export const formatAnswer = (answer: BatchAnswer): string =>
	JSON.stringify({
		...answer,
		outcomes: answer.outcomes.map((outcome) =>
			outcome.ok
				? { ...outcome, numbers: outcome.numbers.map(formatNumber) }
				: { ...outcome, entry: outcome.entry === null ? null : formatEntry(outcome.entry) },
		),
	});

/** What {@link formatAnswer} wrote. */
export function parseAnswer(text: string): BatchAnswer {
	const answer = JSON.parse(text) as BatchAnswer;
	const outcomes = answer.outcomes.map((outcome): CommitOutcome => {
		if (outcome.ok) return { ...outcome, numbers: outcome.numbers.map(Number) };
		const entry = outcome.entry as unknown as EntryRow | null;
		return { ...outcome, entry: entry === null ? null : parseEntry(entry) };
	});
	return { ...answer, outcomes };
}
