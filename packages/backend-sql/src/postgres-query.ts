/** Queries of node-postgres that don't ask what the columns of their answer are called: who wrote the statement knows. */
import type { Query } from "pg";
import { roomForArray, writeArray } from "./postgres-array.js";
import type { Row, Statement } from "./statement.js";

/** What a query was answered. */
export interface Answered {
	readonly rows: readonly Row[];
	/** What was done: the first word of the statement, as a rule. */
	readonly command: string;
}

/** As much of a connection as is needed. */
interface Connection {
	readonly stream: { readonly writable: boolean; write(bytes: Buffer): unknown };
	readonly parsedStatements: Readonly<Record<string, string | undefined>>;
	/** Those that are on their way, where statements do not wait for one another. */
	readonly submittedNamedStatements?: Record<string, string | undefined>;
	parse(statement: { readonly text: string; readonly name: string | undefined }): void;
}

type Done = (error: unknown, answer?: Answered) => void;

// Execute, without a bound of rows, and Sync.
const execution = Buffer.from("450000000900000000005300000004", "hex");

// Most messages are made in here: how long one becomes is known once it is made.
const scratch = Buffer.allocUnsafeSlow(128 * 1024);

// Of an answer so many bytes may be kept at most.
const mostLasting = 1024;

/** The messages that bind a prepared statement to values and execute it (the protocol's Bind, Execute and Sync), as one. */
function executing(name: string, { values, types = [] }: Statement): Buffer {
	let room = 16 + name.length + execution.length;
	for (const [i, value] of values.entries())
		room +=
			6 +
			(typeof value === "string"
				? value.length * 3
				: typeof value === "number"
					? 24
					: value === null
						? 0
						: roomForArray(types[i] ?? "text", value));
	const isShort = room <= scratch.length;
	const bytes = isShort ? scratch : Buffer.allocUnsafe(room);
	// The length is known at the end; the portal has no name.
	let at = bytes.write("B\0\0\0\0\0", "latin1");
	at += bytes.write(name, at, "latin1");
	at = bytes.writeUInt8(0, at);
	at = bytes.writeUInt16BE(values.length, at);
	for (const value of values) at = bytes.writeUInt16BE(Array.isArray(value) ? 1 : 0, at);
	at = bytes.writeUInt16BE(values.length, at);
	for (const [i, value] of values.entries()) {
		if (value === null) {
			at = bytes.writeInt32BE(-1, at);
			continue;
		}
		const start = at + 4;
		const end =
			typeof value === "object"
				? writeArray(bytes, start, types[i] ?? "text", value)
				: start + bytes.write(String(value), start);
		bytes.writeInt32BE(end - start, at);
		at = end;
	}
	// All that is answered is text.
	at = bytes.writeInt16BE(0, at);
	bytes.writeInt32BE(at - 1, 1);
	at += execution.copy(bytes, at);
	return isShort ? Buffer.from(bytes.subarray(0, at)) : bytes.subarray(0, at);
}

/** Makes the class of such queries, of the driver's own. */
export const plainQueryOf = (Base: typeof Query) => {
	class PlainQuery {
		// The driver notes by these what a connection has prepared.
		readonly text: string;
		readonly name: string | undefined;
		readonly #bytes: Buffer;
		readonly #columns: readonly string[];
		readonly #done: Done;
		readonly #rows: Row[] = [];
		#command = "";

		constructor(name: string | undefined, statement: Statement, columns: readonly string[], done: Done) {
			this.text = statement.text;
			this.name = name;
			this.#bytes = executing(name ?? "", statement);
			this.#columns = columns;
			this.#done = done;
		}

		submit(driver: unknown): void {
			const connection = driver as Connection;
			const { stream, parsedStatements, submittedNamedStatements: submitted } = connection;
			const { name, text } = this;
			if (name === undefined || (parsedStatements[name] === undefined && submitted?.[name] === undefined)) {
				connection.parse({ text, name });
				if (name !== undefined && submitted !== undefined) submitted[name] = text;
			}
			if (stream.writable) stream.write(this.#bytes);
		}

		handleDataRow(message: { readonly length: number; readonly fields: readonly (string | null)[] }): void {
			const { length, fields } = message;
			const columns = this.#columns;
			const row: Record<string, unknown> = {};
			for (let i = 0; i < columns.length; i++) row[columns[i] as string] = fields[i];
			this.#rows.push(row);
			if (length >= mostLasting) return;
			lasting.message = message;
			lasting.row = row;
		}

		handleCommandComplete(message: { readonly text: string }): void {
			lasting.command = message;
			this.#command = message.text;
		}

		handleReadyForQuery(): void {
			this.#done(undefined, { rows: this.#rows, command: this.#command });
		}

		handleError(error: unknown): void {
			this.#done(error);
		}
	}
	// What its constructor prepares is for answers of any kind.
	Object.setPrototypeOf(PlainQuery.prototype, Base.prototype);
	/**
	 * A query, what one was answered, and a turn and a time-out such as each read brings: V8 forgets a shape with the last object that has it, and
	 * all that it compiled for that.
	 */
	const lasting: {
		message?: unknown;
		row?: unknown;
		command?: unknown;
		readonly others: readonly unknown[];
	} = {
		others: [
			new PlainQuery(undefined, { text: "", values: [] }, [], () => {}),
			setImmediate(() => {}),
			setTimeout(() => {}),
		],
	};
	return PlainQuery;
};

/** The class of such queries. */
export type PlainQuery = ReturnType<typeof plainQueryOf>;
