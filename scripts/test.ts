/** `npm test`: every stage in order, up to the first that fails; its last line sums up. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { JsonTestResults } from "vitest/node";
import { provision } from "./provision.ts";

const root = join(import.meta.dirname, "..");
const reports = join(root, ".tmp");

interface Count {
	readonly passed: number;
	readonly failed: number;
	readonly skipped: number;
}

interface Stage {
	readonly title: string;
	readonly command: readonly string[];
	/** Reads what the stage counted, if it counts. */
	readonly count?: () => Count;
}

function vitest(title: string, file: string, ...args: readonly string[]): Stage {
	const path = join(reports, file);
	return {
		title,
		command: ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${path}`, ...args],
		count() {
			const results = JSON.parse(readFileSync(path, "utf8")) as JsonTestResults;
			const skipped = results.numPendingTests + results.numTodoTests;
			return { passed: results.numPassedTests, failed: results.numFailedTests, skipped };
		},
	};
}

const stages: readonly Stage[] = [
	{ title: "Build", command: ["npm", "run", "--silent", "build"] },
	{ title: "Check: types, lint, format, unused code", command: ["npm", "run", "--silent", "check"] },
	// Most of these wait for a server: a worker less than there are cores, as is usual, would leave two cores half idle.
	vitest(
		"Unit and conformance tests",
		"unit.json",
		"--project=!*browser",
		`--maxWorkers=${availableParallelism()}`,
	),
	vitest("Browser tests", "browser.json", "--project=*browser"),
	{
		title: "Packaging",
		command: ["node", "scripts/packaging/check.ts"],
		count: () => ({ skipped: 0, ...JSON.parse(readFileSync(join(reports, "packaging.json"), "utf8")) }),
	},
	{ title: "API reference", command: ["npm", "run", "--silent", "docs"] },
];

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Runs a stage, whose output goes straight to the terminal. */
function runStage({ title, command: [command = "", ...args], count }: Stage): {
	ok: boolean;
	counted: Count;
} {
	console.log(`\n━━━ ${title} ━━━`);
	const started = performance.now();
	const ok = spawnSync(command, args, { cwd: root, stdio: "inherit", env }).status === 0;
	console.log(`${ok ? "✓" : "✗"} ${title}: ${seconds(started)}`);
	return { ok, counted: countOf(ok, count) };
}

function countOf(ok: boolean, count: Stage["count"]): Count {
	let counted: Count = { passed: 0, failed: 0, skipped: 0 };
	try {
		if (count) counted = count();
	} catch (error) {
		// A stage that broke before it could count; one that succeeded has counted.
		if (ok) throw error;
	}
	// A stage that fails without a failing test (a build, a file that does not load) counts as one failure.
	return ok || counted.failed > 0 ? counted : { ...counted, failed: 1 };
}

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1" };
const started = performance.now();
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports);

console.log("━━━ Provision ━━━");
const lacking = provision();
for (const line of lacking) console.error(line);

const total = { passed: 0, failed: lacking.length > 0 && process.env.CI === "true" ? 1 : 0, skipped: 0 };
for (const stage of stages) {
	if (total.failed > 0) break;
	const { counted } = runStage(stage);
	total.passed += counted.passed;
	total.failed += counted.failed;
	total.skipped += counted.skipped;
}

console.log(`\nIn ${seconds(started)}.`);
for (const line of lacking) console.log(`NOT TESTED: ${line}`);
console.log(
	`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`,
);
process.exitCode = total.failed > 0 ? 1 : 0;
