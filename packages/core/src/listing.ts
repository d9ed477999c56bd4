/** Listing a scope: entries under a pattern, page by page. */
import type { Entry, KeyRange, ListPage, ScopeId } from "./backend.js";
import { behindKey, compareKeys } from "./key.js";
import type { Pattern } from "./pattern.js";
import { type Patience, pageBounds, type Store } from "./store.js";

/** Which entries to list. */
export interface Listed extends Pick<Pattern, "span" | "matches"> {
	/** Only keys behind this one. */
	readonly after?: string | undefined;
	/** The first so many that match. */
	readonly limit?: number | undefined;
}

/** The entries that match, in key order. Each page is of one instant, the whole is not. */
export async function* listEntries(
	store: Store,
	scope: ScopeId,
	{ span, matches, after, limit = Number.POSITIVE_INFINITY }: Listed,
	patience: Patience | undefined,
): AsyncGenerator<Entry, void> {
	let left = limit;
	let from: string | null =
		after === undefined || compareKeys(after, span.from) < 0 ? span.from : behindKey(after);
	// The first page may hold all that is wanted; of a pattern that passes over most of what it spans, it seldom does.
	for (let page = Math.min(left, pageBounds.limit); from !== null && left > 0; page = pageBounds.limit) {
		const range: KeyRange = { from, to: span.to, ...pageBounds, limit: page };
		const { entries, next }: ListPage = await store.page(
			scope,
			(backend) => backend.list(scope, range),
			patience,
		);
		for (const entry of entries)
			if (matches(entry.key)) {
				yield entry;
				if (--left === 0) return;
			}
		from = next;
	}
}
