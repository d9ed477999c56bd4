/** One batch of a scope in which nothing has a deadline, as most are: what a pack of one does, without a pack's detours. */
import {
	type Batch,
	type BatchAnswer,
	type Commit,
	type Entry,
	evaluate,
	judgeWriter,
	type LogRetention,
	type ScopeId,
	type Sender,
	type WriterMemory,
} from "@holdfast/core";
import { knownScope, type Packed, rowAfter } from "./commit.js";
import type { EmbeddedDatabase, EmbeddedStatement } from "./embedded-store.js";
import type { Insertion, Language } from "./engine.js";
import { KnownHeads } from "./known-heads.js";
import { type KnownScope, type KnownScopes, memoryOf } from "./known-scopes.js";
import { headOf, wholeOf } from "./load.js";
import { type Difference, LoadedScope, namedKeys } from "./loaded-scope.js";
import { logRows } from "./log-rows.js";
import { formatMoved, isPlain, lasts, movedColumns, rests } from "./plain-batch.js";
import { cutOf, cutTo, isOver, lastRow, logs, sizeOf, withSize } from "./retention.js";
import { formatAnswer, formatBareEntry, formatEntry, isBareEntry, parseEntry, parseWriter } from "./rows.js";
import { formatScopeRow, parseScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import { type Bound, type Row, type Statement, toNumber } from "./statement.js";
import { deleteEntry, extendEntry, forgetWriters, insertions } from "./write.js";

const moveScope = (columns: readonly string[]): string =>
	`update {scopes} set ${columns.map((column) => `"${column}" = ?`).join(", ")} where "id" = ?`;

/** Whether of what a batch moves it is the head alone, and how many changes there were. */
const movesHead = (before: ScopeRow, after: ScopeRow): boolean =>
	before.eventsHead === after.eventsHead &&
	before.changesCut === after.changesCut &&
	before.changesOldest === after.changesOldest &&
	before.eventsTotal === after.eventsTotal &&
	before.eventsCut === after.eventsCut &&
	before.eventsOldest === after.eventsOldest;

function prepareAll(database: EmbeddedDatabase, language: Language) {
	const prepare = (text: string): EmbeddedStatement => database.prepare(language.say(text).text);
	const insert = (insertion: Insertion): EmbeddedStatement => {
		const [one] = language.insert(insertion, [insertion.columns.map(() => null)]);
		return database.prepare((one as Statement).text);
	};
	return {
		entries: insert(insertions.entries),
		bareEntries: insert(insertions.bareEntries),
		changes: insert(insertions.changes),
		events: insert(insertions.events),
		writers: insert(insertions.writers),
		scopes: insert(insertions.scopes),
		begin: prepare(language.engine.begin[0] as string),
		commit: prepare("commit"),
		rollback: prepare("rollback"),
		whole: prepare(wholeOf),
		head: prepare(headOf),
		move: prepare(moveScope(movedColumns)),
		moveHead: prepare(moveScope(["head", "time", "changes_total"])),
		delete: prepare(deleteEntry),
		extend: prepare(extendEntry),
		scope: prepare(
			`select ${scopeColumns.map((column) => `"${column}"`).join(", ")} from {scopes} where "scope" = ?`,
		),
		writer: prepare(
			'select "sequence", "first_id", "until", "answer" from {writers} where "scope_id" = ? and "writer" = ?',
		),
		forget: prepare(forgetWriters),
		lastRow: { changes: prepare(lastRow("changes")), events: prepare(lastRow("events")) },
		cutTo: { changes: prepare(cutTo("changes")), events: prepare(cutTo("events")) },
	};
}

/** Such batches on one database. */
export class LoneCommits {
	readonly #database: EmbeddedDatabase;
	readonly #language: Language;
	readonly #known: KnownScopes;
	readonly #run: (statement: Statement) => void;
	readonly #heads = new KnownHeads();
	readonly #statements: ReturnType<typeof prepareAll>;
	/**
	 * What the last commit was made of, and a turn such as brings one: V8 forgets a shape with the last object that has it, and all that it compiled
	 * for that.
	 */
	readonly #lasting: unknown[] = [undefined, setImmediate(() => {})];

	/**
	 * The tables must be there.
	 *
	 * @param run - Runs a statement that answers nothing.
	 */
	constructor(
		database: EmbeddedDatabase,
		language: Language,
		known: KnownScopes,
		run: (statement: Statement) => void,
	) {
		this.#database = database;
		this.#language = language;
		this.#known = known;
		this.#run = run;
		this.#statements = prepareAll(database, language);
	}

	/** Commits a batch; `undefined`: it takes more. Throws what the database says, which leaves its transaction open or not. */
	commit(batch: Batch, clockOffset: number): Packed | undefined {
		return batch.commits.length === 0 ? undefined : this.#commit(batch, clockOffset, true);
	}

	/** The same for one commit whose writer is not remembered, and where the scope has no deadline afterwards either. */
	commitNow(
		{ scope, floor, keep }: Sender,
		commit: Omit<Commit, "id">,
		step: number,
		clockOffset: number,
	): Packed | undefined {
		if (!commit.do.every(lasts)) return undefined;
		const commits = [commit as Commit];
		const until = Number.POSITIVE_INFINITY;
		const batch = { scope, floor, keep, step, commits, writer: "", sequence: 0, until };
		return this.#commit(batch, clockOffset, false);
	}

	#commit(batch: Batch, clockOffset: number, remembers: boolean): Packed | undefined {
		// SQLite's clock is this one.
		const clock = Date.now() + clockOffset;
		const known = this.#known.get(batch.scope);
		if (known !== undefined && !isPlain(known.row, batch, clock)) return undefined;
		const { begin, rollback, commit } = this.#statements;
		begin.run([]);
		this.#known.begin(this.#database.version());
		const found = this.#known.get(batch.scope) ?? this.#find(batch.scope);
		if (found === undefined || (found !== known && !isPlain(found.row, batch, clock))) {
			rollback.run([]);
			return undefined;
		}
		const { row } = found;
		const now = Math.max(clock, row.time);
		const memory = remembers ? this.#remembered(found, batch.writer) : undefined;
		const judged = remembers ? judgeWriter(memory, batch, now) : undefined;
		if (judged !== undefined) {
			rollback.run([]);
			return { batch, answer: judged, records: [], ended: false };
		}
		const state = new LoadedScope(row, { named: this.#named(row, batch), tallies: new Map() });
		const floor = Math.max(batch.floor, row.floor);
		const { answer, records, ended } = evaluate(
			state,
			floor > batch.floor ? { ...batch, floor } : batch,
			now,
		);
		if (!remembers && records.length === 0) {
			rollback.run([]);
			return { batch, answer, records, ended };
		}
		const difference = state.difference();
		let after = rowAfter({ row, state, now, answer, records }, remembers ? batch.until : null);
		this.#writeEntries(row.id, difference);
		for (const of of logs) {
			this.#insert(of, logRows(of, after, records));
			if (isOver(sizeOf(after, of), batch.keep[of])) after = this.#cut(after, of, batch.keep[of]);
		}
		if (remembers) this.#writeWriter(row.id, batch, answer, memory === undefined ? now : undefined);
		this.#writeScope(row, after);
		commit.run([]);
		this.#lasting[0] = { batch, state, records };
		this.#heads.keep(batch.scope, row.head, after.head, difference);
		this.#known.keep(remembers ? knownScope(after, batch, answer, memory) : { ...found, row: after });
		return { batch, answer, records, ended };
	}

	#find(scope: ScopeId): KnownScope | undefined {
		const [row] = this.#statements.scope.all([scope]) as readonly Row[];
		return row && { row: parseScopeRow(row) };
	}

	#remembered(known: KnownScope, writer: string): WriterMemory | undefined {
		const memory = memoryOf(known, writer);
		if (memory !== undefined) return memory;
		const [found] = this.#statements.writer.all([known.row.id, writer]) as readonly Row[];
		return found && parseWriter(found);
	}

	/** The entries that a batch names, as far as there are any. */
	#named({ id, scope, head: at }: ScopeRow, batch: Batch): Entry[] {
		const heads = this.#heads.at(scope, at);
		const named: Entry[] = [];
		for (const [key, needsValue] of namedKeys(batch)) {
			let entry = needsValue ? undefined : heads?.get(key);
			if (entry === undefined) {
				const { whole, head } = this.#statements;
				const found = (needsValue ? whole : head).all([id, key])[0] as Row | undefined;
				entry = found === undefined ? null : parseEntry(found, key);
			}
			if (entry !== null) named.push(entry);
		}
		return named;
	}

	#writeEntries(id: number, { deleted, put, extended }: Difference): void {
		const { delete: remove, extend } = this.#statements;
		for (const key of deleted) remove.run([id, key]);
		if (put.every(isBareEntry))
			this.#insert(
				"bareEntries",
				put.map((entry) => formatBareEntry(id, entry)),
			);
		else
			this.#insert(
				"entries",
				put.map((entry) => [id, ...formatEntry(entry)]),
			);
		for (const { key, expiresAt } of extended) extend.run([expiresAt, id, key]);
	}

	#insert(
		table: Exclude<keyof typeof insertions, "scopes" | "writers">,
		rows: readonly (readonly Bound[])[],
	): void {
		const [row] = rows;
		if (row === undefined) return;
		if (rows.length === 1) this.#statements[table].run(row);
		else for (const statement of this.#language.insert(insertions[table], rows)) this.#run(statement);
	}

	#cut(row: ScopeRow, of: (typeof logs)[number], keep: LogRetention): ScopeRow {
		const { lastRow, cutTo } = this.#statements;
		const before = sizeOf(row, of);
		const left = cutOf(before, keep);
		// SQLite deletes while it looks where that takes no other select, at half the cost.
		const last = lastRow[of].all([row.id, left.cut - before.cut, left.cut])[0] as Row;
		if (last.revision !== null) cutTo[of].run([row.id, toNumber(last.revision)]);
		return withSize(row, of, left);
	}

	/** @param since - A new writer is the occasion to forget those whose time is over: when it wrote. */
	#writeWriter(
		id: number,
		{ writer, sequence, until, commits }: Batch,
		answer: BatchAnswer,
		since: number | undefined,
	): void {
		const { writers, forget } = this.#statements;
		if (since !== undefined) forget.run([id, since]);
		writers.run([id, writer, sequence, commits[0]?.id as string, formatAnswer(answer), until]);
	}

	#writeScope(before: ScopeRow, after: ScopeRow): void {
		const { scopes, move, moveHead } = this.#statements;
		if (!rests(before, after)) scopes.run(formatScopeRow(after));
		else if (movesHead(before, after)) moveHead.run([after.head, after.time, after.changesTotal, before.id]);
		else move.run([...formatMoved(after), before.id]);
	}
}
