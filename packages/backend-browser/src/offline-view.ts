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
	type LogPage,
	type LogRecord,
	type Mutation,
	type ReadAnswer,
	type ReadAsk,
	type Retention,
	resumes,
	type ScopeId,
	type Shown,
	type Signal,
} from "@holdfast/core";
import { countOf } from "@holdfast/core/wire";
import type { OfflineCopy } from "./offline-copy.js";
import type { Asked } from "./offline-known.js";
import type { Lines } from "./offline-lines.js";
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
		return this.#over(key, copy.of(scope).get(key, now()), this.#waiting(scope, key));
	}

	/** Keeps an update, whose condition is of what is shown; answers `false` where something else is shown by now. */
	async keepUpdate(scope: ScopeId, commit: Commit, keep: Retention): Promise<boolean> {
		const [{ key, revision }] = commit.if as readonly [KeyCondition];
		for (;;) {
			const seen = this.writes.seen(scope);
			const entry = this.entry(scope, key);
			if (entry !== undefined && (entry?.revision ?? 0) !== revision) return false;
			const after = this.#waiting(scope, key).at(-1)?.id;
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
		const isCounted = counter !== undefined && ask.keys.length > 0 && this.#isQueued(ask.scope);
		return isCounted ? { ...ask, keys: [...ask.keys, counter] } : ask;
	}

	/** Its answer, as it is shown; `asked`: what was known when it was asked for. */
	answered({ scope, keys }: ReadAsk, asked: Asked, answer: ReadAnswer): ReadAnswer {
		const { head } = answer;
		const entries = answer.entries.slice(0, keys.length);
		const known = this.copy.of(scope);
		if (known.judge(asked, head)) {
			this.#count(scope, answer.entries[keys.length]);
			if (keys.length > 0) {
				known.answered(keys, { ...answer, entries });
				this.copy.changed(scope);
			}
		}
		return { ...answer, entries: keys.map((key, i) => this.#shown(scope, key, entries[i] ?? null, head)) };
	}

	/** A page that the server listed, as it is shown; `asked`: what was known when it was asked for. */
	async listed(scope: ScopeId, range: KeyRange, asked: Asked, page: ListPage): Promise<ListPage> {
		const known = this.copy.of(scope);
		if (known.judge(asked, page.head)) {
			known.listed(range, page);
			this.copy.changed(scope);
		}
		const counter = this.#parts.counter();
		if (counter !== undefined && this.#isQueued(scope)) {
			const again = this.copy.ask(scope);
			const answer = await this.#parts.read({ scope, keys: [counter] });
			if (!("failed" in answer) && known.judge(again, answer.head)) this.#count(scope, answer.entries[0]);
		}
		return this.#overPage(range, page, this.#lines.missing(scope, page.head));
	}

	/** A page of the log of changes after a cursor, as mirrors show it, where it goes on from there; `asked`: what was known when it was asked for. */
	logged(scope: ScopeId, after: Cursor, asked: Asked, page: LogPage): LogPage {
		const known = this.copy.of(scope);
		const holds = known.judge(asked, page.head);
		if (resumes(page, after, "changes")) {
			if (holds) this.#take(scope, page.records);
			return { ...page, records: this.#shownRecords(scope, page.records) };
		}
		if (holds) known.lost(after);
		return page;
	}

	/** Records that were pushed, as mirrors show them. */
	records(scope: ScopeId, records: readonly LogRecord[]): LogRecord[] {
		this.#take(scope, records);
		return this.#shownRecords(scope, records);
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
	committed(scope: ScopeId, commit: Commit, asked: Asked, { revision, numbers }: Committed): void {
		// The server was found to have lost it since.
		if (asked.life !== this.copy.of(scope).life) return;
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
			return { key, revision: this.#lines.revisionOf(scope, revision, key) ?? Number.MAX_SAFE_INTEGER };
		});
		return { ...commit, if: conditions };
	}

	get #lines(): Lines {
		return this.writes.lines;
	}

	#isQueued(scope: ScopeId): boolean {
		return this.#lines.of(scope).first !== undefined;
	}

	#take(scope: ScopeId, records: readonly LogRecord[]): void {
		const known = this.copy.of(scope);
		for (const record of records) {
			known.record(record);
			this.#lines.heard(scope, record.id, record.revision);
		}
		if (!known.isEmpty) this.copy.changed(scope);
	}

	#shownRecords(scope: ScopeId, records: readonly LogRecord[]): LogRecord[] {
		return records.map((record) => ({
			...record,
			shown: () =>
				record.changes.map(({ key, entry }): Shown => {
					return { key, entry: this.#shown(scope, key, entry, record.revision) };
				}),
		}));
	}

	/** What a view of that revision shows of a key. */
	#shown(scope: ScopeId, key: string, entry: Entry | null, head: Cursor): Entry | null {
		return this.#over(key, entry, this.#lines.missing(scope, head, key)) ?? null;
	}

	#count(scope: ScopeId, count: Entry | null | undefined): void {
		if (count) this.#lines.counted(scope, [countOf(count.value.number ?? 0), count.revision]);
	}

	#waiting(scope: ScopeId, key?: string): readonly WaitingWrite[] {
		return this.#lines.missing(scope, Number.POSITIVE_INFINITY, key);
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
