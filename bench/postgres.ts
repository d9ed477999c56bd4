/** A Postgres of a suite's own, as it comes: every commit is on disk before it is answered. */
import { join } from "node:path";
import pg from "pg";
import { freePort } from "../packages/backend-sql/src/free-port.ts";
import { findProgram, ServerProcess } from "../packages/backend-sql/src/server-process.ts";

/** A server that runs. */
export interface PostgresServer {
	readonly url: string;
	stop(): Promise<void>;
}

function programOf(name: string): string {
	const found = findProgram([
		`/usr/lib/postgresql/*/bin/${name}`,
		`/opt/homebrew/opt/postgresql*/bin/${name}`,
	]);
	if (found === undefined) throw new Error("Postgres is missing: npm run provision");
	return found;
}

/** Makes a server in a temporary folder and starts it. */
export async function startPostgres(): Promise<PostgresServer> {
	const server = new ServerProcess("bench-postgres", "postgres");
	const data = join(server.folder, "data");
	server.call(programOf("initdb"), [
		...["--pgdata", data],
		...["--username=postgres", "--auth=trust", "--encoding=UTF8"],
	]);
	const port = await freePort();
	const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
	const settings = ["-c", "unix_socket_directories=", "-c", "max_wal_size=4GB"];
	await server.start(programOf("postgres"), ["-D", data, "-p", String(port), ...settings], async () => {
		const client = new pg.Client({ connectionString: url });
		await client.connect();
		await client.end();
	});
	return { url, stop: () => server.stop() };
}
