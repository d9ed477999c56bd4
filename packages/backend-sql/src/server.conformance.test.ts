import { conformance } from "@holdfast/core/testing";
import { type SqlServer, sqlServers } from "@holdfast/test-servers/sql-servers";
import { afterAll, beforeAll, describe } from "vitest";
import { serverHarness } from "./server-harness.js";

for (const { name, isThere, start } of sqlServers)
	describe.skipIf(!isThere)(name, () => {
		let server: SqlServer;
		beforeAll(async () => {
			server = await start();
		});
		afterAll(() => server.stop());

		conformance(name, () => serverHarness(server));
	});
