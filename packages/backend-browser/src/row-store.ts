/** Rows under keys, in transactions: all that this backend asks of a browser's storage. */
import type { ScopeId, Soon } from "@holdfast/core";

/** `m`: one row a scope. `e`: its entries. `l`: its log of changes. `v`: its events. `w`: its writers. */
export type Table = "m" | "e" | "l" | "v" | "w";

/** A row's key. Entries and writers are named in a scope, logs have a revision there. */
export type RowKey = [table: Table, scope: ScopeId, sub?: string | number];

/** Rows of a table, in the order of their keys. */
export interface RowRange {
	readonly table: Table;
	/** Only of this scope. */
	readonly scope?: ScopeId;
	/** Only behind this one. */
	readonly after?: string | number | undefined;
	/** Only up to this one. */
	readonly upTo?: number;
	/** At most so many. */
	readonly limit?: number;
	/** From the end, the last one first. */
	readonly newest?: boolean;
}

/** A row that is told from others by its mark. */
export interface Marked {
	readonly mark: number;
}

/**
 * What a transaction asks for: a row, or several. Where reading takes time, work goes on with a row that is `assumed`, and is undone if another
 * one is found.
 */
export type Ask =
	| { readonly key: RowKey; readonly assumed?: Marked | undefined }
	| { readonly range: RowRange };

/**
 * A transaction's work: it yields what it asks for and is given the rows (`undefined` where there is none). It first asks and then
 * writes, and knows nothing of promises, so that nothing else can be awaited in a transaction.
 */
export type Steps<T> = Generator<readonly Ask[], T, readonly unknown[]>;

/** What a transaction writes. */
export interface Writes {
	put(key: RowKey, row: object): void;
	delete(key: RowKey): void;
	deleteAll(range: Required<Pick<RowRange, "table" | "scope">> & Pick<RowRange, "upTo">): void;
}

/**
 * Work on rows, that may be done again.
 *
 * @param isMistaken - whether what it assumed was wrong; what it assumes now is not believed.
 */
export type Work<T> = (writes: Writes, isMistaken?: boolean) => Steps<T>;

/** A place for rows. */
export interface RowStore {
	/** Whether an answer can get lost, so that writers have to be remembered. */
	readonly losesAnswers: boolean;
	/**
	 * How many records entries' rows may be behind: to add to a log costs less than to write a row for each entry. 0 where logs may go
	 * to make room.
	 */
	readonly mostBehind: number;
	/** Does work in one transaction: whole or not at all. Fails with a {@link StoreFailure}. */
	run<T>(mode: IDBTransactionMode, work: Work<T>): Soon<T>;
	/** Lets go of it; it is opened again by the next work. */
	release(): void;
}
