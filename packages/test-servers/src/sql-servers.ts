/** The database servers that are tested, for tests that are the same on each. */
import { hasMysql, MysqlServer, mysqlName } from "./mysql-server.ts";
import { hasPostgres, PostgresServer } from "./postgres-server.ts";

/** A server that runs. */
export interface SqlServer {
	readonly url: string;
	/** Runs SQL, several statements if need be; answers the rows of the last. */
	query(text: string): Promise<readonly object[]>;
	/** Ends all connections but those of {@link query}, and waits until they are gone: nothing that was asked over them is carried out any more. */
	dismiss(): Promise<void>;
	/** Starts it again. */
	run(): Promise<void>;
	/** Ends it as a crash would. */
	kill(): Promise<void>;
	/** Ends it, and takes its folder away. */
	stop(): Promise<void>;
}

/** A server that may be installed. */
export interface SqlServerKind {
	readonly name: string;
	readonly isThere: boolean;
	start(): Promise<SqlServer>;
}

/** Postgres, and what is there of MariaDB and MySQL. */
export const sqlServers: readonly SqlServerKind[] = [
	{ name: "Postgres", isThere: hasPostgres(), start: () => PostgresServer.start() },
	{ name: mysqlName(), isThere: hasMysql(), start: () => MysqlServer.start() },
];
