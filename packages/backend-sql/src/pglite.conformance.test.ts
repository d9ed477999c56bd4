import { PGlite } from "@electric-sql/pglite";
import { type BackendHarness, conformance } from "@holdfast/core/testing";
import { PGliteDialect } from "kysely";
import { afterAll, beforeAll, describe } from "vitest";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

describe("PGlite", () => {
	// One for all tests, and the same tables: to start it takes longer than most tests.
	let pglite: PGlite;
	let isPrepared = false;
	beforeAll(async () => {
		pglite = await PGlite.create();
	});
	afterAll(() => pglite.close());

	const tables = tableNames.map((name) => `holdfast_${name}`);
	const empty = (): Promise<unknown> => pglite.exec(`truncate ${tables.join(", ")}`);

	const open = async (): Promise<BackendHarness> => {
		let offset = 0;
		// A dialect that closes nothing: all handles share the one database, each by a Kysely of its own.
		const shared = new Proxy(pglite, {
			get: (target, name) => {
				if (name === "close") return async () => {};
				const value: unknown = Reflect.get(target, name, target);
				return typeof value === "function" ? value.bind(target) : value;
			},
		});
		const create = () =>
			sql({
				dialect: new PGliteDialect({ pglite: shared }),
				poll: { least: 5, most: 50 },
				clockOffset: () => offset,
			});
		if (!isPrepared) {
			const first = create();
			await first.scopes({ prefix: "", after: null, limit: 1 });
			await first.close();
			isPrepared = true;
		}
		await empty();
		return {
			create,
			advance: (ms) => {
				offset += ms;
			},
			losesAnswers: true,
			forget: async () => {
				await empty();
			},
			save: async () => {
				const gone = `drop table if exists ${tables.map((table) => `saved_${table}`).join(", ")}`;
				const copies = tables.map((table) => `create table saved_${table} as table ${table}`);
				await pglite.exec(`${gone}; ${copies.join("; ")}`);
				return async () => {
					const back = tables.map((table) => `insert into ${table} table saved_${table}`);
					await pglite.exec(`begin; truncate ${tables.join(", ")}; ${back.join("; ")}; commit`);
				};
			},
			dispose: async () => {},
		};
	};

	conformance("pglite", open);
});
