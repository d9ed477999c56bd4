/** Updates that were made of what is not there any more: the application says what becomes of them. */
import {
	type Codec,
	type Delete,
	decodeKey,
	type Entry,
	type Put,
	parseScopeId,
	type StateRules,
	storedValue,
	type Value,
} from "@holdfast/core";
import { nameOfScope, type WaitingWrite } from "./offline-write.js";
import type { OfflineWrites } from "./offline-writes.js";

/** An update that was made of what is not there any more. */
export interface Conflict {
	/** As errors name it: `user/ada`. */
	readonly scope: string;
	readonly key: string;
	/** What the update made of `base`; `undefined`: it deleted the key. */
	readonly mine: unknown;
	/** What is there now; `undefined`: nothing. */
	readonly theirs: unknown;
	/** What the update was made of; `undefined`: there was nothing. */
	readonly base: unknown;
}

/** Settles a {@link Conflict}: answers what is to be written, or `undefined` to give the update up. May be called again for the same one. */
export type Resolve = (conflict: Conflict) => unknown;

/** How conflicts are settled. */
export interface Resolving {
	readonly resolve: Resolve | undefined;
	readonly rules: StateRules;
	readonly codec: Codec;
}

/** Asks the application what becomes of an update whose condition fails; answers whether it said so. */
export async function settle(
	{ resolve, rules, codec }: Resolving,
	writes: OfflineWrites,
	write: WaitingWrite,
	theirs: Entry | null,
): Promise<boolean> {
	if (resolve === undefined) return false;
	const { made, base, id, scope } = write;
	const [mutation] = made.do as readonly [Put | Delete];
	const { key } = mutation;
	try {
		const rule = rules.kind(parseScopeId(scope).kind).at(key);
		const read = (value: Value | undefined): unknown => value && rule.read(value, codec);
		const merged = await resolve({
			scope: nameOfScope(scope),
			key: decodeKey(key),
			mine: read(mutation.op === "put" ? mutation.value : undefined),
			theirs: read(theirs?.value),
			base: read(base === undefined ? base : storedValue(base)),
		});
		if (merged === undefined) await writes.giveUp(id);
		else await writes.merge(write, rule.write(merged, codec).text, theirs);
	} catch (error) {
		await writes.refuse(write, { code: "conflict", message: `it could not be merged: ${error}` });
	}
	return true;
}
