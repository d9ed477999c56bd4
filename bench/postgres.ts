/** A Postgres of a suite's own, as it comes: every commit is on disk before it is answered. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";

/** A server that runs. */
export interface PostgresServer {
	readonly url: string;
	stop(): Promise<void>;
}

function programOf(name: string): string {
	const found = globSync([`/usr/lib/postgresql/*/bin/${name}`, `/opt/homebrew/opt/postgresql*/bin/${name}`]);
	const newest = found.sort().at(-1);
	if (newest === undefined) throw new Error("Postgres is missing: npm run provision");
	return newest;
}

/** Postgres refuses to run as root. */
function unprivileged(): { uid?: number; gid?: number } {
	if (process.getuid?.() !== 0) return {};
	const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
	return { uid: id("-u"), gid: id("-g") };
}

async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, "close");
	return port;
}

/** Makes a server in a temporary folder and starts it. */
export async function startPostgres(): Promise<PostgresServer> {
	const as = unprivileged();
	const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-postgres-"));
	if (as.uid !== undefined && as.gid !== undefined) chownSync(folder, as.uid, as.gid);
	const data = join(folder, "data");
	execFileSync(
		programOf("initdb"),
		["--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8"],
		{ stdio: "pipe", cwd: folder, ...as },
	);
	const port = await freePort();
	const settings = ["-c", "unix_socket_directories=", "-c", "max_wal_size=4GB"];
	const server = spawn(programOf("postgres"), ["-D", data, "-p", String(port), ...settings], {
		stdio: "ignore",
		cwd: folder,
		...as,
	});
	const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
	for (let tries = 0; ; tries++) {
		const client = new pg.Client({ connectionString: url });
		try {
			await client.connect();
			await client.end();
			break;
		} catch (error) {
			if (tries > 300 || server.exitCode !== null) throw error;
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}
	return {
		url,
		async stop() {
			const exit = once(server, "exit");
			server.kill("SIGINT");
			await exit;
			rmSync(folder, { recursive: true, force: true });
		},
	};
}
