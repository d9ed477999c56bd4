import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCsv, parseRecords } from "./csv.ts";

const quote = (field: string): string => `"${field.replaceAll('"', '""')}"`;
const write = (rows: readonly (readonly string[])[], end: string): string =>
	rows.map((row) => row.map((field) => (/[",\r\n]/.test(field) ? quote(field) : field)).join(",")).join(end);

test("reads back whatever was written", () => {
	// A row of one empty field and no row at all are written alike.
	const row = fc.array(fc.string(), { minLength: 2, maxLength: 5 });
	fc.assert(
		fc.property(fc.array(row), fc.constantFrom("\n", "\r\n"), fc.boolean(), (rows, end, closed) => {
			const text = write(rows, end) + (closed && rows.length > 0 ? end : "");
			expect(parseCsv(text)).toEqual(rows);
		}),
	);
});

test("names the fields", () => {
	expect(parseRecords("b,a\n1,2\n3,4", ["a", "b"])).toEqual([
		{ a: "2", b: "1" },
		{ a: "4", b: "3" },
	]);
});

test("refuses what is malformed or lacks a column", () => {
	expect(() => parseCsv('a,"b\n')).toThrow("row 1");
	expect(() => parseRecords("a,b\n1,2", ["c"])).toThrow("no column c, only a, b");
});
