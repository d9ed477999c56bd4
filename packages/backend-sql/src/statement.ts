/** What the store's logic says to a database, whichever it is and however it is reached. */

import type { ElementType } from "./postgres-array.js";

/** What may be bound to a statement. */
export type Bound = string | number | null | readonly (string | number | null)[];

/** A statement in the words of its database. */
export interface Statement {
	readonly text: string;
	readonly values: readonly Bound[];
	/** What the elements of those values are that are arrays. */
	readonly types?: readonly ElementType[];
	/** What the columns of its answer are called, where whoever runs it need not ask: they may then all come as text. */
	readonly columns?: readonly string[];
	/** It begins the transaction. */
	readonly begins?: boolean;
	/** It ends the transaction: if its answer is lost, nobody knows what was applied. */
	readonly commits?: boolean;
	/** It follows the transaction's end, and nothing depends on its answer. */
	readonly hints?: boolean;
}

/** A row of an answer. */
export type Row = { readonly [column: string]: unknown };

/** The answers to statements that were handed over together. */
export type Answers = readonly (readonly Row[])[];

/**
 * Logic that needs a database: it yields statements that may travel together and is given their rows. Run at once on an embedded
 * database and asynchronously on any other, it is the same logic.
 */
export type Steps<T> = Generator<readonly Statement[], T, Answers>;

/** Asks one thing. */
export function* ask(statement: Statement): Steps<readonly Row[]> {
	const [rows = []] = yield [statement];
	return rows;
}

/** Bigints come as text from some drivers, binary text as bytes from others. */
export const toNumber = (value: unknown): number => Number(value);

/** A number or nothing. */
export const toNullable = (value: unknown): number | null =>
	value === null || value === undefined ? null : Number(value);

/** Text, also where the driver hands over bytes. */
export const toText = (value: unknown): string =>
	typeof value === "string" ? value : Buffer.from(value as Uint8Array).toString();
