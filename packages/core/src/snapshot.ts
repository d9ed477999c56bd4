/** The state of a span of keys at one revision, from pages that were read at different ones. */
import type { Entry, KeyRange, ListPage, ScopeId } from "./backend.js";
import { compareKeys, type KeySpan } from "./key.js";
import { resumes } from "./resume.js";
import { type Patience, pageBounds, type Store, scopeError } from "./store.js";

/** Entries in key order, as they were at a revision. */
export interface Snapshot {
	readonly entries: readonly Entry[];
	readonly revision: number;
}

const attempts = 5;

/**
 * Lists a span, then merges what the log says happened after the **first** page's head: an entry of a later page may be newer
 * than that, so a record counts for a key only where the page had not seen it yet.
 */
export async function takeSnapshot(
	store: Store,
	scope: ScopeId,
	{ from, to }: KeySpan,
	patience?: Patience,
): Promise<Snapshot> {
	for (let attempt = 0; attempt < attempts; attempt++) {
		const found = new Map<string, Entry>();
		let cursor = -1;
		let until = 0;
		for (let at: string | null = from; at !== null; ) {
			const range: KeyRange = { from: at, to, ...pageBounds };
			const page: ListPage = await store.page(scope, (backend) => backend.list(scope, range), patience);
			for (const entry of page.entries) found.set(entry.key, entry);
			if (cursor < 0) cursor = page.head;
			// Dropped or lost in between, and of another life from there: nothing in the log goes on to that.
			until = page.head < until ? Number.POSITIVE_INFINITY : page.head;
			at = page.next;
		}
		while (cursor < until) {
			const log = await store.log(scope, cursor, "changes", patience);
			// Trimmed, dropped or lost in between: the listing has to begin again.
			if (!resumes(log, cursor, "changes") || log.records.length === 0) break;
			for (const record of log.records) {
				const { revision } = record;
				cursor = revision;
				for (const { key, entry } of record.shown?.() ?? record.changes) {
					if (compareKeys(key, from) < 0 || (to !== null && compareKeys(key, to) >= 0)) continue;
					if ((found.get(key)?.revision ?? 0) >= revision) continue;
					if (entry === null) found.delete(key);
					else found.set(key, entry);
				}
			}
		}
		if (cursor >= until)
			return {
				entries: [...found.values()].sort((a, b) => compareKeys(a.key, b.key)),
				revision: cursor,
			};
	}
	throw scopeError(scope, "busy", "it changes faster than it can be listed: keep more of its log");
}
