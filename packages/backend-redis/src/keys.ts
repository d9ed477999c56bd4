/** Where a scope lives in Redis. */
import { HoldfastError, type ScopeId } from "@holdfast/core";
import { Command } from "ioredis";

/** How many buckets there are: fixed, since a scope's bucket follows from its id. */
export const bucketCount = 256;

/** The keys of one bucket: which scopes it has, and when they are due. */
export interface BucketKeys {
	readonly scopes: string;
	readonly due: string;
}

/** The keys of one scope, all under their bucket's hash tag. The scripts that write know more of them, by the name of the first. */
export interface ScopeKeys extends BucketKeys {
	/** Entries and the scope's own facts, in one hash. */
	readonly entries: string;
	/** The entries' keys, ordered: a sorted set of equal scores. */
	readonly order: string;
	readonly changes: string;
	readonly events: string;
	readonly channel: string;
}

/** The keys of a bucket. */
export const bucketKeys = (prefix: string, bucket: number): BucketKeys => {
	const tag = `${prefix}:{${bucket}}`;
	return { scopes: `${tag}:scopes`, due: `${tag}:due` };
};

// FNV-1a (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv): spreads ids evenly, and never changes.
function bucketOf(scope: ScopeId): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < scope.length; i++) hash = Math.imul(hash ^ scope.charCodeAt(i), 0x01000193);
	return (hash >>> 0) % bucketCount;
}

/** The key of a scope's entries alone: most calls need no other. */
export const entriesKey = (prefix: string, scope: ScopeId): string =>
	`${prefix}:{${bucketOf(scope)}}:e:${scope}`;

/** The keys of a scope. What a key is for stands before the id: no id can be taken for another's key. */
export function scopeKeys(prefix: string, scope: ScopeId): ScopeKeys {
	const bucket = bucketOf(scope);
	const key = (what: string): string => `${prefix}:{${bucket}}:${what}:${scope}`;
	return {
		...bucketKeys(prefix, bucket),
		entries: entriesKey(prefix, scope),
		order: key("o"),
		changes: key("c"),
		events: key("f"),
		channel: key("p"),
	};
}

/** The prefix, if the buckets' hash tags can stand behind it. */
export function checkedPrefix(prefix: string): string {
	if (!/[{}]/.test(prefix)) return prefix;
	const message = `prefix is ${JSON.stringify(prefix)}: give one without braces, they would be its keys' hash tag`;
	throw new HoldfastError("invalid-argument", message);
}

const slots = new Map<string, number>();

/** The hash slot of a key or channel of ours in a cluster. */
export function slotOf(key: string): number {
	const tag = key.slice(key.indexOf("{"), key.indexOf("}") + 1);
	const known = slots.get(tag);
	if (known !== undefined) return known;
	const slot = new Command("get", [tag]).getSlot() as number;
	slots.set(tag, slot);
	return slot;
}

/**
 * A key that never is. A cluster's server runs a script on a slot that is moving as long as all the keys that are declared are still there, and
 * breaks it off, half done, where it then asks for one that is gone. With a key that is missing from the start it refuses (`TRYAGAIN`).
 */
export const missingKey = ({ scopes }: BucketKeys): string => scopes.replace(/scopes$/, "none");
