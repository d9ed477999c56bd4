/** What a user's page shows: what the server told last, with the writes that wait over it. */
import {
	type Commit,
	type Committed,
	type Cursor,
	compareKeys,
	type Entry,
	type Failure,
	givenValue,
	type KeyCondition,
	type KeyRange,
	type ListPage,
	type LogRecord,
	type Mutation,
	type ReadAnswer,
	type ReadAsk,
	type Retention,
	type ScopeId,
	type Shown,
	type Signal,
} from "@holdfast/core";
import { countOf } from "@holdfast/core/wire";
import type { OfflineCopy } from "./offline-copy.js";
import { type Overlaid, overlay } from "./offline-overlay.js";
import { keysOf, type WaitingWrite } from "./offline-write.js";
import type { OfflineWrites } from "./offline-writes.js";

/** What a view is made of. */
export interface ViewParts {
	readonly writes: OfflineWrites;
	readonly copy: OfflineCopy;
	/** The server's clock. */
	now(): number;
	/** The server's clock minus that of the device. */
	offset(): number;
	/** The key under which the server counts the writes of the queue; `undefined` before it was heard. */
	counter(): string | undefined;
	/** The count of a scope, read now. */
	read(ask: ReadAsk): Promise<ReadAnswer | Failure>;
}

type Hear = (signal: Signal) => void;

/** One user's view. */
export class OfflineView {
	readonly writes: OfflineWrites;
	readonly copy: OfflineCopy;
	readonly #parts: ViewParts;

	constructor(parts: ViewParts) {
		this.#parts = parts;
		this.writes = parts.writes;
		this.copy = parts.copy;
	}

	/** The entry of a key with what waits over it; `undefined` where it is not known. */
	entry(scope: ScopeId, key: string): Entry | null | undefined {
		const { copy, now } = this.#parts;
		return this.#over(key, copy.of(scope).get(key, now()), this.#waiting(scope));
	}

	/** Keeps an update, whose condition is of what is shown; answers `false` where something else is shown by now. */
	async keepUpdate(scope: ScopeId, commit: Commit, keep: Retention): Promise<boolean> {
		const [{ key, revision }] = commit.if as readonly [KeyCondition];
		for (;;) {
			const seen = this.writes.seen(scope);
			const entry = this.entry(scope, key);
			if (entry !== undefined && (entry?.revision ?? 0) !== revision) return false;
			const after = this.#waiting(scope).findLast((write) => keysOf(write).includes(key))?.id;
			const { if: _, ...bare } = commit;
			const premise = { ...(entry && { base: entry.value.text }), ...(after !== undefined && { after }) };
			const made = after === undefined ? commit : bare;
			const outcome = await this.writes.addUpdate(scope, made, keep, premise, seen);
			// What another tab has kept is seen by now: perhaps it was another key.
			if (outcome !== "overtaken") return outcome === "kept";
		}
	}

	/** A read without the server; `undefined` where not all of it is known. */
	async lastKnown({ scope, keys }: ReadAsk): Promise<ReadAnswer | undefined> {
		const known = await this.copy.load(scope);
		const entries = keys.map((key) => this.entry(scope, key));
		const head = known.cursor;
		if (keys.length === 0 ? head === undefined : entries.includes(undefined)) return undefined;
		return { head: head ?? 0, now: this.#parts.now(), next: null, entries: entries as (Entry | null)[] };
	}

	/** A page of a listing without the server; `undefined` where not all of it is known. */
	async lastListed(scope: ScopeId, range: KeyRange): Promise<ListPage | undefined> {
		const known = await this.copy.load(scope);
		const now = this.#parts.now();
		const page = known.list(range, now);
		return page && this.#overPage(range, { ...page, head: known.cursor ?? 0, now }, this.#waiting(scope));
	}

	/** A read to be asked, with the count where something waits: it says how much of that is in the answer. */
	ask(ask: ReadAsk): ReadAsk {
		const counter = this.#parts.counter();
		const isCounted = counter !== undefined && ask.keys.length > 0 && this.writes.line(ask.scope).length > 0;
		return isCounted ? { ...ask, keys: [...ask.keys, counter] } : ask;
	}

	/** Its answer, as it is shown. */
	answered({ scope, keys }: ReadAsk, answer: ReadAnswer): ReadAnswer {
		const entries = answer.entries.slice(0, keys.length);
		this.#count(scope, answer.entries[keys.length]);
		if (keys.length > 0) {
			this.copy.of(scope).answered(keys, { ...answer, entries });
			this.copy.changed(scope);
		}
		const missing = this.writes.missing(scope, answer.head);
		return { ...answer, entries: keys.map((key, i) => this.#over(key, entries[i] ?? null, missing) ?? null) };
	}

	/** A page that the server listed, as it is shown. */
	async listed(scope: ScopeId, range: KeyRange, page: ListPage): Promise<ListPage> {
		this.copy.of(scope).listed(range, page);
		this.copy.changed(scope);
		const counter = this.#parts.counter();
		if (counter !== undefined && this.writes.line(scope).length > 0) {
			const answer = await this.#parts.read({ scope, keys: [counter] });
			if (!("failed" in answer)) this.#count(scope, answer.entries[0]);
		}
		return this.#overPage(range, page, this.writes.missing(scope, page.head));
	}

	/** Records of the log, as mirrors show them. */
	records(scope: ScopeId, records: readonly LogRecord[]): LogRecord[] {
		const known = this.copy.of(scope);
		for (const record of records) {
			known.record(record);
			this.writes.heard(scope, record.id, record.revision);
		}
		if (!known.isEmpty) this.copy.changed(scope);
		return records.map((record) => ({
			...record,
			shown: () => {
				const missing = this.writes.missing(scope, record.revision);
				return record.changes.map(({ key, entry }): Shown => {
					return { key, entry: this.#over(key, entry, missing) ?? null };
				});
			},
		}));
	}

	/** Tells mirrors what these keys show now. */
	show(scope: ScopeId, keys: ReadonlySet<string>, listeners: Iterable<Hear>): void {
		const changes = Array.from(keys).flatMap((key): Shown[] => {
			const entry = this.entry(scope, key);
			return entry === undefined ? [] : [{ key, entry }];
		});
		for (const hear of [...listeners]) hear({ type: "shown", changes });
	}

	/** The server has a write: what is known has it, too. */
	stored(scope: ScopeId, write: Overlaid, revision: number): void {
		const { copy, now } = this.#parts;
		const known = copy.of(scope);
		for (const key of keysOf(write)) {
			const base = known.get(key, now());
			const entry = this.#over(key, base, [write]);
			if (entry === undefined) continue;
			const createdRevision = base?.createdRevision ?? revision;
			known.wrote(key, entry && { ...entry, revision, createdRevision }, revision);
		}
		copy.changed(scope);
	}

	/** The revision of a write is not what it was taken for. */
	redated(write: WaitingWrite, guess: Cursor, revision: Cursor): void {
		for (const key of keysOf(write)) this.copy.of(write.scope).redate(key, guess, revision);
		this.copy.changed(write.scope);
	}

	/** The same of a commit that was answered: its sums are told. */
	committed(scope: ScopeId, commit: Commit, { revision, numbers }: Committed): void {
		let sums = 0;
		const done = commit.do.map((one): Mutation => {
			if (one.op !== "add") return one;
			return { op: "put", key: one.key, value: givenValue(numbers[sums++]), ttl: one.ttl ?? null };
		});
		const at = this.#parts.now() - this.#parts.offset();
		this.stored(scope, { made: { ...commit, do: done }, token: revision, at }, revision);
	}

	/** A commit as the server can judge it: what was read of what waited is of a revision by now, or is not there. */
	judgeable(scope: ScopeId, commit: Commit): Commit {
		if (commit.if === undefined) return commit;
		const conditions = commit.if.map((condition) => {
			if (!("key" in condition)) return { ...condition, sum: Math.abs(condition.sum) };
			const { key, revision } = condition;
			if (revision >= 0) return condition;
			return { key, revision: this.writes.revisionOf(scope, revision, key) ?? Number.MAX_SAFE_INTEGER };
		});
		return { ...commit, if: conditions };
	}

	#count(scope: ScopeId, count: Entry | null | undefined): void {
		if (count) this.writes.heardCount(scope, countOf(count.value.number ?? 0), count.revision);
	}

	#waiting(scope: ScopeId): readonly WaitingWrite[] {
		return this.writes.missing(scope, Number.POSITIVE_INFINITY);
	}

	#over(key: string, base: Entry | null | undefined, writes: readonly Overlaid[]) {
		return overlay(key, base, writes, this.#parts.offset());
	}

	#overPage(range: KeyRange, page: ListPage, writes: readonly WaitingWrite[]): ListPage {
		if (writes.length === 0) return page;
		const to = page.next ?? range.to;
		const found = new Map(page.entries.map((entry) => [entry.key, entry]));
		for (const key of new Set(writes.flatMap(keysOf))) {
			if (compareKeys(key, range.from) < 0 || (to !== null && compareKeys(key, to) >= 0)) continue;
			const entry = this.#over(key, found.get(key) ?? null, writes);
			if (entry) found.set(key, entry);
			else found.delete(key);
		}
		return { ...page, entries: [...found.values()].sort((a, b) => compareKeys(a.key, b.key)) };
	}
}
