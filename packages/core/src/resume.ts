/** The whole rule of resuming: whether a cursor still holds. */
import type { Cursor, LogPage, LogQuery, LogRecord } from "./backend.js";

/**
 * Whether a record is the one after a cursor. It catches trimming, loss, a drop, an old dump restored, and a promoted replica that lost a
 * suffix. Events skip revisions, so there it is enough that no record with events lies between.
 */
export const follows = (record: LogRecord, cursor: Cursor, of: LogQuery["of"]): boolean =>
	of === "changes" ? record.previous === cursor : record.previousEvents <= cursor;

/** Whether a page that was read after a cursor goes on from it; otherwise it is a reset. */
export function resumes(page: LogPage, cursor: Cursor, of: LogQuery["of"]): boolean {
	const [first] = page.records;
	if (first !== undefined) return follows(first, cursor, of);
	return of === "changes" ? page.head === cursor : page.head <= cursor;
}
