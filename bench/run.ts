/** Runs the suites, each in a process of its own: all of them, or those that are named (`npm run bench -- core`). */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { writeComparison } from "./comparison.ts";

const suites = globSync("*.bench.ts", { cwd: import.meta.dirname })
	.map((file) => file.replace(/\.bench\.ts$/, ""))
	.sort();
const named = process.argv.slice(2);
const unknown = named.filter((name) => !suites.includes(name));
if (unknown.length > 0) {
	console.error(`There is no suite ${unknown.join(", ")}; there are: ${suites.join(", ")}.`);
	process.exit(1);
}

for (const suite of named.length > 0 ? named : suites) {
	console.log(`\n━━━ ${suite} ━━━`);
	const args = ["--expose-gc", join(import.meta.dirname, `${suite}.bench.ts`)];
	if (spawnSync(process.execPath, args, { stdio: "inherit" }).status !== 0) process.exitCode = 1;
}

writeComparison();
