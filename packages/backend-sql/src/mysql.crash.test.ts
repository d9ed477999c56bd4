/** MariaDB is killed under who writes and watches, and so is who writes. */
import { afterAll, beforeAll, describe, test } from "vitest";
import { killServer, killWriters } from "./crash-trials.js";
import { hasMariadb, MariadbServer } from "./mysql-server.js";
import { Program } from "./worker.js";

describe.skipIf(!hasMariadb())("MariaDB", () => {
	let server: MariadbServer;
	let program: Program;

	beforeAll(async () => {
		program = await Program.of("crash-worker.ts");
		server = await MariadbServer.start();
	}, 60_000);

	afterAll(async () => {
		await server.stop();
		program.dispose();
	});

	test(
		"a server that is killed among 10,000 commits has every one that it answered, none twice, and watchers miss nothing",
		{
			timeout: 120_000,
		},
		() => killServer(server),
	);

	test(
		"writers that are killed among 10,000 commits leave every one that was answered, and none twice",
		{
			timeout: 120_000,
		},
		() => killWriters(program, server.url),
	);
});
