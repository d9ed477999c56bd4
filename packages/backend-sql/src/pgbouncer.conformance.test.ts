import { conformance } from "@holdfast/core/testing";
import { hasPgbouncer, Pgbouncer } from "@holdfast/test-servers/pgbouncer";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { afterAll, beforeAll, describe } from "vitest";
import { serverHarness } from "./server-harness.js";

// What a pooler could break; that values come back as they were, Postgres' own run shows.
const only = [1, 2, 3, 6, 7, 12, 13, 14];

describe.skipIf(!hasPostgres() || !hasPgbouncer())("PgBouncer", () => {
	let server: PostgresServer;
	let pooler: Pgbouncer;
	beforeAll(async () => {
		server = await PostgresServer.start();
		// So that what was prepared is found to be on another connection, rather than not tried.
		pooler = await Pgbouncer.before(server, "transaction", { ignore_startup_parameters: "options" });
	});
	afterAll(async () => {
		await pooler.stop();
		await server.stop();
	});

	conformance(
		"postgres, by connections that are shared by transaction",
		() => serverHarness(server, pooler.url),
		{
			only,
		},
	);
});
