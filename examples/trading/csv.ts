/** Comma-separated values, as RFC 4180 has them. */

const fieldOrEnd = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

/** The rows of a text. A line break at its end makes no further row. */
export function parseCsv(text: string): string[][] {
	const rows: string[][] = [];
	let row: string[] = [];
	fieldOrEnd.lastIndex = 0;
	while (fieldOrEnd.lastIndex < text.length || row.length > 0) {
		const at = fieldOrEnd.lastIndex;
		const match = fieldOrEnd.exec(text);
		if (match === null) throw new Error(`Malformed CSV in row ${rows.length + 1}, at character ${at}.`);
		const [, quoted, plain = "", end] = match;
		row.push(quoted?.replaceAll('""', '"') ?? plain);
		if (end === ",") continue;
		rows.push(row);
		row = [];
	}
	return rows;
}

/** The rows as objects, by the names in the first row. */
export function parseRecords<const Name extends string>(
	text: string,
	names: readonly Name[],
): Record<Name, string>[] {
	const [header = [], ...rows] = parseCsv(text);
	const columns = names.map((name) => {
		const column = header.indexOf(name);
		if (column < 0) throw new Error(`The CSV has no column ${name}, only ${header.join(", ")}.`);
		return [name, column] as const;
	});
	return rows.map(
		(row) =>
			Object.fromEntries(columns.map(([name, column]) => [name, row[column] ?? ""])) as Record<Name, string>,
	);
}
