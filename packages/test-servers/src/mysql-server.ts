/** A real MariaDB, or MySQL, of a test's own. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import mysql from "mysql2/promise";
import { freePort } from "./free-port.ts";
import { firstProgram, programPath, requireProgram } from "./programs.ts";
import { ServerProcess } from "./server-process.ts";

/** Whether one of the two is installed; where all must be tested their absence is an error. */
export const hasMysql = (): boolean => programPath("mariadb") !== undefined;

/** Which of the two it is. */
export function mysqlName(): "MariaDB" | "MySQL" {
	const program = programPath("mariadb");
	if (program === undefined) return "MariaDB";
	const version = execFileSync(program, ["--no-defaults", "--version"], { encoding: "utf8" });
	return version.includes("MariaDB") ? "MariaDB" : "MySQL";
}

/** Makes an empty database in a folder. */
function initialise(server: ServerProcess, data: string): void {
	if (mysqlName() === "MySQL") {
		server.call(requireProgram("mariadb"), ["--no-defaults", "--initialize-insecure", data]);
		return;
	}
	const script = firstProgram([
		...["mariadb-install-db", "/usr/bin/mariadb-install-db"],
		"/opt/homebrew/opt/mariadb/bin/mariadb-install-db",
	]);
	if (script === undefined) throw new Error("mariadb-install-db is missing, which is of MariaDB's server");
	server.call(script, ["--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
}

// MySQL has a second protocol, on a port that only one server can have, and wants a folder for files that it exports.
const own = {
	MariaDB: ["--innodb-log-file-size=16M"],
	MySQL: ["--innodb-redo-log-capacity=16M", "--mysqlx=OFF", "--secure-file-priv="],
};

const beginning = [
	"create user holdfast@'%' identified by 'holdfast';",
	"grant all on *.* to holdfast@'%';",
	"create user admin@'%' identified by 'admin';",
	"grant all on *.* to admin@'%';",
	"create database test;",
];

/** A running server. */
export class MysqlServer {
	readonly url: string;
	/** Connections for what a test does beside. */
	readonly admin: mysql.Pool;
	readonly #port: number;
	readonly #server: ServerProcess;
	readonly #data: string;

	private constructor(port: number, server: ServerProcess) {
		this.#port = port;
		this.#server = server;
		this.#data = `--datadir=${join(server.folder, "data")}`;
		this.url = `mysql://holdfast:holdfast@127.0.0.1:${port}/test`;
		const uri = this.url.replace("holdfast:holdfast", "admin:admin");
		this.admin = mysql.createPool({ uri, connectionLimit: 2, multipleStatements: true });
	}

	/** Makes a server and starts it. */
	static async start(): Promise<MysqlServer> {
		const server = new MysqlServer(await freePort(), new ServerProcess("mysql", "mysql"));
		initialise(server.#server, server.#data);
		const file = join(server.#server.folder, "beginning.sql");
		writeFileSync(file, beginning.join("\n"));
		await server.#start([`--init-file=${file}`]);
		return server;
	}

	/** Runs SQL, several statements if need be; answers the rows of one. */
	async query(text: string): Promise<readonly object[]> {
		const [rows] = await this.admin.query(text);
		return rows as object[];
	}

	/** Ends all connections but those of {@link admin}, and waits until they are gone. */
	async dismiss(): Promise<void> {
		const others = `select id as id from information_schema.processlist where user in ('holdfast', 'unauthenticated user')`;
		for (;;) {
			const rows = (await this.query(others)) as { readonly id: number }[];
			if (rows.length === 0) return;
			// It may have ended meanwhile.
			for (const { id } of rows) await this.query(`kill ${id}`).catch(() => {});
			await delay(2);
		}
	}

	/** Starts it again. */
	run(): Promise<void> {
		return this.#start([]);
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

	#start(more: readonly string[]): Promise<void> {
		const { folder } = this.#server;
		return this.#server.start(
			requireProgram("mariadb"),
			[
				...["--no-defaults", this.#data, `--port=${this.#port}`, "--bind-address=127.0.0.1"],
				...[`--socket=${join(folder, "socket")}`, `--pid-file=${join(folder, "pid")}`],
				// Names are not looked up, and the log is small: a test's server starts often.
				...["--max-connections=300", "--skip-name-resolve", ...own[mysqlName()]],
				// What a killed process had written is in the system's hands: only a loss of power needs the disk to be synced.
				"--innodb-flush-method=nosync",
				...more,
			],
			() => this.admin.query("select 1"),
		);
	}
}
