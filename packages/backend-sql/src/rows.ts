/** Entries and answers as rows and JSON, and back. */
import {
	type BatchAnswer,
	type CommitOutcome,
	type Entry,
	type Json,
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
