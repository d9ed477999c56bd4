/** The programs that tests need beside npm's packages, and where they are. */
import { execFileSync } from "node:child_process";
import { accessSync, constants, globSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

interface Program {
	/** What can't be tested without it. */
	readonly neededBy: string;
	/** Debian's packages that bring it. */
	readonly packages: readonly string[];
	/** Where it may be, best first: a command's name, or a pattern of absolute paths. */
	readonly candidates: readonly string[];
	/** The environment variable that names one to take instead. */
	readonly variable?: string;
}

const chromium = [
	"chromium",
	"chromium-browser",
	"google-chrome",
	"/Applications/{Chromium,Google Chrome}.app/Contents/MacOS/{Chromium,Google Chrome}",
];

/** The programs, by name. */
export const programs = {
	chromium: { neededBy: "the browser tests", packages: ["chromium"], candidates: chromium },
	"chromium-headless-shell": {
		neededBy: "the browser tests",
		packages: ["chromium-headless-shell"],
		// The same engine without the windows around it: a page costs a third of the CPU time. The whole of Chromium serves as well.
		candidates: ["chromium-headless-shell", ...chromium],
	},
	"redis-server": {
		neededBy: "the tests of the Redis backend",
		packages: ["redis-server"],
		candidates: ["redis-server", "valkey-server"],
		variable: "HOLDFAST_REDIS_SERVER",
	},
	postgres: {
		neededBy: "the tests of the SQL backend",
		packages: ["postgresql"],
		candidates: [
			"/usr/lib/postgresql/*/bin/postgres",
			"/opt/homebrew/opt/postgresql*/bin/postgres",
			"postgres",
		],
		variable: "HOLDFAST_POSTGRES_SERVER",
	},
	pgbouncer: {
		neededBy: "the tests of the SQL backend",
		packages: ["pgbouncer"],
		candidates: ["pgbouncer", "/usr/sbin/pgbouncer"],
		variable: "HOLDFAST_PGBOUNCER",
	},
	mariadb: {
		neededBy: "the tests of the SQL backend",
		packages: ["mariadb-server"],
		candidates: ["mariadbd", "/usr/sbin/mariadbd", "/opt/homebrew/opt/mariadb/bin/mariadbd"],
		variable: "HOLDFAST_MYSQL_SERVER",
	},
} as const satisfies Record<string, Program>;

/** What one of them is called. */
export type ProgramName = keyof typeof programs;

/** Where a program is; `undefined` if it is missing. Throws if the variable for it names what can't be run. */
export function findProgram(name: ProgramName): string | undefined {
	const { candidates, variable }: Program = programs[name];
	const named = variable === undefined ? undefined : process.env[variable];
	if (named === undefined || named === "") return firstProgram(candidates);
	if (!isProgram(named)) throw new Error(`${variable} names no program: ${named}`);
	return named;
}

/** Where a program is; `undefined` if it is missing, which in CI is an error: no test is skipped there. */
export function programPath(name: ProgramName): string | undefined {
	const path = findProgram(name);
	if (path === undefined && process.env.CI === "true") throw new Error(missing(name));
	return path;
}

/** Whether a program is this version, such as `7.0`, or a later one, by what it says itself. */
export function isProgramSince(name: ProgramName, since: string): boolean {
	const said = execFileSync(requireProgram(name), ["--version"], { encoding: "utf8" });
	const parts = (version: string): number[] => /(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
	const [major, minor] = parts(said);
	const [sinceMajor, sinceMinor] = parts(since);
	if (major === undefined || minor === undefined || sinceMajor === undefined || sinceMinor === undefined)
		throw new Error(`no version of ${name} to compare with ${since}: ${said}`);
	return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

/** Where a program is; throws what to install if it is missing. */
export function requireProgram(name: ProgramName): string {
	const path = findProgram(name);
	if (path === undefined) throw new Error(missing(name));
	return path;
}

/** The first of these names and patterns that is a program. */
export function firstProgram(candidates: readonly string[]): string | undefined {
	const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
	return candidates
		.flatMap((candidate) =>
			candidate.startsWith("/")
				? globSync(candidate).sort().reverse()
				: folders.map((folder) => join(folder, candidate)),
		)
		.find(isProgram);
}

function isProgram(path: string): boolean {
	try {
		accessSync(path, constants.X_OK);
		return statSync(path).isFile();
	} catch {
		return false;
	}
}

/** The command by which Debian installs them. */
export const installCommand = (names: readonly ProgramName[]): string =>
	`apt-get update && apt-get install -y --no-install-recommends ${names.flatMap((name) => programs[name].packages).join(" ")}`;

/** A line that says what is not tested without it, and how to install it. */
export const missing = (name: ProgramName): string =>
	`${name} is missing, which ${programs[name].neededBy} need. On Debian: ${installCommand([name])}`;
