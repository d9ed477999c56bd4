/** What differs between databases, named; everything else is said once, in the SQL that all of them speak. */
import type { ElementType } from "./postgres-array.js";
import type { Bound, Statement } from "./statement.js";

/** A table of pairs to join with, or a condition on columns. */
export interface Fragment {
	/** What tells its text from others of its kind: how many values it takes, or 0 where that is all the same. */
	readonly size: number;
	/** Which of several forms of that size it has; by default 0. */
	readonly form?: number;
	text(): string;
	readonly values: readonly Bound[];
	/** What the values' elements are, where they are arrays. */
	readonly types?: readonly ElementType[];
}

/** Rows to insert; those that exist get the `updated` columns, or stay as they are. */
export interface Insertion {
	readonly table: "scopes" | "entries" | "changes" | "events" | "writers";
	readonly columns: readonly string[];
	/** Further columns, which all rows have alike, as SQL: values that are not bound. */
	readonly alike?: Readonly<Record<string, string>>;
	/** The columns that are answered of each row that was added or changed, where the database can. */
	readonly returning?: string;
	readonly conflict?: { readonly keys: readonly string[]; readonly updated: readonly string[] };
}

/** The type of a pair's first column. */
export type PairOf = "scope" | "scope_id";

/** A database's dialect, as far as the store's statements need it. */
export interface Engine {
	readonly name: "sqlite" | "postgres" | "mysql";
	/**
	 * Whether a transaction locks the rows that it touches. If not, a transaction that writes has the whole database: nothing has to be
	 * skipped, and missing rows are added in it.
	 */
	readonly locksRows: boolean;
	/** How many rows one statement takes. */
	readonly rowsAtOnce: number;
	/** How many pairs one statement takes. */
	readonly pairsAtOnce: number;
	/** The database's clock in whole milliseconds, as an expression. */
	readonly now: string;
	/** Starts a transaction that writes. */
	readonly begin: readonly string[];
	/** What joins a table's row that a condition finds by an index, for each row before it, also where the table was empty when it was planned. */
	lookUp(join: "join" | "left join", table: string, name: string, condition: string): string;
	/** What follows a select that locks rows, and leaves out those that are locked. */
	readonly skipLocked: string;
	/**
	 * How to wait for a row that is held elsewhere: what follows the begin, and the select. `undefined`: a wait can't be bounded there, so
	 * the row is asked for again and again.
	 */
	readonly waiting: { readonly begin: string; readonly lock: string } | undefined;
	/** What identifiers are quoted with. */
	readonly quote: string;
	/** How a column of text is selected, so that it comes back as it was stored. */
	text(column: string): string;
	/** How the n-th value is written, counted from 1: so that a prepared statement is planned once, whatever values it is given. */
	placeholder(index: number): string;
	/** What follows `values (…)`: rows that exist already get these columns; none: they stay. */
	onConflict(keys: readonly string[], updated: readonly string[]): string;
	/** What follows `insert into … (…)`. */
	rows(insertion: Insertion, rows: readonly (readonly Bound[])[]): Fragment;
	/** What follows an insert that answers columns of the rows that it added or changed; empty where it can't. */
	returning(columns: string): string;
	/** The version of a row, as an expression: another one after each change of it. `undefined`: rows have none. */
	readonly rowVersion?: string;
	/** The condition that a column of text is one of these. */
	isOneOf(column: string, values: readonly string[]): Fragment;
	/** A table of pairs, by the names of its two columns; a third, `at`, counts them from 0. */
	pairTable(first: PairOf, second: string, pairs: readonly (readonly [string | number, string])[]): Fragment;
	/** The condition that two columns are one of these pairs. */
	isPair(first: PairOf, second: string, pairs: readonly (readonly [string | number, string])[]): Fragment;
	/** Whether the same transaction may succeed when it is tried again: a deadlock, a serialisation failure, a busy file. */
	isTransient(error: unknown): boolean;
	/** Whether the connection broke rather than the statement. */
	isDisconnect(error: unknown): boolean;
	/** Whether the database itself answered so: not a connection that broke, nor a driver that lost patience. */
	isAnswer(error: unknown): boolean;
	/** What kind of refusal of the database's own it is: no room left, or nothing may be written. */
	refusal(error: unknown): "full" | "read-only" | undefined;
}

/** The code that a driver gave an error. */
export const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? "");

const network = /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_|PROTOCOL_)/;
const ended =
	/connection (terminated|ended|is closed|lost)|terminating connection|client has encountered a connection error|not queryable|closed state|pool is (closed|destroyed)|pool after calling end|timeout exceeded when trying to connect|database connection is not open/i;

/** Whether an error says that a connection broke, as the drivers say it. */
export const isNetworkError = (error: unknown): boolean =>
	network.test(codeOf(error)) || ended.test(error instanceof Error ? error.message : "");

/** Names of the tables, and statements in the words of one database. */
export class Language {
	readonly engine: Engine;
	readonly #tables: Record<string, string>;
	readonly #rendered = new Map<string, string>();
	readonly #shapes = new Map<unknown, Map<number, string>>();

	constructor(engine: Engine, prefix: string, schema: string | undefined) {
		this.engine = engine;
		const before = schema === undefined ? "" : `"${schema}".`;
		this.#tables = Object.fromEntries(
			["scopes", "entries", "changes", "events", "writers"].map((name) => [
				name,
				`${before}"${prefix}${name}"`,
			]),
		);
	}

	/**
	 * A statement of a text with `{table}` for tables, `{text column}` for a selected column of text, `{now}` for the clock, `{version}` for that of a row, `"name"` for names that are words of SQL, and `?` for values. Rendered once for each text, so
	 * texts must come in a bounded number of shapes.
	 */
	say(text: string, values: readonly Bound[] = [], commits = false): Statement {
		let rendered = this.#rendered.get(text);
		if (rendered === undefined) {
			rendered = this.#render(text);
			// Shapes differ by counts of rows; far more of them than that is a defect, and must not become a leak.
			if (this.#rendered.size > 5000) this.#rendered.clear();
			this.#rendered.set(text, rendered);
		}
		return { text: rendered, values, commits };
	}

	/** The statements that begin a transaction which writes. */
	begin(): Statement[] {
		return this.engine.begin.map((text) => ({ ...this.say(text), begins: true }));
	}

	/**
	 * The same for a text that is made of fragments: it is made once for each size of them.
	 *
	 * @param shape - what tells it from other texts: a name, or an object.
	 */
	shape(shape: unknown, { size, form = 0, values, types = [] }: Fragment, text: () => string): Statement {
		// Wide ones differ too often to be kept.
		if (size > 64) return { text: this.#render(text()), values };
		let shapes = this.#shapes.get(shape);
		if (shapes === undefined) {
			shapes = new Map();
			this.#shapes.set(shape, shapes);
		}
		const key = form * 65 + size;
		let rendered = shapes.get(key);
		if (rendered === undefined) {
			rendered = this.#render(text());
			if (shapes.size > 1000) shapes.clear();
			shapes.set(key, rendered);
		}
		return { text: rendered, values, types };
	}

	/** Pairs that fit in one statement each. */
	parts<T>(pairs: readonly T[]): readonly (readonly T[])[] {
		return this.#split(pairs, this.engine.pairsAtOnce, () => 0);
	}

	/** Statements that insert rows. */
	insert(insertion: Insertion, rows: readonly (readonly Bound[])[]): readonly Statement[] {
		if (rows.length === 0) return [];
		const { engine } = this;
		return this.#split(rows, engine.rowsAtOnce, sizeOfRow).map((part) => {
			const fragment = engine.rows(insertion, part);
			return this.shape(insertion, fragment, () => {
				const { table, columns, alike = {}, conflict, returning } = insertion;
				const names = [...columns, ...Object.keys(alike)].map((column) => `"${column}"`).join(", ");
				const suffix = conflict === undefined ? "" : engine.onConflict(conflict.keys, conflict.updated);
				const answered = returning === undefined ? "" : engine.returning(returning);
				return `insert into {${table}} (${names}) ${fragment.text()} ${suffix} ${answered}`;
			});
		});
	}

	#split<T>(items: readonly T[], most: number, sizeOf: (item: T) => number): readonly (readonly T[])[] {
		const parts: T[][] = [];
		let room = 0;
		for (const item of items) {
			const size = sizeOf(item);
			const last = parts.at(-1);
			if (last === undefined || last.length >= most || room < size) {
				parts.push([item]);
				room = statementBytes - size;
			} else {
				last.push(item);
				room -= size;
			}
		}
		return parts;
	}

	#render(text: string): string {
		let index = 0;
		const { quote, now, rowVersion = "null" } = this.engine;
		return text
			.replaceAll("{now}", now)
			.replaceAll("{version}", rowVersion)
			.replace(/\{text ([^}]+)\}/g, (_, column: string) => this.engine.text(column))
			.replace(/\{(\w+)\}/g, (_, name: string) => this.#tables[name] as string)
			.replace(/\?/g, () => this.engine.placeholder(++index))
			.replaceAll('"', quote);
	}
}

function sizeOfRow(row: readonly Bound[]): number {
	let size = 0;
	for (const value of row) size += typeof value === "string" ? value.length : 8;
	return size;
}

/** Rows of values, written out. */
export const valuesOf = (
	{ columns, alike = {} }: Insertion,
	rows: readonly (readonly Bound[])[],
): Fragment => ({
	size: rows.length,
	text: () => {
		const row = [...columns.map(() => "?"), ...Object.values(alike)].join(", ");
		return `values ${rows.map(() => `(${row})`).join(", ")}`;
	},
	values: rows.length === 1 ? (rows[0] as readonly Bound[]) : rows.flat(),
});

// MariaDB takes 16 MiB in one packet by default, and escaping may double a text.
const statementBytes = 4 * 2 ** 20;
