import { conformance } from "@holdfast/core/testing";
import { canPgbouncerPrepare, hasPgbouncer, Pgbouncer } from "@holdfast/test-servers/pgbouncer";
import { hasPostgres, PostgresServer } from "@holdfast/test-servers/postgres-server";
import { afterAll, beforeAll, describe } from "vitest";
import { serverHarness } from "./server-harness.js";

// What a pooler could break; that values come back as they were, Postgres' own run shows.
const only = [1, 2, 3, 6, 7, 12, 13, 14];

/** With the session's options ignored statements are prepared: where the pooler loses them, that is found out, rather than not tried. */
const kinds: readonly (readonly [string, Readonly<Record<string, string>>])[] = canPgbouncerPrepare()
	? [
			["that loses what is prepared", { max_prepared_statements: "0" }],
			["that hands on what is prepared", { max_prepared_statements: "200" }],
		]
	: [["that loses what is prepared", {}]];

describe.skipIf(!hasPostgres() || !hasPgbouncer()).each(kinds)("PgBouncer %s", (kind, settings) => {
	let server: PostgresServer;
	let pooler: Pgbouncer;
	beforeAll(async () => {
		server = await PostgresServer.start();
		pooler = await Pgbouncer.before(server, "transaction", {
			ignore_startup_parameters: "options",
			...settings,
		});
	});
	afterAll(async () => {
		await pooler.stop();
		await server.stop();
	});

	conformance(
		`postgres, by connections that are shared by transaction, through a pooler ${kind}`,
		() => serverHarness(server, pooler.url),
		{
			only,
		},
	);
});
