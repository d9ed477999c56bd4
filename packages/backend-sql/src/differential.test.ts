/** What a database stores of random batches is what core's reducer makes of them in memory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "@holdfast/core";
import { agreesWithMemory } from "@holdfast/core/testing";
import { type SqlServer, sqlServers } from "@holdfast/test-servers/sql-servers";
import { afterAll, beforeAll, describe, onTestFinished, test } from "vitest";
import type { SqlOptions } from "./options.js";
import { sql } from "./sql.js";

const alike = "random batches end alike in it and in memory: answers, entries, logs";

async function compare(open: (options: SqlOptions) => Backend): Promise<void> {
	let offset = 0;
	const store = open({ clockOffset: () => offset });
	onTestFinished(() => store.close());
	await agreesWithMemory(store, {
		advance: (ms) => {
			offset += ms;
		},
		time: 8000,
	});
}

for (const driver of ["better-sqlite3", "node:sqlite"] as const)
	test(`${driver}: ${alike}`, { timeout: 60_000 }, async () => {
		const folder = mkdtempSync(join(tmpdir(), "holdfast-sqlite-"));
		onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
		await compare((options) => sql(`sqlite:${join(folder, "state.db")}`, { ...options, driver }));
	});

for (const { name, isThere, start } of sqlServers)
	describe.skipIf(!isThere)(name, () => {
		let server: SqlServer;
		beforeAll(async () => {
			server = await start();
		});
		afterAll(() => server.stop());

		test(alike, { timeout: 60_000 }, () => compare((options) => sql(server.url, options)));
	});
