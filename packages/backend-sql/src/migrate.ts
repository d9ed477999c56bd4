/** Brings the tables to what this version needs, safely while other processes do the same; or only looks whether they are. */
import { HoldfastError } from "@holdfast/core";
import { CompiledQuery, type Kysely } from "kysely";
import { Migrator } from "kysely/migration";
import type { Language } from "./engine.js";
import { logColumns } from "./log-rows.js";
import { entryColumns } from "./rows.js";
import { scopeColumns } from "./scope-row.js";
import { migrations, migratorTables, type Place } from "./tables.js";

const expected: Readonly<Record<string, readonly string[]>> = {
	scopes: scopeColumns,
	entries: ["scope_id", ...entryColumns],
	changes: logColumns,
	events: logColumns,
	writers: ["scope_id", "writer", "sequence", "first_id", "answer", "until"],
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a table lacks, as the database says it; `undefined`: all is there. */
async function lacking(db: Kysely<unknown>, language: Language): Promise<unknown> {
	for (const [table, columns] of Object.entries(expected)) {
		const names = columns.map((column) => `"${column}"`).join(", ");
		try {
			await db.executeQuery(
				CompiledQuery.raw(language.say(`select ${names} from {${table}} where 1 = 0`).text),
			);
		} catch (error) {
			if (language.engine.isDisconnect(error) || language.engine.isTransient(error)) throw error;
			return error;
		}
	}
	return undefined;
}

/** Makes or updates the tables. With `alter: false` it never changes the schema, and refuses to start on another one. */
export async function migrate(
	db: Kysely<unknown>,
	language: Language,
	place: Place,
	alter: boolean,
): Promise<void> {
	const { engine } = language;
	// Most starts find everything in place, and ask for no lock.
	let missing = await lacking(db, language);
	if (missing === undefined) return;
	if (!alter)
		throw new HoldfastError(
			"failed",
			`the tables ${place.prefix}* are missing or of another version, and this backend was told never to alter them: apply schema/${engine.name}.sql of @holdfast/backend-sql, or what sqlSchema() answers`,
			{ cause: missing },
		);
	const migrator = new Migrator({
		db,
		provider: { getMigrations: async () => migrations(engine, place) },
		...migratorTables(place),
	});
	// Processes that start at once trip over one another's tables, also over the migrator's own: whoever fails looks again.
	for (let tries = 0; ; tries++) {
		const { error } = await migrator.migrateToLatest().catch((thrown: unknown) => ({ error: thrown }));
		missing = await lacking(db, language);
		if (missing === undefined) return;
		// What was done to the tables is none of what is known here.
		if (error instanceof Error && /^corrupted migrations/.test(error.message))
			throw new HoldfastError(
				"failed",
				`the tables ${place.prefix}* are of a version that this one of @holdfast/backend-sql does not know (${error.message}): take the version that made them, or another prefix, or drop them, and what they hold, to begin anew`,
				{ cause: error },
			);
		if (tries >= 20 || engine.isDisconnect(error)) throw error ?? missing;
		await pause(20 + Math.random() * 30 * (tries + 1));
	}
}
