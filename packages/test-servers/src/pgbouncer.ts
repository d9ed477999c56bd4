/** A real PgBouncer of a test's own, before a Postgres. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { freePort } from "./free-port.ts";
import type { PostgresServer } from "./postgres-server.ts";
import { isProgramSince, programPath, requireProgram } from "./programs.ts";
import { ServerProcess } from "./server-process.ts";

/** Whether PgBouncer is installed; where all must be tested its absence is an error. */
export const hasPgbouncer = (): boolean => programPath("pgbouncer") !== undefined;

/** Whether it hands on what clients prepare when they share connections, if it is told of how many statements (`max_prepared_statements`). */
export const canPgbouncerPrepare = (): boolean => hasPgbouncer() && isProgramSince("pgbouncer", "1.21");

/** For how long a client keeps a connection to the server. */
export type PoolMode = "session" | "transaction";

/** A running pooler. */
export class Pgbouncer {
	readonly url: string;
	readonly #process = new ServerProcess("pgbouncer", "postgres");

	private constructor(port: number) {
		this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
	}

	/** Starts one that pools connections to a server, with more settings of a `pgbouncer.ini`. */
	static async before(
		server: PostgresServer,
		mode: PoolMode,
		settings: Readonly<Record<string, string>> = {},
	): Promise<Pgbouncer> {
		const port = await freePort();
		const pooler = new Pgbouncer(port);
		const file = join(pooler.#process.folder, "pgbouncer.ini");
		const all = {
			listen_addr: "127.0.0.1",
			listen_port: port,
			unix_socket_dir: "",
			auth_type: "any",
			pool_mode: mode,
			max_client_conn: 300,
			default_pool_size: 100,
			// As soon as the server is there again, not 15 s later.
			server_login_retry: 0,
			...settings,
		};
		const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
		const database = `* = host=127.0.0.1 port=${server.port} user=postgres`;
		writeFileSync(file, ["[databases]", database, "[pgbouncer]", ...lines, ""].join("\n"));
		await pooler.#process.start(requireProgram("pgbouncer"), ["--quiet", file], async () => {
			const client = new pg.Client({ connectionString: pooler.url });
			await client.connect();
			await client.end();
		});
		return pooler;
	}

	/** Ends it, and takes its folder away. */
	stop(): Promise<void> {
		return this.#process.stop();
	}
}
