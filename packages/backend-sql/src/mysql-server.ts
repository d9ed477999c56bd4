/** A real MariaDB, or MySQL, of a test's own. */
import { join } from "node:path";
import mysql from "mysql2/promise";
import { freePort } from "./free-port.js";
import { findProgram, ServerProcess } from "./server-process.js";

const places = ["/usr/sbin/", "/usr/bin/", "/opt/homebrew/opt/mariadb/bin/", ""];

const program = (name: string): string | undefined => findProgram(places.map((place) => `${place}${name}`));

/** Whether MariaDB is installed; where all must be tested its absence is an error. */
export const hasMariadb = (): boolean => {
	const found = program("mariadb-install-db") !== undefined && program("mariadbd") !== undefined;
	if (!found && process.env.CI === "true") throw new Error("MariaDB is missing: npm run provision");
	return found;
};

/** A running server. */
export class MariadbServer {
	readonly url: string;
	/** Connections for what a test does beside. */
	readonly admin: mysql.Pool;
	readonly #port: number;
	readonly #server: ServerProcess;

	private constructor(port: number, server: ServerProcess) {
		this.#port = port;
		this.#server = server;
		this.url = `mysql://holdfast:holdfast@127.0.0.1:${port}/test`;
		this.admin = mysql.createPool({ uri: this.url, connectionLimit: 2, multipleStatements: true });
	}

	/** Makes a server and starts it. */
	static async start(): Promise<MariadbServer> {
		const process = new ServerProcess("mariadb", "mysql");
		const data = `--datadir=${join(process.folder, "data")}`;
		process.call(program("mariadb-install-db") as string, [
			...["--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"],
		]);
		const server = new MariadbServer(await freePort(), process);
		const root = mysql.createPool({
			uri: `mysql://root@127.0.0.1:${server.#port}/`,
			connectionLimit: 1,
			multipleStatements: true,
		});
		await server.#start(() => root.query("select 1"));
		await root.query(
			`create user holdfast@'%' identified by 'holdfast'; grant all on *.* to holdfast@'%'; create database test`,
		);
		await root.end();
		return server;
	}

	/** Starts it again. */
	run(): Promise<void> {
		return this.#start(() => this.admin.query("select 1"));
	}

	/** Ends it as a crash would. */
	kill(): Promise<void> {
		return this.#server.kill();
	}

	async stop(): Promise<void> {
		await this.admin.end();
		await this.#server.stop();
	}

	#start(answers: () => Promise<unknown>): Promise<void> {
		const { folder } = this.#server;
		return this.#server.start(
			program("mariadbd") as string,
			[
				...["--no-defaults", `--datadir=${join(folder, "data")}`, `--port=${this.#port}`],
				...["--bind-address=127.0.0.1", `--socket=${join(folder, "socket")}`, "--max-connections=300"],
				// Names are not looked up, and the log is small: a test's server starts often.
				// What a killed process had written is in the system's hands: only a loss of power needs the disk to be synced.
				"--innodb-flush-method=nosync",
				...["--skip-name-resolve", "--innodb-log-file-size=16M", `--pid-file=${join(folder, "pid")}`],
			],
			answers,
		);
	}
}
