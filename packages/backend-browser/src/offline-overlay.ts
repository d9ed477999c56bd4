/** What a key holds with writes over it that the server does not have yet. */
import { type Entry, givenValue, type Mutation } from "@holdfast/core";
import type { WaitingWrite } from "./offline-write.js";

/** What a write is, to what it changes. */
export type Overlaid = Pick<WaitingWrite, "made" | "token" | "at">;

/** The mutation of a key, if a write has one. */
const mutationOf = ({ made }: Overlaid, key: string): Mutation | undefined =>
	made.do.find((mutation) => "key" in mutation && mutation.key === key);

/**
 * The entry of a key after these writes; `null` if there is none, `undefined` if that depends on what is not known. Its revision is the last
 * write's own, below 0. `offset`: the server's clock minus that by which the writes are dated.
 */
export function overlay(
	key: string,
	base: Entry | null | undefined,
	writes: readonly Overlaid[],
	offset: number,
): Entry | null | undefined {
	let entry = base;
	for (const write of writes) {
		const mutation = mutationOf(write, key);
		if (mutation === undefined) continue;
		const { token, made } = write;
		const until = (ttl: number): number => write.at + offset + ttl;
		const next = (value: Entry["value"], expiresAt: number | null): Entry => ({
			key,
			value,
			revision: token,
			createdRevision: entry?.createdRevision ?? token,
			expiresAt,
			metadata: made.metadata,
		});
		if (mutation.op === "put")
			entry = next(mutation.value, mutation.ttl === null ? null : until(mutation.ttl));
		else if (mutation.op === "delete") entry = null;
		else if (entry === undefined) continue;
		else if (mutation.op === "add") {
			const before = entry === null ? 0 : entry.value.number;
			// The server will refuse it.
			if (before === undefined) continue;
			const expiresAt = mutation.ttl === undefined ? (entry?.expiresAt ?? null) : until(mutation.ttl);
			entry = next(givenValue(before + mutation.by), expiresAt);
		} else if (mutation.op === "touch" && entry !== null && entry.expiresAt !== null)
			entry = { ...entry, expiresAt: Math.max(entry.expiresAt, until(mutation.ttl)) };
	}
	return entry;
}
