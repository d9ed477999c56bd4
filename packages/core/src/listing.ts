/** Listing a scope: entries under a pattern, page by page. */
import type { Entry, KeyRange, ListPage, ReadAnswer, ScopeId, Soon } from "./backend.js";
import { behindKey, compareKeys } from "./key.js";
import type { Pattern } from "./pattern.js";
import { type Patience, pageBounds, type Store } from "./store.js";

/** What a listing works with. */
export interface ListingParts {
	readonly store: Store;
	readonly scope: ScopeId;
	read(keys: readonly string[], patience: Patience | undefined): Soon<ReadAnswer>;
}

/** Which entries to list. */
export interface Listed extends Pick<Pattern, "exact" | "span" | "matches"> {
	/** Only keys behind this one. */
	readonly after?: string | undefined;
	/** The first so many that match. */
	readonly limit?: number | undefined;
}

/** The entries that match, in key order. Each page is of one instant, the whole is not. */
export async function* listEntries(
	{ store, scope, read }: ListingParts,
	{ exact, span, matches, after, limit = Number.POSITIVE_INFINITY }: Listed,
	patience: Patience | undefined,
): AsyncGenerator<Entry, void> {
	let left = limit;
	if (exact !== undefined) {
		const [entry] = (await read([exact], patience)).entries;
		if (entry && left > 0 && (after === undefined || compareKeys(exact, after) > 0)) yield entry;
		return;
	}
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
