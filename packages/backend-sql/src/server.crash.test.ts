/** A database's server is killed under who writes and watches, and so is who writes. */
import { killServer } from "@holdfast/test-servers/kill-server";
import { type SqlServer, sqlServers } from "@holdfast/test-servers/sql-servers";
import type { Program } from "@holdfast/test-servers/worker";
import { afterAll, beforeAll, describe, test } from "vitest";
import { crashProgram } from "./crash-program.js";
import { killWriters } from "./kill-writers.js";
import { sql } from "./sql.js";

for (const { name, isThere, start } of sqlServers)
	describe.skipIf(!isThere)(name, () => {
		let server: SqlServer;
		let program: Program;

		beforeAll(async () => {
			program = await crashProgram();
			server = await start();
		});

		afterAll(async () => {
			await server.stop();
			program.dispose();
		});

		test("a server that is killed among 10,000 commits has every one that it answered, none twice, and watchers miss nothing", () =>
			killServer(server, () => sql(server.url)));

		test("writers that are killed among 10,000 commits leave every one that was answered, and none twice", () =>
			killWriters(program, server.url));
	});
