/** The state of a span of keys at one revision, from pages that were read at different ones. */
import type { Entry, KeyRange, ListPage, ScopeId } from "./backend.js";
import { compareKeys, type KeySpan } from "./key.js";
import { resumes } from "./resume.js";
import { type Patience, type Store, scopeError } from "./store.js";

/** How much one page may hold, of a listing or a log. */
export const page = { limit: 500, bytes: 2 ** 20 } as const;

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
	span: KeySpan,
	patience?: Patience,
): Promise<Snapshot> {
	for (let attempt = 1; ; attempt++) {
		const entries: Entry[] = [];
		let revision: number | undefined;
		let last = 0;
		let from: string | null = span.from;
		while (from !== null) {
			const range: KeyRange = { from, to: span.to, ...page };
			const {
				entries: more,
				next,
				head,
				now,
			}: ListPage = await store.ask(scope, (backend) => backend.list(scope, range), patience);
			store.learn(now);
			entries.push(...more);
			revision ??= head;
			last = head;
			from = next;
		}
		if (revision === undefined || revision === last) return { entries, revision: last };
		const merged = await catchUp(store, scope, span, { entries, revision }, last, patience);
		if (merged !== undefined) return merged;
		if (attempt === attempts)
			throw scopeError(
				scope,
				"busy",
				"the scope changes faster than it can be listed, and its log does not reach back: keep more of it",
			);
	}
}

async function catchUp(
	store: Store,
	scope: ScopeId,
	{ from, to }: KeySpan,
	snapshot: Snapshot,
	until: number,
	patience: Patience | undefined,
): Promise<Snapshot | undefined> {
	const found = new Map(snapshot.entries.map((entry) => [entry.key, entry]));
	let { revision } = snapshot;
	while (revision < until) {
		const cursor = revision;
		const log = await store.ask(
			scope,
			(backend) => backend.log(scope, cursor, { of: "changes", ...page }),
			patience,
		);
		// Trimmed, dropped or lost in between: the listing has to begin again.
		if (!resumes(log, cursor, "changes") || log.records.length === 0) return undefined;
		for (const record of log.records) {
			revision = record.revision;
			for (const { key, entry } of record.shown?.() ?? record.changes) {
				if (compareKeys(key, from) < 0 || (to !== null && compareKeys(key, to) >= 0)) continue;
				if ((found.get(key)?.revision ?? 0) >= revision) continue;
				if (entry === null) found.delete(key);
				else found.set(key, entry);
			}
		}
	}
	return { entries: [...found.values()].sort((a, b) => compareKeys(a.key, b.key)), revision };
}
