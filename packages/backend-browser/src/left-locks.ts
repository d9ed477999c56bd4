/** Locks of a page that ended: released by another tab, so that nobody has to wait until their time is over. */
import type { Retention } from "@holdfast/core";
import { commitBatches, type Judged, type Parts } from "./commit.js";
import type { Steps, Writes } from "./row-store.js";
import type { ScopeRow } from "./scope-row.js";
import type { LeftLock } from "./tab-channel.js";

const nothing = { count: 0, age: 0 };
const keepNothing: Retention = { changes: nothing, events: nothing };

/** Deletes a lock if it still is the one that was left. */
export function* releaseLeft(
	parts: Parts,
	{ scope, key, revision }: LeftLock,
	writes: Writes,
): Steps<readonly Judged[]> {
	const [row] = (yield [{ key: ["m", scope] }]) as [ScopeRow | undefined];
	if (row === undefined) return [];
	const batch = {
		scope,
		writer: `left-${revision}`,
		sequence: 1,
		until: Number.POSITIVE_INFINITY,
		floor: 0,
		step: 1,
		commits: [{ id: `left-${revision}`, if: [{ key, revision }], do: [{ op: "delete" as const, key }] }],
		keep: row.keep ?? keepNothing,
	};
	// Nobody asks for this answer again.
	return yield* commitBatches({ ...parts, remembers: false }, [batch], writes);
}
