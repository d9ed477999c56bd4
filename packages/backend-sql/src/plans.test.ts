/** What is asked of a large scope reads about as many rows as it is about, though the tables were empty when the first statements were planned. */
import { createStateManager } from "@holdfast/core";
import { hasMysql, MysqlServer } from "@holdfast/test-servers/mysql-server";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { sql } from "./sql.js";

const size = 5000;
const most = 2500;

const slow = { timeout: 60_000, interval: 50 };

async function postgresReads({ admin }: PostgresServer): Promise<number> {
	// A server's process counts what it read when it ends, at the latest.
	await vi.waitFor(async () => {
		const { rows } = await admin.query(
			"select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
		);
		expect(rows).toEqual([]);
	}, slow);
	const { rows } = await admin.query(
		`select (select sum(idx_tup_read) from pg_stat_user_indexes) + (select sum(seq_tup_read) from pg_stat_user_tables) as reads`,
	);
	return Number(rows[0]?.reads);
}

async function mariadbReads({ admin }: MysqlServer): Promise<number> {
	const [rows] = await admin.query("show global status like 'Handler_read%'");
	return (rows as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0);
}

function suite<S extends { readonly url: string; stop(): Promise<void> }>(
	name: string,
	isThere: () => boolean,
	start: () => Promise<S>,
	reads: (server: S) => Promise<number>,
): void {
	describe.skipIf(!isThere())(name, () => {
		let server: S;
		beforeAll(async () => {
			server = await start();
		});
		afterAll(() => server.stop());

		test("commits, reads and a page of a large scope", async () => {
			const first = createStateManager({ backend: sql(server.url), timeout: "60s" });
			for (let from = 0; from < size; from += 500)
				await first.shared.commit((tx) => {
					for (let i = from; i < from + 500; i++) tx.set(`positions/${i}`, i);
				});
			await first.close();
			const before = await reads(server);
			const second = createStateManager({ backend: sql(server.url), timeout: "60s" });
			const { shared } = second;
			const keys = Array.from({ length: 100 }, (_, i) => `positions/${i * 37}`);
			await Promise.all(keys.map((key) => shared.set(key, -1)));
			expect(await Promise.all(keys.map((key) => shared.get(key)))).toEqual(keys.map(() => -1));
			const listed: string[] = [];
			for await (const { key } of shared.list("positions/*", { limit: 50 })) listed.push(key);
			expect(listed).toHaveLength(50);
			await shared.delete("positions/7");
			await second.close();
			expect((await reads(server)) - before).toBeLessThan(most);
		});
	});
}

suite("Postgres", hasPostgres, () => PostgresServer.start(), postgresReads);
suite("MariaDB", hasMysql, () => MysqlServer.start(), mariadbReads);
