/** A scope's own row: all that is known of it without its entries. */
import type { Json, LogRetention, Retention, ScopeId } from "@holdfast/core";
import type { LogRow, WriterNote } from "./records.js";

/** How long a log is. Its records are counted on through the scope's life, so that each has a place. */
export interface LogSize {
	/** How many records it ever had. */
	readonly total: number;
	/** The place of the first that is still there, or before. */
	readonly first: number;
	/** When that one was written, in ms; `null`: the log is empty. */
	readonly oldest: number | null;
}

/** A deadline that a Touch extended: no record tells of it, so who holds the scope in memory learns it here. */
export interface Touched {
	readonly key: string;
	/** The entry's revision, which a Touch leaves alone. */
	readonly revision: number;
	readonly expiresAt: number;
}

/** One row of the table `m`. */
export interface ScopeRow {
	readonly scope: ScopeId;
	/** Another one each time it is written. */
	readonly mark: number;
	/** The last revision, 0 where the scope is absent. */
	readonly head: number;
	readonly eventsHead: number;
	readonly deadline: number | null;
	readonly seal: Json | undefined;
	readonly keep: Retention | undefined;
	/** A next life goes on above this revision. */
	readonly floor: number;
	/** The store's time when it was written, and how far that was ahead of the device's, in ms. */
	readonly time: number;
	readonly offset: number;
	/** How many deadlines were ever extended, and the last of them. */
	readonly touches: number;
	readonly touched: readonly Touched[];
	/** The scope's next deadline, as answers carry it. */
	readonly next: number | null;
	/** When the scope is over as a whole. */
	readonly endsAt: number | null;
	readonly changes: LogSize;
	readonly events: LogSize;
	/** The last revision whose record the log of changes no longer has. */
	readonly trimmed: number;
	/** Up to which revision, and place in the log, entries have their rows: of later ones the log says what they are. */
	readonly written: { readonly revision: number; readonly place: number };
	/**
	 * The newest records of the log of changes, as long as they are few: most commits write no row of the log, and most tabs that are a little
	 * behind find here what they missed.
	 */
	readonly tail: LogRow | null;
	/** What the writers of the last while asked, by their names. */
	readonly writers: Readonly<Record<string, WriterNote>>;
	/** When there may be something to tidy. */
	readonly tidyAt: number | null;
}

/** How many extended deadlines a row tells of: who missed more reads the entries again. */
const touchedLimit = 16;

/** A log without records. */
const emptyLog: LogSize = { total: 0, first: 0, oldest: null };

/** The row of a scope that has none. */
export const blankRow = (scope: ScopeId): ScopeRow => ({
	scope,
	mark: 0,
	head: 0,
	eventsHead: 0,
	deadline: null,
	seal: undefined,
	keep: undefined,
	floor: 0,
	time: 0,
	offset: 0,
	touches: 0,
	touched: [],
	next: null,
	endsAt: null,
	changes: emptyLog,
	events: emptyLog,
	trimmed: 0,
	written: { revision: 0, place: 0 },
	tail: null,
	writers: {},
	tidyAt: null,
});

/** The row of a scope that ended or was dropped: tokens only grow, so it keeps what was counted. */
export const emptied = (row: ScopeRow): ScopeRow => ({
	...blankRow(row.scope),
	floor: Math.max(row.floor, row.head),
	time: row.time,
	offset: row.offset,
	writers: row.writers,
	tidyAt: row.tidyAt,
	// Who holds an earlier life in memory must not find its own count.
	touches: row.touches,
});

/** The row as it is written: to be told from any other. */
export const marked = (row: ScopeRow): ScopeRow => ({ ...row, mark: Math.random() });

/** Whether a scope is past its end: reads take it for absent. */
export const isOver = ({ endsAt }: ScopeRow, now: number): boolean => endsAt !== null && now >= endsAt;

/** The row with more deadlines extended. */
export const withTouches = (row: ScopeRow, touched: readonly Touched[]): ScopeRow =>
	touched.length === 0
		? row
		: {
				...row,
				touches: row.touches + touched.length,
				touched: [...row.touched, ...touched].slice(-touchedLimit),
			};

/** A log with more records; those that are over its count already leave no room for others. */
export const grown = (log: LogSize, count: number, time: number): LogSize => ({
	...log,
	total: log.total + count,
	oldest: log.oldest ?? time,
});

// A long log may be a little longer for a while: to trim record by record would cost each commit another request.
const slack = (most: number): number => Math.min(64, Math.floor(most / 16));

/** Whether a log should be trimmed now. What is past retention is not shown either way. */
export const isLong = (
	{ total, first, oldest }: LogSize,
	{ count, age }: LogRetention,
	now: number,
): boolean =>
	total - first > count + slack(count) ||
	(oldest !== null && oldest < now - age - Math.min(60_000, age / 16));

/** When a log's oldest record will be past its age. */
export function nextTidy({ keep, changes, events }: ScopeRow): number | null {
	if (keep === undefined) return null;
	const next = Math.min(
		changes.oldest === null ? Number.POSITIVE_INFINITY : changes.oldest + keep.changes.age,
		events.oldest === null ? Number.POSITIVE_INFINITY : events.oldest + keep.events.age,
	);
	return Number.isFinite(next) ? next : null;
}
