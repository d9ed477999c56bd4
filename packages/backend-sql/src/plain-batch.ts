/** Batches that need no more of a scope than its row and the entries that they name, as most do. */
import type { Batch, Commit, Mutation, Retention } from "@holdfast/core";
import { isOverdue, logs, sizeOf } from "./retention.js";
import type { ScopeRow } from "./scope-row.js";
import type { Bound } from "./statement.js";

/** What of a scope's row such a batch moves. */
export const movedColumns = [
	"head",
	"events_head",
	"time",
	"changes_total",
	"changes_cut",
	"changes_oldest",
	"events_total",
	"events_cut",
	"events_oldest",
] as const;

/** What {@link movedColumns} hold. */
export const formatMoved = (row: ScopeRow): Bound[] => [
	row.head,
	row.eventsHead,
	row.time,
	row.changesTotal,
	row.changesCut,
	row.changesOldest,
	row.eventsTotal,
	row.eventsCut,
	row.eventsOldest,
];

/** Whether all else of a scope's row stays. */
export const rests = (before: ScopeRow, after: ScopeRow): boolean =>
	before.floor === after.floor &&
	before.deadline === after.deadline &&
	before.endsAt === after.endsAt &&
	before.dueAt === after.dueAt &&
	before.nextExpiry === after.nextExpiry &&
	before.seal === after.seal &&
	before.tidyAt === after.tidyAt;

/** Whether what a mutation writes has no deadline, and the scope goes on as it is. */
export const lasts = (mutation: Mutation): boolean =>
	mutation.op === "delete" ||
	mutation.op === "emit" ||
	(mutation.op === "put" && mutation.ttl === null) ||
	(mutation.op === "add" && mutation.ttl === undefined);

/** Whether no condition of a commit is one on a listing. */
export const isKeyed = ({ if: conditions = [] }: Commit): boolean =>
	conditions.every((condition) => "key" in condition);

const isSame = (one: Retention | undefined, other: Retention): boolean =>
	one?.changes.count === other.changes.count &&
	one.changes.age === other.changes.age &&
	one.events.count === other.events.count &&
	one.events.age === other.events.age;

/** Whether a batch needs no more of a scope than its row and the entries that it names, and no record of it is long past its age. */
export function isPlain(row: ScopeRow, { commits, keep }: Batch, now: number): boolean {
	return (
		row.head > 0 &&
		row.seal === undefined &&
		row.deadline === null &&
		row.nextExpiry === null &&
		isSame(row.keep, keep) &&
		commits.every(isKeyed) &&
		logs.every((of) => !isOverdue(sizeOf(row, of), keep[of], now))
	);
}
