/** How the conformance suite uses a database's server. */
import type { BackendHarness } from "@holdfast/core/testing";
import type { SqlServer } from "@holdfast/test-servers/sql-servers";
import { sql } from "./sql.js";
import { tableNames } from "./tables.js";

const tables = tableNames.map((name) => `holdfast_${name}`);
// Whose tables are there.
const prepared = new WeakSet<SqlServer>();

const emptying = tables.map((table) => `delete from ${table}`);

/** A harness on a server, reached by its own URL or another one. All tests have the same tables: a set for each would cost more than most tests. */
export async function serverHarness(server: SqlServer, url = server.url): Promise<BackendHarness> {
	let offset = 0;
	// What a test left under way must not reach the next one. Behind a pooler its connections are kept.
	if (url === server.url) await server.dismiss();
	if (!prepared.has(server)) {
		const first = sql(url);
		await first.scopes({ prefix: "", after: null, limit: 1 });
		await first.close();
		prepared.add(server);
	}
	const run = async (statements: readonly string[]): Promise<void> => {
		await server.query(statements.join("; "));
	};
	const inOne = (statements: readonly string[]): Promise<void> => run(["begin", ...statements, "commit"]);
	await run(emptying);
	return {
		create: () => sql(url, { connections: 4, clockOffset: () => offset }),
		advance: (ms) => {
			offset += ms;
		},
		losesAnswers: true,
		restart: async () => {
			await server.kill();
			await server.run();
		},
		reconnects: true,
		forget: () => inOne(emptying),
		save: async () => {
			await run(
				tables.flatMap((table) => [
					`drop table if exists saved_${table}`,
					`create table saved_${table} as select * from ${table}`,
				]),
			);
			const back = tables.map((table) => `insert into ${table} select * from saved_${table}`);
			return () => inOne([...emptying, ...back]);
		},
		dispose: async () => {},
	};
}
