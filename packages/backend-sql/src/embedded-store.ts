/** SQLite within the process: statements are prepared once and answer at once. */
import type { Batch, Commit, Sender } from "@holdfast/core";
import { commitPack, type Packed } from "./commit.js";
import type { Language } from "./engine.js";
import { KnownScopes } from "./known-scopes.js";
import { LoneCommits } from "./lone-commits.js";
import type { Answers, Bound, Row, Statement, Steps } from "./statement.js";
import { type Store, TransactionError } from "./store.js";

/** A prepared statement, as better-sqlite3 and node:sqlite both have it. */
export interface EmbeddedStatement {
	/** Whether it answers rows. */
	readonly reader: boolean;
	all(parameters: readonly unknown[]): unknown[];
	run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
	iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

/** An open database. */
export interface EmbeddedDatabase {
	prepare(text: string): EmbeddedStatement;
	/** A number that changes when another connection has written to the file. */
	version(): number;
	/** Whether a transaction is open. */
	isInTransaction(): boolean;
	close(): void;
}

/** A database in a file, or in memory. */
export class EmbeddedStore implements Store {
	readonly language: Language;
	readonly #database: EmbeddedDatabase;
	readonly #prepared = new Map<string, EmbeddedStatement>();
	readonly #known = new KnownScopes();
	#lone: LoneCommits | undefined;

	constructor(database: EmbeddedDatabase, language: Language) {
		this.#database = database;
		this.language = language;
	}

	read<T>(steps: Steps<T>): T {
		let step = steps.next();
		while (step.done !== true)
			step = steps.next(step.value.length === 1 ? this.#all(step.value) : this.#together(step.value));
		return step.value;
	}

	/** One snapshot for several statements. */
	#together(statements: readonly Statement[]): Answers {
		if (this.#database.isInTransaction()) return this.#all(statements);
		this.#one("begin", []);
		try {
			return this.#all(statements);
		} finally {
			if (this.#database.isInTransaction()) this.#one("commit", []);
		}
	}

	write<T>(steps: Steps<T>): T {
		this.#known.forget();
		return this.#transact(steps);
	}

	/** Commits what came alone to a scope of which little is needed; `undefined`: it takes more, and nothing was done. */
	commitNow(
		sender: Sender,
		commit: Omit<Commit, "id">,
		step: number,
		clockOffset: number,
	): Packed | undefined {
		return this.#guard(() => this.#loneCommits.commitNow(sender, commit, step, clockOffset));
	}

	get #loneCommits(): LoneCommits {
		this.#lone ??= new LoneCommits(this.#database, this.language, this.#known, ({ text, values }) => {
			this.#one(text, values);
		});
		return this.#lone;
	}

	/** Commits batches of different scopes in one transaction, knowing what the ones before it left. */
	commit(batches: readonly Batch[], clockOffset: number): readonly Packed[] {
		const [batch] = batches;
		if (batch !== undefined && batches.length === 1) {
			const packed = this.#guard(() => this.#loneCommits.commit(batch, clockOffset));
			if (packed !== undefined) return [packed];
		}
		const steps = commitPack(this.language, batches, clockOffset, { known: this.#known });
		// Rows are not locked one by one: none is missing.
		return this.#transact(steps) as readonly Packed[];
	}

	#transact<T>(steps: Steps<T>): T {
		return this.#guard(() => {
			let step = steps.next();
			while (step.done !== true) step = steps.next(this.#all(step.value));
			return step.value;
		});
	}

	/** Runs what begins and ends a transaction. */
	#guard<T>(work: () => T): T {
		try {
			return work();
		} catch (error) {
			this.#known.forget();
			// Some failures have rolled it back already; none leaves it open whether it was applied.
			if (this.#database.isInTransaction()) this.#one("rollback", []);
			throw new TransactionError(error, true);
		}
	}

	/** A number that changes when another connection has written to the file. */
	version(): number {
		return this.#database.version();
	}

	async close(): Promise<void> {
		this.#prepared.clear();
		this.#database.close();
	}

	#all(statements: readonly Statement[]): Answers {
		return statements.map(({ text, values }) => this.#one(text, values));
	}

	#one(text: string, values: readonly Bound[]): readonly Row[] {
		let statement = this.#prepared.get(text);
		if (statement === undefined) {
			statement = this.#database.prepare(text);
			if (this.#prepared.size > 1000) this.#prepared.clear();
			this.#prepared.set(text, statement);
		}
		if (statement.reader) return statement.all(values) as readonly Row[];
		statement.run(values);
		return [];
	}
}
