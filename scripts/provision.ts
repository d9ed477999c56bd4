/** Looks for the programs that the tests need beside npm's packages, and installs what is missing where it may. */
import { spawnSync } from "node:child_process";
import {
	findProgram,
	installCommand,
	missing,
	type ProgramName,
	programPath,
	programs,
} from "../packages/test-servers/src/programs.ts";

const inCI = process.env.CI === "true";
const names = Object.keys(programs) as ProgramName[];

/** Where Chromium is; `undefined` if it is missing, which in CI is an error: no test is skipped there. */
export const chromiumPath = (): string | undefined => programPath("chromium");

/** Where its headless shell is, or else the whole of it; `undefined` as for {@link chromiumPath}. */
export const headlessShellPath = (): string | undefined => programPath("chromium-headless-shell");

function install(names: readonly ProgramName[]): void {
	console.log(`Installing ${names.join(", ")}: ${installCommand(names)}`);
	spawnSync("sh", ["-c", installCommand(names)], {
		stdio: ["ignore", "ignore", "inherit"],
		env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
	});
}

const absent = (): ProgramName[] => names.filter((name) => findProgram(name) === undefined);

/** A line on each program that is missing. */
export const lacking = (): string[] => absent().map(missing);

if (import.meta.main) {
	const mayInstall = process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0;
	if (absent().length > 0 && mayInstall) {
		install(absent());
		// A package that this release lacks keeps all of them from being installed.
		for (const name of absent()) install([name]);
	}
	for (const name of names) {
		const path = findProgram(name);
		if (path !== undefined) console.log(`${name}: ${path}`);
	}
	for (const line of lacking()) console.error(inCI ? line : `SKIPPED: ${line}`);
	if (inCI && lacking().length > 0) process.exitCode = 1;
}
