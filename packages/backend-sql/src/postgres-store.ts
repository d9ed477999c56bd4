/** Postgres through node-postgres itself: statements are prepared once for each connection, and what goes together leaves together. */
import { createHash } from "node:crypto";
import type { PoolClient, Query, QueryConfig } from "pg";
import { codeOf, type Language } from "./engine.js";
import { binaryArray } from "./postgres-array.js";
import type { Connections } from "./postgres-connections.js";
import { type Answered, type PlainQuery, plainQueryOf } from "./postgres-query.js";
import { type Answers, type Row, type Statement, type Steps, toNumber } from "./statement.js";
import { type Store, TransactionError } from "./store.js";
import { StoreClock } from "./store-clock.js";

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
	readonly clock = new StoreClock();
	readonly #connections: Connections;
	readonly #names = new Map<string, string>();
	readonly #PlainQuery: PlainQuery;
	#prepares: boolean;
	/**
	 * What was committed last: V8 forgets a shape with the last object that has it, and all that it compiled for that. Not what was read, which may be
	 * large.
	 */
	readonly #lasting: unknown[] = [];

	/**
	 * @param DriverQuery - The driver's class of queries.
	 * @param prepares - Whether a connection is the same one all its life, so that it remembers what was prepared.
	 */
	constructor(connections: Connections, DriverQuery: typeof Query, language: Language, prepares: boolean) {
		this.#connections = connections;
		this.#PlainQuery = plainQueryOf(DriverQuery);
		this.language = language;
		this.connections = connections.most;
		this.#prepares = prepares;
	}

	get prepares(): boolean {
		return this.#prepares;
	}

	async read<T>(steps: Steps<T>): Promise<T> {
		const one = (statement: Statement): Promise<readonly Row[]> => {
			const prepared = this.#prepares;
			return this.#ask(statement).then(rowsOf, async (error: unknown) => {
				if (!prepared || !forgotten.test(codeOf(error))) throw error;
				this.#prepares = false;
				return (await this.#ask(statement)).rows;
			});
		};
		let step = steps.next();
		while (step.done !== true) {
			const answers: Answers =
				step.value.length === 1 ? [await one(step.value[0] as Statement)] : await allOf(step.value.map(one));
			// No commit is made at a time before one that was told.
			for (const [row] of answers) if (row?.now !== undefined) this.clock.note(toNumber(row.now));
			step = steps.next(answers);
		}
		return step.value;
	}

	async write<T>(steps: Steps<T>): Promise<T> {
		let committing = false;
		const hints: Promise<unknown>[] = [];
		let client: PoolClient | undefined;
		let broken = false;
		try {
			client = await this.#connections.take();
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
			if (client !== undefined) {
				const lent = client;
				if (hints.length === 0) this.#connections.give(lent, broken);
				else void Promise.all(hints).then(() => this.#connections.give(lent, broken));
			}
		}
	}

	close(): Promise<void> {
		return this.#connections.close();
	}

	/** Asks on any connection. */
	#ask(statement: Statement): Promise<Answered> {
		const client = this.#connections.take();
		return client instanceof Promise
			? client.then((late) => this.#askOn(late, statement))
			: this.#askOn(client, statement);
	}

	/** The same on this one, which is given back. */
	#askOn(client: PoolClient, statement: Statement): Promise<Answered> {
		return this.#query(client, statement).then(
			(answer) => {
				this.#connections.give(client, false);
				return answer;
			},
			(error: unknown) => {
				this.#connections.give(client, this.language.engine.isDisconnect(error));
				throw error;
			},
		);
	}

	/** Asks on this connection. */
	#query(client: PoolClient, statement: Statement): Promise<Answered> {
		const { columns } = statement;
		if (columns === undefined) return client.query(this.#config(statement));
		return new Promise((resolve, reject) => {
			const done = (error: unknown, answer?: Answered): void =>
				answer === undefined ? reject(error) : resolve(answer);
			const query = new this.#PlainQuery(this.#nameOf(statement), statement, columns, done);
			if (statement.commits) this.#lasting.splice(0, 2, query, statement);
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

	/** What a statement is called where it is prepared; `undefined`: it is not. */
	#nameOf({ text, values }: Statement): string | undefined {
		if (!this.#prepares || values.length === 0) return undefined;
		let name = this.#names.get(text);
		if (name === undefined) {
			// By its text, so that no two texts ever have one name, also where processes share connections.
			name = `holdfast_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
			if (this.#names.size > 1000) this.#names.clear();
			this.#names.set(text, name);
		}
		return name;
	}

	#config(statement: Statement): QueryConfig {
		const { text, values, types = [] } = statement;
		const name = this.#nameOf(statement);
		const encoded = values.map((value, i) =>
			Array.isArray(value) ? binaryArray(types[i] ?? "text", value) : value,
		);
		return { ...(name === undefined ? {} : { name }), text, values: encoded };
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
