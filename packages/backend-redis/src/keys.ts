/**
 * Where a scope lives in Redis, and how it stands there. Most scopes are small, so a small one is a single hash that Redis keeps compact: at most 128
 * fields, none of more than 64 bytes.
 *
 * - A key's field is its entry: `<revision> <text>`; where there is more to it, `<revision>|<created><deadline> <bytes of metadata> <metadata><text>`;
 *   of the scope's first commit `<place><text>`, the place a character from `A` on, so no digit. Where that commit's revision is known, `+<n> <text>`
 *   was written and created so many after it, `-<n> <text>` was created by it and written so many after it, `-<n>,<m> <text>` was created `m` after it; in hex.
 * - `"s` is the state: head, head of the events, next deadline, records since the log was cut, then `i` where the keys' order is kept; where the scope
 *   is to end or is sealed, its own deadline and whether it is sealed. `y` in the fourth place, with the time unless the head tells it, or a head alone:
 *   there was one commit, and its record is told by its entries. From the second on `"b` is the revision of the first, and the records are in the log.
 * - `"k` is the retention, unless it is the usual one; `"seal` a seal's note.
 * - `"w`, `"i` and `"a` are the last writer with sequence and time, its batch's first commit, and the answer, see `commit-script.ts`; `"r` whose the first
 *   commit was, where another batch is remembered that wrote nothing.
 *
 * The log of changes has an end, so that a scope at rest is this hash alone, see `log-script.ts`. A record that names the scope's first commit after
 * its events says `1` for it wherever a change's creation is that.
 *
 * Forms are told apart by how they begin, so a newer one needs no other key: what the first versions wrote (each entry with its revision, each scope
 * with its order and its log) is read as it is and goes on in the new forms. A process of a version from before version 0.1 can read no scope that this one wrote:
 * all are brought up to date before one writes. From now on a form that a version does not know begins its state with a letter: who finds one
 * there refuses the call (`NEWER`), and has written nothing.
 */
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
	/** The entries' keys, ordered: a sorted set of equal scores, made when there are many. */
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
