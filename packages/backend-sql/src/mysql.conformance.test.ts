import { type BackendHarness, conformance } from "@holdfast/core/testing";
import { afterAll, beforeAll, describe } from "vitest";
import { hasMariadb, MariadbServer } from "./mysql-server.js";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

describe.skipIf(!hasMariadb())("MariaDB", () => {
	let server: MariadbServer;
	beforeAll(async () => {
		server = await MariadbServer.start();
	}, 60_000);
	afterAll(() => server.stop());

	// Every test has the same tables: making and dropping a set for each costs more than most tests.
	const open = async (): Promise<BackendHarness> => {
		let offset = 0;
		const first = sql(server.url);
		await first.scopes({ prefix: "", after: null, limit: 1 });
		await first.close();
		const tables = tableNames.map((name) => `holdfast_${name}`);
		const run = async (statements: readonly string[]): Promise<void> => {
			await server.admin.query(statements.join("; "));
		};
		const emptying = tables.map((table) => `delete from ${table}`);
		await run(emptying);
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
			forget: () => run(["begin", ...emptying, "commit"]),
			save: async () => {
				await run(
					tables.flatMap((table) => [
						`drop table if exists saved_${table}`,
						`create table saved_${table} as select * from ${table}`,
					]),
				);
				const back = tables.map((table) => `insert into ${table} select * from saved_${table}`);
				return () => run(["begin", ...emptying, ...back, "commit"]);
			},
			dispose: async () => {},
		};
	};

	conformance("mariadb", open);
});
