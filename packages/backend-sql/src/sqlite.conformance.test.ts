import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendHarness } from "@holdfast/core/testing";
import { conformance } from "@holdfast/core/testing";
import { openSqlite, type SqliteDriver } from "./drivers.js";
import type { EmbeddedDatabase } from "./embedded-store.js";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

function openFile(driver: SqliteDriver): BackendHarness {
	const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
	const file = join(folder, "state.db");
	let offset = 0;
	// Of the same driver: two copies of SQLite in one process undo each other's locks.
	const admin = async <T>(work: (database: EmbeddedDatabase) => T): Promise<T> => {
		const database = await openSqlite(file, driver);
		try {
			database.prepare("begin immediate").run([]);
			const answer = work(database);
			database.prepare("commit").run([]);
			return answer;
		} finally {
			database.close();
		}
	};
	const empty = (database: EmbeddedDatabase): void => {
		for (const name of tableNames) database.prepare(`delete from holdfast_${name}`).run([]);
	};
	return {
		create: () => sql(`sqlite:${file}`, { driver, clockOffset: () => offset }),
		advance: (ms) => {
			offset += ms;
		},
		losesAnswers: true,
		restart: async () => {},
		reconnects: true,
		forget: () => admin(empty),
		save: async () => {
			const tables = await admin((database) =>
				tableNames.map((name) => database.prepare(`select * from holdfast_${name}`).all([]) as object[]),
			);
			return () =>
				admin((database) => {
					empty(database);
					for (const [i, name] of tableNames.entries())
						for (const row of tables[i] ?? []) {
							const values = Object.values(row);
							const marks = values.map(() => "?").join(", ");
							database.prepare(`insert into holdfast_${name} values (${marks})`).run(values);
						}
				});
		},
		dispose: async () => rmSync(folder, { recursive: true, force: true }),
	};
}

conformance("sqlite", () => openFile("better-sqlite3"), { concurrent: true });

conformance("node:sqlite", () => openFile("node:sqlite"), { concurrent: true });
