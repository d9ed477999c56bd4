/** Postgres through node-postgres itself: statements are prepared once for each connection, and what goes together leaves together. */
import { createHash } from "node:crypto";
import type { Pool, PoolClient, Query, QueryConfig } from "pg";
import { codeOf, type Language } from "./engine.js";
import { binaryArray } from "./postgres-array.js";
import { type Answered, type PlainQuery, plainQueryOf } from "./postgres-query.js";
import type { Answers, Row, Statement, Steps } from "./statement.js";
import { type Store, TransactionError } from "./store.js";

/** As much of a connection's socket as is needed. */
interface Corking {
	readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void } };
}

// No such prepared statement, or one of that name already: a pooler gave another connection than the one before.
const forgotten = /^(26000|42P05)$/;

const rolledBack = new Error("the database rolled the transaction back");

/** A pool of connections that send statements without waiting for the answers before. */
export class PostgresStore implements Store {
	readonly language: Language;
	readonly connections: number;
	readonly #pool: Pool;
	readonly #names = new Map<string, string>();
	readonly #PlainQuery: PlainQuery;
	#prepares: boolean;

	/**
	 * @param DriverQuery - The driver's class of queries.
	 * @param prepares - Whether a connection is the same one all its life, so that it remembers what was prepared.
	 */
	constructor(pool: Pool, DriverQuery: typeof Query, language: Language, prepares: boolean) {
		this.#pool = pool;
		this.#PlainQuery = plainQueryOf(DriverQuery);
		this.language = language;
		this.connections = pool.options.max;
		this.#prepares = prepares;
	}

	get prepares(): boolean {
		return this.#prepares;
	}

	async read<T>(steps: Steps<T>): Promise<T> {
		const one = async (statement: Statement): Promise<readonly Row[]> => {
			const config = this.#config(statement);
			try {
				return (await this.#ask(statement, config)).rows;
			} catch (error) {
				if (config.name === undefined || !forgotten.test(codeOf(error))) throw error;
				this.#prepares = false;
				return (await this.#ask(statement)).rows;
			}
		};
		let step = steps.next();
		while (step.done !== true)
			step = steps.next(
				step.value.length === 1 ? [await one(step.value[0] as Statement)] : await allOf(step.value.map(one)),
			);
		return step.value;
	}

	async write<T>(steps: Steps<T>): Promise<T> {
		let committing = false;
		const hints: Promise<unknown>[] = [];
		let client: PoolClient | undefined;
		let broken = false;
		try {
			client = await this.#pool.connect();
			let step = steps.next();
			while (step.done !== true) {
				committing = step.value.some(({ commits }) => commits);
				step = steps.next(await this.#send(client, step.value, hints));
				committing = false;
			}
			return step.value;
		} catch (error) {
			const { engine } = this.language;
			if (forgotten.test(codeOf(error))) this.#prepares = false;
			broken = engine.isDisconnect(error);
			if (client !== undefined && !broken)
				await client.query("rollback").catch(() => {
					broken = true;
				});
			// A statement that the database refuses is refused; a connection that breaks at the commit leaves it open.
			throw new TransactionError(error, !committing || error === rolledBack || engine.isAnswer(error));
		} finally {
			// The answer does not wait for hints; the next user of the connection does.
			const release = (): void => client?.release(broken);
			if (hints.length === 0) release();
			else void Promise.all(hints).then(release);
		}
	}

	close(): Promise<void> {
		return this.#pool.end();
	}

	/** Asks on any connection. */
	#ask(statement: Statement, config = this.#config(statement)): Promise<Answered> {
		if (statement.columns === undefined) return this.#pool.query(config);
		const { columns } = statement;
		return new Promise((resolve, reject) => {
			this.#pool.connect((refused, client, release) => {
				if (client === undefined) return reject(refused);
				const query = new this.#PlainQuery(config, columns, (error, answer) => {
					release(this.language.engine.isDisconnect(error));
					if (answer === undefined) reject(error);
					else resolve(answer);
				});
				client.query(query);
			});
		});
	}

	/** Asks on this connection. */
	#query(client: PoolClient, statement: Statement): Promise<Answered> {
		const { columns } = statement;
		if (columns === undefined) return client.query(this.#config(statement));
		return new Promise((resolve, reject) => {
			const query = new this.#PlainQuery(this.#config(statement), columns, (error, answer) => {
				if (answer === undefined) reject(error);
				else resolve(answer);
			});
			client.query(query);
		});
	}

	#send(client: PoolClient, statements: readonly Statement[], hints: Promise<unknown>[]): Promise<Answers> {
		const stream = (client as Corking).connection?.stream;
		const sent: Promise<readonly Row[]>[] = [];
		// One packet.
		stream?.cork?.();
		for (const statement of statements) {
			const answer = this.#query(client, statement);
			// Who watches looks at heads now and then, too.
			if (statement.hints) hints.push(answer.catch(() => {}));
			else sent.push(answer.then(statement.commits ? committed : rowsOf));
		}
		stream?.uncork?.();
		return allOf(sent);
	}

	#config({ text, values, types = [] }: Statement): QueryConfig {
		const encoded = values.map((value, i) =>
			Array.isArray(value) ? binaryArray(types[i] ?? "text", value) : value,
		);
		const config = { text, values: encoded as unknown[] };
		if (!this.#prepares || values.length === 0) return config;
		let name = this.#names.get(text);
		if (name === undefined) {
			// By its text, so that no two texts ever have one name, also where processes share connections.
			name = `holdfast_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
			if (this.#names.size > 1000) this.#names.clear();
			this.#names.set(text, name);
		}
		return { name, ...config };
	}
}

const rowsOf = ({ rows }: Answered): readonly Row[] => rows;

/** Postgres answers the commit of a transaction that failed before with a rollback. */
function committed({ rows, command }: Answered): readonly Row[] {
	if (command === "ROLLBACK") throw rolledBack;
	return rows;
}

/** All answers, or the first failure, once all have come: nothing is under way any more. */
async function allOf(sent: readonly Promise<readonly Row[]>[]): Promise<Answers> {
	const settled = await Promise.allSettled(sent);
	return settled.map((answer) => {
		if (answer.status === "rejected") throw answer.reason;
		return answer.value;
	});
}
