import { type BackendHarness, conformance } from "@holdfast/core/testing";
import { afterAll, beforeAll, describe } from "vitest";
import { hasPostgres, PostgresServer } from "./postgres-server.js";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

describe.skipIf(!hasPostgres())("Postgres", () => {
	let server: PostgresServer;
	beforeAll(async () => {
		server = await PostgresServer.start();
	}, 60_000);
	afterAll(() => server.stop());

	// Every test has the same tables: making and dropping a set for each costs more than most tests.
	const open = async (): Promise<BackendHarness> => {
		let offset = 0;
		const first = sql(server.url);
		await first.scopes({ prefix: "", after: null, limit: 1 });
		await first.close();
		const tables = tableNames.map((name) => `holdfast_${name}`);
		const empty = () => server.admin.query(`truncate ${tables.join(", ")}`);
		await empty();
		return {
			create: () => sql(server.url, { connections: 4, clockOffset: () => offset }),
			advance: (ms) => {
				offset += ms;
			},
			losesAnswers: true,
			restart: async () => {
				await server.kill();
				await server.run();
			},
			reconnects: true,
			forget: async () => {
				await empty();
			},
			save: async () => {
				const copies = tables.map((table) => `create table saved_${table} as table ${table}`);
				await server.admin.query(
					`drop table if exists ${tables.map((table) => `saved_${table}`).join(", ")}; ${copies.join("; ")}`,
				);
				return async () => {
					const back = tables.map((table) => `insert into ${table} table saved_${table}`);
					await server.admin.query(`begin; truncate ${tables.join(", ")}; ${back.join("; ")}; commit`);
				};
			},
			dispose: async () => {},
		};
	};

	conformance("postgres", open);
});
