/** How the store's logic reaches its database. */
import type { Soon } from "@holdfast/core";
import { CompiledQuery, type Kysely } from "kysely";
import type { Language } from "./engine.js";
import type { Row, Statement, Steps } from "./statement.js";

/** A transaction that failed. */
export class TransactionError extends Error {
	/** Whether it is certain that nothing was applied. */
	readonly certain: boolean;

	constructor(cause: unknown, certain: boolean) {
		super(cause instanceof Error ? cause.message : String(cause), { cause });
		this.certain = certain;
	}
}

/** A database. */
export interface Store {
	readonly language: Language;
	/** How many connections it has at most; absent: nobody knows. */
	readonly connections?: number;
	/** Runs steps that only read. */
	read<T>(steps: Steps<T>): Soon<T>;
	/** Runs steps that begin a transaction first and end it last; fails with a {@link TransactionError}. */
	write<T>(steps: Steps<T>): Soon<T>;
	close(): Promise<void>;
}

/** Any database, through Kysely. */
export class KyselyStore implements Store {
	readonly language: Language;
	readonly #db: Kysely<unknown>;
	readonly #close: () => Promise<void>;

	constructor(db: Kysely<unknown>, language: Language, close: () => Promise<void>) {
		this.#db = db;
		this.language = language;
		this.#close = close;
	}

	async read<T>(steps: Steps<T>): Promise<T> {
		const { engine } = this.language;
		// Where a statement takes one row, several make up an answer: they must be of one instant.
		if (engine.pairsAtOnce === 1)
			return this.#db.connection().execute(async (connection) => {
				await connection.executeQuery(CompiledQuery.raw("begin"));
				try {
					return await this.#drive(connection, steps);
				} finally {
					await connection.executeQuery(CompiledQuery.raw("rollback"));
				}
			});
		return this.#drive(this.#db, steps);
	}

	async #drive<T>(db: Kysely<unknown>, steps: Steps<T>): Promise<T> {
		let step = steps.next();
		while (step.done !== true) step = steps.next(await this.#run(db, step.value, false));
		return step.value;
	}

	async write<T>(steps: Steps<T>): Promise<T> {
		let committing = false;
		try {
			return await this.#db.connection().execute(async (connection) => {
				try {
					let step = steps.next();
					while (step.done !== true) {
						step = steps.next(
							await this.#run(connection, step.value, true, () => {
								committing = true;
							}),
						);
						committing = false;
					}
					return step.value;
				} catch (error) {
					await connection.executeQuery(CompiledQuery.raw("rollback")).catch(() => {});
					throw error;
				}
			});
		} catch (error) {
			// A statement that the database refuses is refused; a connection that breaks at the commit leaves it open.
			throw new TransactionError(error, !committing || this.language.engine.isAnswer(error));
		}
	}

	close(): Promise<void> {
		return this.#close();
	}

	async #run(
		db: Kysely<unknown>,
		statements: readonly Statement[],
		inTransaction: boolean,
		onCommit: () => void = () => {},
	): Promise<(readonly Row[])[]> {
		const one = async ({ text, values, commits }: Statement): Promise<readonly Row[]> => {
			if (commits) onCommit();
			const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]));
			return rows;
		};
		if (!inTransaction) {
			const settled = await Promise.allSettled(statements.map(one));
			for (const answer of settled) if (answer.status === "rejected") throw answer.reason;
			return settled.map((answer) => (answer as PromiseFulfilledResult<readonly Row[]>).value);
		}
		const answers: (readonly Row[])[] = [];
		for (const statement of statements) answers.push(await one(statement));
		return answers;
	}
}
