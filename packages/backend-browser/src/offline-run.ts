/** Runs of an offline queue: what waits in one scope, and is sent together, each write on its own. */
import type { Add, Commit, Cursor, Delete, Entry, Put } from "@holdfast/core";
import { countSent, queueLife } from "@holdfast/core/wire";
import { keysOf, revisionAfter, type WaitingWrite } from "./offline-write.js";

/** How many mutations a run may hold, with those that the server and the queue add to each write: as many as a store takes in one go. */
const mostMutations = 1000;

/** How many characters a run may hold; one write alone may be larger. */
const mostCharacters = 2 ** 18;

/** A revision that nothing has. */
const never = Number.MAX_SAFE_INTEGER;

/** Whether what a write leaves under a key is known before it is sent: a sum is the server's to say, and what was merged is not what others were made of. */
function isForeseen(write: WaitingWrite, key: string | undefined): boolean {
	const isSet = write.made.do.some((one) => (one.op === "put" || one.op === "delete") && one.key === key);
	return write.merged === undefined && isSet;
}

/** The writes at the beginning of a scope's line that can be sent together: `most` of them, none of which was refused or is out of date at `now`. */
export function runOf(line: Iterable<WaitingWrite>, most: number, now: number): readonly WaitingWrite[] {
	const run = new Map<string, WaitingWrite>();
	let mutations = 0;
	let characters = 0;
	for (const write of line) {
		const { id, after = "", made, commit, refused } = write;
		const premise = run.get(after);
		mutations += made.do.length + 2;
		characters += JSON.stringify(commit).length;
		const isLong = run.size === most || mutations > mostMutations || characters > mostCharacters;
		const isForLater = premise !== undefined && !isForeseen(premise, keysOf(write)[0]);
		if ((run.size > 0 && isLong) || isForLater || refused !== undefined || isOutOfDate(write, now)) break;
		run.set(id, write);
	}
	return [...run.values()];
}

/** Whether the server may have forgotten by now whether it was sent a write. */
const isOutOfDate = ({ at }: WaitingWrite, now: number): boolean => at + queueLife < now;

/**
 * A run as commits that are applied from the first one on, or not at all: each counts from exactly where the one before it did, which nobody else
 * comes to. So nothing happens between two of them, and an update that was made of another one of them needs no condition.
 *
 * `sequences`: what each counts to, the first one from `from` on.
 */
export function commitsOf(
	run: readonly WaitingWrite[],
	from: number,
	sequences: readonly number[],
	mine: string,
	queue: string,
): Commit[] {
	const ids = new Set(run.map(({ id }) => id));
	return run.map(({ made, after }, i) => {
		const [first] = made.do as readonly [Put | Delete];
		// What it was made of is stored, as of a revision that nobody noted: whether that stands can't be said.
		const isUnfounded = after !== undefined && !ids.has(after);
		const to = sequences[i] as number;
		return {
			...made,
			...(isUnfounded && { if: [{ key: first.key, revision: never }] }),
			do: [...made.do, countSent(mine, queue, to, sequences[i - 1] ?? from)],
		};
	});
}

/** A write that the server has, and what came of it. */
export interface Done {
	readonly write: WaitingWrite;
	/** That of its commit, or a later one where it can't be told any more. */
	readonly revision: Cursor;
	/** The results of its sums, in order; `NaN` where they can't be told any more. */
	readonly numbers: readonly number[];
}

/** What came of writes whose answer was lost, the last of them as of that revision, as far as their keys tell. */
export function foundAgain(
	lost: readonly WaitingWrite[],
	last: Cursor,
	entries: ReadonlyMap<string, Entry | null>,
): Done[] {
	const overwritten = new Set<string>();
	const found = lost.toReversed().map((write, i): Done => {
		const own = write.made.do.flatMap((one) => {
			if (!("key" in one) || one.key === null || overwritten.has(one.key)) return [];
			const entry = entries.get(one.key);
			// Nobody else has written between it and the last one.
			return (one.op === "put" || one.op === "add") && entry && entry.revision <= last ? [entry] : [];
		});
		for (const key of keysOf(write)) overwritten.add(key);
		const sums = write.made.do.filter(({ op }) => op === "add") as Add[];
		return {
			write,
			revision: own[0]?.revision ?? last - i,
			numbers: sums.map(({ key }) => own.find((entry) => entry.key === key)?.value.number ?? Number.NaN),
		};
	});
	return found.reverse();
}

/** The revision that an update of a key is conditioned on, which was made of `base` as a write had left it; one that nothing has where that does not stand. */
export function standsAt({ write, revision, numbers }: Done, key: string, base: string | undefined): Cursor {
	if (write.merged !== undefined) return write.merged;
	const sums = write.made.do.filter(({ op }) => op === "add") as Add[];
	const place = sums.findIndex((sum) => sum.key === key);
	// Others may have added to it.
	return place >= 0 && numbers[place] !== Number(base) ? never : revisionAfter(write, key, revision);
}
