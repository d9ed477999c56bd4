/** Where a scope lives in Redis. */
import type { ScopeId } from "@holdfast/core";

/** How many buckets there are: fixed, since a scope's bucket follows from its id. */
export const bucketCount = 256;

/** The keys of one bucket: which scopes it has, when they are due, and the highest head that was dropped. */
export interface BucketKeys {
	readonly scopes: string;
	readonly due: string;
	readonly floor: string;
}

/** The keys of one scope, all under their bucket's hash tag. */
export interface ScopeKeys extends BucketKeys {
	/** Entries and the scope's own facts, in one hash. */
	readonly entries: string;
	/** The entries' keys, ordered: a sorted set of equal scores. */
	readonly order: string;
	readonly deadlines: string;
	readonly changes: string;
	readonly events: string;
	readonly writers: string;
	readonly channel: string;
}

/** The keys of a bucket. */
export const bucketKeys = (prefix: string, bucket: number): BucketKeys => {
	const tag = `${prefix}:{${bucket}}`;
	return { scopes: `${tag}:scopes`, due: `${tag}:due`, floor: `${tag}:floor` };
};

// FNV-1a (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv): spreads ids evenly, and never changes.
function bucketOf(scope: ScopeId): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < scope.length; i++) hash = Math.imul(hash ^ scope.charCodeAt(i), 0x01000193);
	return (hash >>> 0) % bucketCount;
}

/** The keys of a scope. What a key is for stands before the id: no id can be taken for another's key. */
export function scopeKeys(prefix: string, scope: ScopeId): ScopeKeys {
	const bucket = bucketOf(scope);
	const key = (what: string): string => `${prefix}:{${bucket}}:${what}:${scope}`;
	return {
		...bucketKeys(prefix, bucket),
		entries: key("e"),
		order: key("o"),
		deadlines: key("x"),
		changes: key("c"),
		events: key("f"),
		writers: key("w"),
		channel: key("p"),
	};
}

/** A scope's keys in the order that the commit script takes them. */
export const commitKeys = (keys: ScopeKeys): string[] => [
	keys.entries,
	keys.order,
	keys.deadlines,
	keys.changes,
	keys.events,
	keys.writers,
	keys.scopes,
	keys.due,
	keys.floor,
];
