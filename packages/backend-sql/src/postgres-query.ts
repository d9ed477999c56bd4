/** Queries of node-postgres that don't ask what the columns of their answer are called: who wrote the statement knows. */
import type { Query, QueryConfig } from "pg";
import type { Row } from "./statement.js";

/** What a query was answered. */
export interface Answered {
	readonly rows: readonly Row[];
	/** What was done: the first word of the statement, as a rule. */
	readonly command: string;
}

/** As much of a connection as is needed. */
interface Connection {
	readonly stream: { cork?(): void; uncork?(): void };
	readonly parsedStatements: Readonly<Record<string, string | undefined>>;
	/** Those that are on their way, where statements do not wait for one another. */
	readonly submittedNamedStatements?: Record<string, string | undefined>;
	parse(statement: { readonly text: string; readonly name: string | undefined }): void;
	bind(portal: {
		readonly statement: string | undefined;
		readonly values: readonly unknown[];
		readonly valueMapper: (value: unknown) => unknown;
	}): void;
	execute(portal: { readonly portal?: string }): void;
	sync(): void;
}

type Done = (error: unknown, answer?: Answered) => void;

// Bytes stay what they are.
const toParameter = (value: unknown): unknown => (typeof value === "number" ? String(value) : value);

/** Makes the class of such queries, of the driver's own. All that is answered is text. */
export const plainQueryOf = (Base: typeof Query) =>
	class PlainQuery extends Base {
		// The driver notes by these what a connection has prepared.
		declare readonly text: string;
		declare name: string | undefined;
		readonly #values: readonly unknown[];
		readonly #columns: readonly string[];
		readonly #done: Done;
		readonly #rows: Row[] = [];
		#command = "";

		constructor({ name, text, values = [] }: QueryConfig, columns: readonly string[], done: Done) {
			super(text);
			this.name = name;
			this.#values = values;
			this.#columns = columns;
			this.#done = done;
		}

		override submit = (driver: unknown): void => {
			const connection = driver as Connection;
			const { name, text } = this;
			const submitted = connection.submittedNamedStatements;
			connection.stream.cork?.();
			if (
				name === undefined ||
				(connection.parsedStatements[name] === undefined && submitted?.[name] === undefined)
			) {
				connection.parse({ text, name });
				if (name !== undefined && submitted !== undefined) submitted[name] = text;
			}
			connection.bind({ statement: name, values: this.#values, valueMapper: toParameter });
			connection.execute({});
			connection.sync();
			connection.stream.uncork?.();
		};

		handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
			const row: Record<string, unknown> = {};
			for (const [i, column] of this.#columns.entries()) row[column] = fields[i];
			this.#rows.push(row);
		}

		handleCommandComplete({ text }: { readonly text: string }): void {
			this.#command = text;
		}

		handleReadyForQuery(): void {
			this.#done(undefined, { rows: this.#rows, command: this.#command });
		}

		handleError(error: unknown): void {
			this.#done(error);
		}
	};

/** The class of such queries. */
export type PlainQuery = ReturnType<typeof plainQueryOf>;
