/** One batch of a scope in which nothing has a deadline, as most are: what a pack of one does, without a pack's detours. */
import {
	type Batch,
	type Entry,
	evaluate,
	judgeWriter,
	type ScopeId,
	type WriterMemory,
} from "@holdfast/core";
import { knownScope, type Packed, rowAfter, sizeOf, withSize } from "./commit.js";
import type { EmbeddedDatabase, EmbeddedStatement } from "./embedded-store.js";
import type { Language } from "./engine.js";
import { KnownHeads } from "./known-heads.js";
import type { KnownScope, KnownScopes } from "./known-scopes.js";
import { headOf, wholeOf } from "./load.js";
import { type Difference, LoadedScope, namedKeys } from "./loaded-scope.js";
import { formatMoved, isPlain, logs, movedColumns, rests } from "./plain-batch.js";
import { cut, cutText, isOver } from "./retention.js";
import { formatAnswer, formatEntry, formatRecord, parseEntry, parseWriter } from "./rows.js";
import { formatScopeRow, parseScopeRow, type ScopeRow, scopeColumns } from "./scope-row.js";
import type { Row } from "./statement.js";
import { deleteEntry, extendEntry, forgetWriters, textsOfRows } from "./write.js";

const moveScope = `update {scopes} set ${movedColumns.map((column) => `"${column}" = ?`).join(", ")} where "id" = ?`;

function prepareAll(database: EmbeddedDatabase, language: Language) {
	const prepare = (text: string): EmbeddedStatement => database.prepare(language.say(text).text);
	const { entries, changes, events, writers, scopes } = textsOfRows(language);
	return {
		entries: database.prepare(entries),
		changes: database.prepare(changes),
		events: database.prepare(events),
		writers: database.prepare(writers),
		scopes: database.prepare(scopes),
		begin: prepare(language.engine.begin[0] as string),
		commit: prepare("commit"),
		rollback: prepare("rollback"),
		version: prepare("pragma data_version"),
		whole: prepare(wholeOf),
		head: prepare(headOf),
		move: prepare(moveScope),
		delete: prepare(deleteEntry),
		extend: prepare(extendEntry),
		scope: prepare(
			`select ${scopeColumns.map((column) => `"${column}"`).join(", ")} from {scopes} where "scope" = ?`,
		),
		writer: prepare(
			'select "sequence", "first_id", "until", "answer" from {writers} where "scope_id" = ? and "writer" = ?',
		),
		forget: prepare(forgetWriters),
		"cut changes": prepare(cutText("changes")),
		"cut events": prepare(cutText("events")),
	};
}

/** Such batches on one database. */
export class LoneCommits {
	readonly #known: KnownScopes;
	readonly #heads = new KnownHeads();
	readonly #statements: ReturnType<typeof prepareAll>;

	/** The tables must be there. */
	constructor(database: EmbeddedDatabase, language: Language, known: KnownScopes) {
		this.#known = known;
		this.#statements = prepareAll(database, language);
	}

	/** Commits a batch; `undefined`: it takes more. Throws what the database says, which leaves its transaction open or not. */
	commit(batch: Batch, clockOffset: number): Packed | undefined {
		// SQLite's clock is this one.
		const clock = Date.now() + clockOffset;
		const known = this.#known.get(batch.scope);
		if (batch.commits.length === 0 || (known !== undefined && !isPlain(known.row, batch, clock)))
			return undefined;
		const { begin, version, rollback, commit, forget } = this.#statements;
		begin.run([]);
		this.#known.begin(Number((version.all([])[0] as Row).data_version));
		const found = this.#known.get(batch.scope) ?? this.#find(batch.scope);
		if (found === undefined || !isPlain(found.row, batch, clock)) {
			rollback.run([]);
			return undefined;
		}
		const { row, last } = found;
		const now = Math.max(clock, row.time);
		const memory = last?.writer === batch.writer ? last.memory : this.#remembered(row.id, batch.writer);
		const judged = judgeWriter(memory, batch, now);
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
		const difference = state.difference();
		let after = rowAfter({ row, batch, state, now, memory, answer, records, ended });
		this.#writeEntries(row.id, difference);
		this.#log(row.id, batch, records);
		for (const of of logs) {
			const size = sizeOf(after, of);
			if (!isOver(size, batch.keep[of])) continue;
			const { values, size: left } = cut(size, batch.keep[of], row.id);
			this.#statements[`cut ${of}`].run(values);
			after = withSize(after, of, left);
		}
		// A new writer is the occasion to forget those whose time is over.
		if (memory === undefined) forget.run([row.id, now]);
		this.#writeScope(row, after, batch, formatAnswer(answer));
		commit.run([]);
		this.#heads.keep(batch.scope, row.head, after.head, difference);
		this.#known.keep(knownScope(after, batch, answer, memory));
		return { batch, answer, records, ended };
	}

	#find(scope: ScopeId): KnownScope | undefined {
		const [row] = this.#statements.scope.all([scope]) as readonly Row[];
		return row && { row: parseScopeRow(row) };
	}

	#remembered(id: number, writer: string): WriterMemory | undefined {
		const [row] = this.#statements.writer.all([id, writer]) as readonly Row[];
		return row && parseWriter(row);
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
		const { entries, delete: remove, extend } = this.#statements;
		for (const key of deleted) remove.run([id, key]);
		for (const entry of put) entries.run([id, ...formatEntry(entry)]);
		for (const { key, expiresAt } of extended) extend.run([expiresAt, id, key]);
	}

	#log(id: number, { keep }: Batch, records: Packed["records"]): void {
		const { changes, events } = this.#statements;
		for (const record of records) {
			const logged = [id, ...formatRecord(record)];
			if (keep.changes.count > 0) changes.run(logged);
			if (record.events.length > 0 && keep.events.count > 0) events.run(logged);
		}
	}

	#writeScope(
		before: ScopeRow,
		after: ScopeRow,
		{ writer, sequence, until, commits }: Batch,
		answer: string,
	): void {
		const { writers, scopes, move } = this.#statements;
		const { id } = before;
		writers.run([id, writer, sequence, commits[0]?.id, answer, until]);
		if (!rests(before, after)) scopes.run(formatScopeRow(after));
		else move.run([...formatMoved(after), id]);
	}
}
