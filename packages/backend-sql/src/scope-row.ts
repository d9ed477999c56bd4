/** The row of a scope: what its lock orders. */
import type { Json, Retention } from "@holdfast/core";
import { type Bound, type Row, toNullable, toNumber, toText } from "./statement.js";

/** A scope's row. */
export interface ScopeRow {
	/** The number that stands for the scope in the other tables. */
	readonly id: number;
	readonly scope: string;
	/** 0: the scope is absent, and the row remembers its writers and how far it had counted. */
	readonly head: number;
	readonly eventsHead: number;
	/** A next life goes on above it. */
	readonly floor: number;
	/** The store's clock at the last commit: it does not step back for a scope. */
	readonly time: number;
	/** The scope's own deadline. */
	readonly deadline: number | null;
	/** When it ends: its deadline, or that of the last lock that holds it open; `null` where it does not. */
	readonly endsAt: number | null;
	/** The next deadline, of the scope or an entry, as answers carry it. */
	readonly dueAt: number | null;
	/** The earliest deadline of its entries. */
	readonly nextExpiry: number | null;
	readonly seal: Json | undefined;
	readonly keep: Retention | undefined;
	/** How many records the log of changes has had in this life, and how many of the first of them are not kept any more. */
	readonly changesTotal: number;
	readonly changesCut: number;
	/** When the oldest record was made. */
	readonly changesOldest: number | null;
	readonly eventsTotal: number;
	readonly eventsCut: number;
	readonly eventsOldest: number | null;
	/** From when on there may be something to tidy. */
	readonly tidyAt: number | null;
}

/** The columns of a scope's row, in the order of {@link formatScopeRow}. */
export const scopeColumns = [
	"id",
	"scope",
	"head",
	"events_head",
	"floor",
	"time",
	"deadline",
	"ends_at",
	"due_at",
	"next_expiry",
	"seal",
	"keep_changes",
	"keep_changes_age",
	"keep_events",
	"keep_events_age",
	"changes_total",
	"changes_cut",
	"changes_oldest",
	"events_total",
	"events_cut",
	"events_oldest",
	"tidy_at",
] as const;

// An age without an end, as a number that every database holds.
const forever = Number.MAX_SAFE_INTEGER;

/** What {@link scopeColumns} hold. */
export const formatScopeRow = (row: ScopeRow): Bound[] => [
	row.id,
	row.scope,
	row.head,
	row.eventsHead,
	row.floor,
	row.time,
	row.deadline,
	row.endsAt,
	row.dueAt,
	row.nextExpiry,
	row.seal === undefined ? null : JSON.stringify(row.seal),
	row.keep === undefined ? null : Math.min(row.keep.changes.count, forever),
	row.keep === undefined ? null : Math.min(row.keep.changes.age, forever),
	row.keep === undefined ? null : Math.min(row.keep.events.count, forever),
	row.keep === undefined ? null : Math.min(row.keep.events.age, forever),
	row.changesTotal,
	row.changesCut,
	row.changesOldest,
	row.eventsTotal,
	row.eventsCut,
	row.eventsOldest,
	row.tidyAt,
];

/** A scope's row, read. */
export const parseScopeRow = (row: Row): ScopeRow => ({
	id: toNumber(row.id),
	scope: toText(row.scope),
	head: toNumber(row.head),
	eventsHead: toNumber(row.events_head),
	floor: toNumber(row.floor),
	time: toNumber(row.time),
	deadline: toNullable(row.deadline),
	endsAt: toNullable(row.ends_at),
	dueAt: toNullable(row.due_at),
	nextExpiry: toNullable(row.next_expiry),
	seal: row.seal === null ? undefined : (JSON.parse(toText(row.seal)) as Json),
	keep:
		row.keep_changes === null
			? undefined
			: {
					changes: { count: toNumber(row.keep_changes), age: toNumber(row.keep_changes_age) },
					events: { count: toNumber(row.keep_events), age: toNumber(row.keep_events_age) },
				},
	changesTotal: toNumber(row.changes_total),
	changesCut: toNumber(row.changes_cut),
	changesOldest: toNullable(row.changes_oldest),
	eventsTotal: toNumber(row.events_total),
	eventsCut: toNumber(row.events_cut),
	eventsOldest: toNullable(row.events_oldest),
	tidyAt: toNullable(row.tidy_at),
});

/** The row as a drop or an end leaves it: its writers stay, and so does how far it had counted. */
export const emptied = (row: ScopeRow): ScopeRow => ({
	...row,
	head: 0,
	eventsHead: 0,
	floor: Math.max(row.floor, row.head),
	deadline: null,
	endsAt: null,
	dueAt: null,
	nextExpiry: null,
	seal: undefined,
	changesTotal: 0,
	changesCut: 0,
	changesOldest: null,
	eventsTotal: 0,
	eventsCut: 0,
	eventsOldest: null,
});
