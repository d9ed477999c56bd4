/** How the store's logic reaches its database. */
import type { Soon } from "@holdfast/core";
import { CompiledQuery, type ControlledTransaction, type Kysely } from "kysely";
import type { Language } from "./engine.js";
import type { Row, Statement, Steps } from "./statement.js";
import type { StoreClock } from "./store-clock.js";

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
	/** Whether it prepares statements, once for each connection: a wide one is not planned each time. */
	readonly prepares?: boolean;
	/** What the database's clock says, where the store keeps in mind what was answered. */
	readonly clock?: StoreClock;
	/** Runs steps that only read. */
	read<T>(steps: Steps<T>): Soon<T>;
	/** Runs steps that begin a transaction first and end it last; fails with a {@link TransactionError}. */
	write<T>(steps: Steps<T>): Soon<T>;
	close(): Promise<void>;
}

/** A connection that has a transaction, or is about to. */
interface Session {
	one(statement: Statement): Promise<readonly Row[]>;
	rollback(): Promise<unknown>;
}

const run = async (db: Kysely<unknown>, { text, values }: Statement): Promise<readonly Row[]> =>
	(await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]))).rows;

/** A transaction that the driver itself began: its first statement and its last are the driver's. */
const sessionOf = (transaction: ControlledTransaction<unknown>): Session => ({
	async one(statement) {
		if (statement.begins) return [];
		if (!statement.commits) return run(transaction, statement);
		await transaction.commit().execute();
		return [];
	},
	rollback: async () => transaction.isCommitted || transaction.rollback().execute(),
});

/** Any database, through Kysely. */
export class KyselyStore implements Store {
	readonly language: Language;
	readonly connections?: number;
	readonly #db: Kysely<unknown>;
	readonly #close: () => Promise<void>;

	constructor(db: Kysely<unknown>, language: Language, close: () => Promise<void>) {
		this.#db = db;
		this.language = language;
		this.#close = close;
		if (!db.getExecutor().adapter.supportsMultipleConnections) this.connections = 1;
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
		while (step.done !== true) {
			const settled = await Promise.allSettled(step.value.map((statement) => run(db, statement)));
			step = steps.next(
				settled.map((answer) => {
					if (answer.status === "rejected") throw answer.reason;
					return answer.value;
				}),
			);
		}
		return step.value;
	}

	async write<T>(steps: Steps<T>): Promise<T> {
		let committing = false;
		const work = async (session: Session): Promise<T> => {
			try {
				let step = steps.next();
				while (step.done !== true) {
					const answers: (readonly Row[])[] = [];
					for (const statement of step.value) {
						committing = statement.commits === true;
						answers.push(await session.one(statement));
					}
					committing = false;
					step = steps.next(answers);
				}
				return step.value;
			} catch (error) {
				await session.rollback().catch(() => {});
				throw error;
			}
		};
		try {
			// PGlite's one connection may be shared with other users of it: only a transaction that its driver knows of keeps them out.
			if (this.connections === 1 && this.language.engine.name === "postgres")
				return await work(sessionOf(await this.#db.startTransaction().execute()));
			return await this.#db.connection().execute((db) =>
				work({
					one: (statement) => run(db, statement),
					rollback: () => db.executeQuery(CompiledQuery.raw("rollback")),
				}),
			);
		} catch (error) {
			// A statement that the database refuses is refused; a connection that breaks at the commit leaves it open.
			throw new TransactionError(error, !committing || this.language.engine.isAnswer(error));
		}
	}

	close(): Promise<void> {
		return this.#close();
	}
}
