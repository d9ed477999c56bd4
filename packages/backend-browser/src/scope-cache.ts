/** The scopes that this tab holds in memory, and how they are brought up to date. */
import type { LogRecord, ScopeId } from "@holdfast/core";
import { CachedScope } from "./cached-scope.js";
import { type EntryRow, type LogRow, parseEntry, parseRecords } from "./records.js";
import type { Ask, Steps } from "./row-store.js";
import type { ScopeRow } from "./scope-row.js";

/** Who is behind by more transactions reads the entries again. */
const catchUpLimit = 500;

/** How many rows are read at once. */
const pageSize = 5000;

/** How much is held in memory besides the scope in use: so many scopes, and so many entries. */
const scopesLimit = 1000;
const entriesLimit = 200_000;

/**
 * Scopes in memory. None is believed before its row was read in the same transaction: it must say the same revision and the same
 * count of extended deadlines. A commit that failed after it was judged leaves a scope here that no row agrees with.
 */
export class ScopeCache {
	readonly #scopes = new Map<ScopeId, CachedScope>();

	/** Brings a scope up to its row. */
	*current(row: ScopeRow): Steps<CachedScope> {
		const { scope } = row;
		this.meet(row);
		const known = this.#scopes.get(scope);
		const isCurrent = known !== undefined && row.head > 0 && (yield* catchUp(known, row));
		const state = isCurrent ? known : row.head > 0 ? yield* load(row) : new CachedScope();
		state.follow(row);
		// The last in the map is the last used.
		this.#scopes.delete(scope);
		this.#scopes.set(scope, state);
		if (!isCurrent) this.#evict();
		return state;
	}

	/** Applies what another tab committed, so that the next transaction has less to read. */
	hear(scope: ScopeId, records: readonly LogRecord[]): void {
		const state = this.#scopes.get(scope);
		if (state === undefined) return;
		state.doubt();
		for (const record of records) if (!state.hear(record)) return;
	}

	/** Takes notice of a row: what is held may agree with another. */
	meet({ scope, mark }: ScopeRow): void {
		const state = this.#scopes.get(scope);
		if (state?.row?.mark !== mark) state?.doubt();
	}

	/** A scope that is held. */
	get(scope: ScopeId): CachedScope | undefined {
		return this.#scopes.get(scope);
	}

	/** Whether a scope is held. */
	has(scope: ScopeId): boolean {
		return this.#scopes.has(scope);
	}

	/** Lets go of a scope. What may still work on it keeps it for itself. */
	forget(scope: ScopeId): void {
		this.#scopes.delete(scope);
	}

	/** Lets go of all. */
	clear(): void {
		this.#scopes.clear();
	}

	#evict(): void {
		let entries = 0;
		for (const { size } of this.#scopes.values()) entries += size;
		for (const [scope, { size }] of this.#scopes) {
			if (this.#scopes.size <= 1 || (this.#scopes.size <= scopesLimit && entries <= entriesLimit)) return;
			entries -= size;
			this.#scopes.delete(scope);
		}
	}
}

/** The records after a revision; `undefined`: they are in too many rows. */
function* recordsAfter(
	{ scope, head, tail }: ScopeRow,
	after: number,
	most?: number,
): Steps<readonly LogRecord[] | undefined> {
	const newest = tail === null ? [] : parseRecords(tail.text);
	// Most are behind by a commit or two: these are in the row.
	if ((newest[0]?.previous ?? head) <= after) return newest;
	const all = { table: "l", scope, after } as const;
	const [rows] = (yield [{ range: most === undefined ? all : { ...all, limit: most } }]) as [LogRow[]];
	return rows.length === most ? undefined : [...rows.flatMap(({ text }) => parseRecords(text)), ...newest];
}

function* catchUp(state: CachedScope, row: ScopeRow): Steps<boolean> {
	if (row.head < state.head || row.touches < state.touches) return false;
	if (row.head > state.head) {
		const records = yield* recordsAfter(row, state.head, catchUpLimit);
		if (records === undefined) return false;
		for (const record of records) if (!state.hear(record)) return false;
		if (state.head !== row.head) return false;
	}
	const missed = row.touches - state.touches;
	if (missed > row.touched.length) return false;
	state.extend(row.touched.slice(row.touched.length - missed));
	return true;
}

function* load(row: ScopeRow): Steps<CachedScope> {
	const { scope, written } = row;
	const state = new CachedScope();
	for (let after: string | undefined; ; ) {
		const ask: Ask = { range: { table: "e", scope, after, limit: pageSize } };
		const [rows] = (yield [ask]) as [EntryRow[]];
		for (const one of rows) state.put(parseEntry(one));
		if (rows.length < pageSize) break;
		after = rows.at(-1)?.[0];
	}
	state.place = written.place;
	const records = (yield* recordsAfter(row, written.revision)) ?? [];
	for (const record of records) if (record.revision > written.revision) state.redo(record);
	return state;
}
