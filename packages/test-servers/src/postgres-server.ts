/** A real Postgres of a test's own. */
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { freePort } from "./free-port.ts";
import { programPath, requireProgram } from "./programs.ts";
import { ServerProcess } from "./server-process.ts";

/** Whether Postgres is installed; where all must be tested its absence is an error. */
export const hasPostgres = (): boolean => programPath("postgres") !== undefined;

// What a killed process had written is in the system's hands: only a loss of power needs the disk to be synced.
const fast = { fsync: "off", full_page_writes: "off" };

/** How a server is started. */
export interface PostgresSettings {
	/** Whether a commit is on the disk before it is answered, as Postgres comes. Default `false`. */
	readonly synced?: boolean;
	/** More settings of a `postgresql.conf`. */
	readonly settings?: Readonly<Record<string, string>>;
}

/** A running server. */
export class PostgresServer {
	readonly port: number;
	readonly url: string;
	/** A connection for what a test does beside. */
	readonly admin: pg.Pool;
	readonly #settings: Readonly<Record<string, string>>;
	readonly #server: ServerProcess;

	private constructor(port: number, server: ServerProcess, { synced, settings }: PostgresSettings) {
		this.port = port;
		this.#server = server;
		this.#settings = {
			max_connections: "300",
			unix_socket_directories: "",
			...(synced === true ? {} : fast),
			...settings,
		};
		this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
		this.admin = new pg.Pool({ connectionString: this.url, max: 2, application_name: "admin" });
		this.admin.on("error", () => {});
		this.admin.on("connect", (client) => client.on("error", () => {}));
	}

	/** Makes a server and starts it. */
	static async start(settings: PostgresSettings = {}): Promise<PostgresServer> {
		const process = new ServerProcess("postgres", "postgres");
		process.call(join(dirname(requireProgram("postgres")), "initdb"), [
			...["--pgdata", join(process.folder, "data")],
			...["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"],
			// Another order than that of bytes, so that nothing leans on the database's own.
			"--locale=C.UTF-8",
		]);
		const server = new PostgresServer(await freePort(), process, settings);
		await server.run();
		return server;
	}

	/** Runs SQL, several statements if need be; answers the rows of the last. */
	async query(text: string): Promise<readonly object[]> {
		const answers = await this.admin.query(text);
		return [answers].flat().at(-1)?.rows ?? [];
	}

	/** Ends all connections but those of {@link admin}, and waits until they are gone. */
	async dismiss(): Promise<void> {
		const others =
			"from pg_stat_activity where backend_type = 'client backend' and application_name <> 'admin'";
		while ((await this.query(`select pg_terminate_backend(pid) ${others}`)).length > 0) await delay(2);
	}

	/** Starts it again. */
	async run(): Promise<void> {
		await this.#server.start(
			requireProgram("postgres"),
			[
				...["-D", join(this.#server.folder, "data"), "-p", String(this.port)],
				...Object.entries(this.#settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
			],
			() => this.admin.query("select 1"),
		);
	}

	/** Ends it as a crash would. */
	kill(): Promise<void> {
		return this.#server.kill();
	}

	/** Ends it, and takes its folder away. */
	async stop(): Promise<void> {
		await this.admin.end();
		await this.#server.stop();
	}
}
