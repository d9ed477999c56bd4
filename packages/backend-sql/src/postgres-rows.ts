/** Rows that a statement on Postgres is given: as single values where there is one, else as an array for each column. */
import type { Fragment } from "./engine.js";
import type { ElementType } from "./postgres-array.js";
import type { Bound } from "./statement.js";

/** Rows of one kind. */
export interface Rows {
	readonly columns: readonly string[];
	readonly types: readonly ElementType[];
}

/** Columns by their names. */
export const list = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(", ");

/** Rows as a table, in a from-clause: one of single values, or any number by an array for each column. */
export const rowsAs = (name: string, { columns, types }: Rows, one: boolean): string =>
	one
		? `(select ${columns.map((column, i) => `?::${types[i]} as "${column}"`).join(", ")}) ${name}`
		: `unnest(${types.map((type) => `?::${type}[]`).join(", ")}) as ${name}(${list(columns)})`;

/** The values of rows, column by column, as arrays have them. */
export class Columns {
	readonly of: Rows;
	readonly values: (string | number | null)[][];

	constructor(of: Rows) {
		this.of = of;
		this.values = of.columns.map((): (string | number | null)[] => []);
	}

	get count(): number {
		return this.values[0]?.length ?? 0;
	}

	add(first: number, row: readonly Bound[]): void {
		this.values[0]?.push(first);
		for (let i = 0; i < row.length; i++) this.values[i + 1]?.push(row[i] as string | number | null);
	}
}

/** What a statement is given: of each kind one row, or arrays. */
export interface Given extends Pick<Fragment, "values"> {
	readonly one: boolean;
	readonly types: readonly ElementType[];
}

/** These rows, as a statement is given them. */
export function given(columns: readonly Columns[]): Given {
	const one = columns.every(({ count }) => count === 1);
	return {
		one,
		values: columns.flatMap(({ values }): readonly Bound[] =>
			one ? values.map(([value = null]) => value) : values,
		),
		types: one ? [] : columns.flatMap(({ of }) => of.types),
	};
}
