/** A real Postgres of a test's own. */
import { join } from "node:path";
import pg from "pg";
import { freePort } from "./free-port.js";
import { findProgram, ServerProcess } from "./server-process.js";

const places = ["/usr/lib/postgresql/*/bin/", "/opt/homebrew/opt/postgresql*/bin/", ""];

const program = (name: string): string | undefined => findProgram(places.map((place) => `${place}${name}`));

/** Whether Postgres is installed; where all must be tested its absence is an error. */
export const hasPostgres = (): boolean => {
	const found = program("initdb") !== undefined && program("postgres") !== undefined;
	if (!found && process.env.CI === "true") throw new Error("Postgres is missing: npm run provision");
	return found;
};

/** A running server. */
export class PostgresServer {
	readonly url: string;
	/** A connection for what a test does beside. */
	readonly admin: pg.Pool;
	readonly #port: number;
	readonly #server: ServerProcess;

	private constructor(port: number, server: ServerProcess) {
		this.#port = port;
		this.#server = server;
		this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
		this.admin = new pg.Pool({ connectionString: this.url, max: 2 });
		this.admin.on("error", () => {});
		this.admin.on("connect", (client) => client.on("error", () => {}));
	}

	/** Makes a server and starts it. */
	static async start(): Promise<PostgresServer> {
		const process = new ServerProcess("postgres", "postgres");
		process.call(program("initdb") as string, [
			...["--pgdata", join(process.folder, "data")],
			...["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"],
			// Another order than that of bytes, so that nothing leans on the database's own.
			"--locale=C.UTF-8",
		]);
		const server = new PostgresServer(await freePort(), process);
		await server.run();
		return server;
	}

	/** Starts it again. */
	async run(): Promise<void> {
		// What a killed process had written is in the system's hands: only a loss of power needs the disk to be synced.
		const settings = {
			max_connections: 300,
			unix_socket_directories: "",
			fsync: "off",
			full_page_writes: "off",
		};
		await this.#server.start(
			program("postgres") as string,
			[
				...["-D", join(this.#server.folder, "data"), "-p", String(this.#port)],
				...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
			],
			() => this.admin.query("select 1"),
		);
	}

	/** Ends it as a crash would. */
	kill(): Promise<void> {
		return this.#server.kill();
	}

	async stop(): Promise<void> {
		await this.admin.end();
		await this.#server.stop();
	}
}
