/** Dropping scopes, and housekeeping: logs age though nobody writes, and what is empty goes. */
import type { ScopeId } from "@holdfast/core";
import { type Parts, writeEntries } from "./commit.js";
import { allRows } from "./reading.js";
import { logs, trim } from "./retention.js";
import type { Steps, Writes } from "./row-store.js";
import { emptied, isLong, marked, nextTidy, type ScopeRow } from "./scope-row.js";

/** Removes a scope; its writers stay. Answers whether it was there. */
export function* dropScope({ cache, clock }: Parts, scope: ScopeId, writes: Writes): Steps<boolean> {
	const [row] = (yield [{ key: ["m", scope] }]) as [ScopeRow | undefined];
	cache.forget(scope);
	if (row === undefined) return false;
	clock.witness(row);
	const time = clock.now();
	for (const table of ["e", "l", "v"] as const) writes.deleteAll({ table, scope });
	const tidyAt = row.tidyAt ?? time + 60_000;
	writes.put(["m", scope], marked({ ...emptied(row), time, offset: clock.offset, tidyAt }));
	return row.head > 0;
}

/** Scopes that may have something to tidy. */
export function* untidy({ clock }: Parts, limit: number): Steps<readonly ScopeId[]> {
	const now = clock.now();
	return (yield* allRows())
		.filter(({ tidyAt }) => tidyAt !== null && tidyAt <= now)
		.slice(0, limit)
		.map(({ scope }) => scope);
}

/** Trims a scope's logs, forgets writers whose time is over, and the scope itself once nothing is left of it. */
export function* tidyScope({ cache, clock, mostBehind }: Parts, scope: ScopeId, writes: Writes): Steps<void> {
	const [found, entries] = (yield [{ key: ["m", scope] }, { range: { table: "e", scope, limit: 1 } }]) as [
		ScopeRow | undefined,
		unknown[],
	];
	if (found === undefined) return;
	clock.witness(found);
	const now = clock.now();
	let row = found;
	const long = logs.filter(({ of }) => row.keep !== undefined && isLong(row[of], row.keep[of], now));
	// What the log no longer tells needs its row. It is read before anything is put.
	const isBehind = long.length > 0 && row.written.revision < row.head;
	const state = isBehind ? yield* cache.current(row) : undefined;
	// Taking what must be written moves no head: were this cut off, nobody would see that the scope in memory had forgotten it.
	if (isBehind) cache.forget(scope);
	for (const log of long) row = yield* trim(log, row, now, writes);
	if (state !== undefined) row = writeEntries(row, state, { added: 0, mostBehind, touched: [] }, writes);
	const writers = Object.entries(row.writers);
	for (const [writer, { until, answer }] of writers)
		if (until < now && answer === null) writes.delete(["w", scope, writer]);
	const alive = writers.filter(([, { until }]) => until >= now);
	row = { ...row, writers: Object.fromEntries(alive) };
	const until = Math.max(0, ...alive.map(([, note]) => note.until));
	const isEmpty =
		(state?.size ?? entries.length) === 0 &&
		row.seal === undefined &&
		row.changes.oldest === null &&
		row.events.oldest === null;
	// A next life counts on above the clock, so what this one had counted may go only once the clock is past it.
	const counted = Math.max(row.head, row.floor) / 1000;
	if (isEmpty && until === 0 && counted < now && (row.endsAt === null || row.endsAt <= now)) {
		cache.forget(scope);
		writes.delete(["m", scope]);
		return;
	}
	const waiting = isEmpty ? Math.max(until, counted, now) + 1000 : until > 0 ? until + 1 : null;
	const tidyAt = Math.min(nextTidy(row) ?? Number.POSITIVE_INFINITY, waiting ?? Number.POSITIVE_INFINITY);
	// Not at once again: what is a little over its age is not trimmed yet.
	const later = Number.isFinite(tidyAt) ? Math.max(tidyAt, now + 60_000) : null;
	cache.get(scope)?.doubt();
	writes.put(["m", scope], marked({ ...row, time: now, offset: clock.offset, tidyAt: later }));
}
