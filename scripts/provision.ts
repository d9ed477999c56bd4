/** Finds the programs that the tests need beside npm's packages, and installs what is missing where it may. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, globSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

interface Program {
	/** What can't be tested without it. */
	readonly neededBy: string;
	/** Debian's packages that bring it. */
	readonly packages: readonly string[];
	/** Where it may be, best first: a command's name, or a pattern of absolute paths. */
	readonly candidates: readonly string[];
}

const programs = {
	chromium: {
		neededBy: "the browser tests",
		packages: ["chromium"],
		candidates: [
			"chromium",
			"chromium-browser",
			"google-chrome",
			"/Applications/{Chromium,Google Chrome}.app/Contents/MacOS/{Chromium,Google Chrome}",
		],
	},
	"redis-server": {
		neededBy: "the tests of the Redis backend",
		packages: ["redis-server"],
		candidates: ["redis-server", "valkey-server"],
	},
	postgres: {
		neededBy: "the tests of the SQL backend",
		packages: ["postgresql"],
		candidates: [
			"/usr/lib/postgresql/*/bin/postgres",
			"/opt/homebrew/opt/postgresql*/bin/postgres",
			"postgres",
		],
	},
	mariadb: {
		neededBy: "the tests of the SQL backend",
		packages: ["mariadb-server"],
		candidates: ["mariadbd", "/usr/sbin/mariadbd"],
	},
} as const satisfies Record<string, Program>;

type ProgramName = keyof typeof programs;

const inCI = process.env.CI === "true";

/** Where Chromium is; `undefined` if it is missing, which in CI is an error: no test is skipped there. */
export const chromiumPath = (): string | undefined => required("chromium");

function required(name: ProgramName): string | undefined {
	const path = find(programs[name]);
	if (path === undefined && inCI) throw new Error(missing(name));
	return path;
}

function find({ candidates }: Program): string | undefined {
	const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
	return candidates
		.flatMap((candidate) =>
			candidate.startsWith("/")
				? globSync(candidate).sort()
				: folders.map((folder) => join(folder, candidate)),
		)
		.find(isExecutable);
}

function isExecutable(path: string): boolean {
	try {
		accessSync(path, constants.X_OK);
		return statSync(path).isFile();
	} catch {
		return false;
	}
}

const installCommand = (names: readonly ProgramName[]): string =>
	`apt-get update && apt-get install -y --no-install-recommends ${names.flatMap((name) => programs[name].packages).join(" ")}`;

const missing = (name: ProgramName): string =>
	`${name} is missing, which ${programs[name].neededBy} need. On Debian: ${installCommand([name])}`;

function install(names: readonly ProgramName[]): void {
	console.log(`Installing ${names.join(", ")}: ${installCommand(names)}`);
	spawnSync("sh", ["-c", installCommand(names)], {
		stdio: ["ignore", "ignore", "inherit"],
		env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
	});
}

/** Installs what is missing, if it may. Returns a line on each program that is still missing. */
export function provision(): string[] {
	const absent = () =>
		(Object.keys(programs) as ProgramName[]).filter((name) => find(programs[name]) === undefined);
	const mayInstall = process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
	if (absent().length > 0 && mayInstall) install(absent());
	for (const name of Object.keys(programs) as ProgramName[]) {
		const path = find(programs[name]);
		if (path !== undefined) console.log(`${name}: ${path}`);
	}
	return absent().map(missing);
}

if (import.meta.main) {
	const lacking = provision();
	for (const line of lacking) console.error(inCI ? line : `SKIPPED: ${line}`);
	if (inCI && lacking.length > 0) process.exitCode = 1;
}
