/** `npm test`: every stage in order, up to the first that fails; its last line sums up. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { JsonTestResults } from "vitest/node";
import { lacking } from "./provision.ts";

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
		command: [
			...["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${path}`],
			// Many wait for a server or a browser: a worker less than there are cores, as is usual, would leave two cores half idle.
			...[`--maxWorkers=${availableParallelism()}`, ...args],
		],
		count() {
			const results = JSON.parse(readFileSync(path, "utf8")) as JsonTestResults;
			const skipped = results.numPendingTests + results.numTodoTests;
			return { passed: results.numPassedTests, failed: results.numFailedTests, skipped };
		},
	};
}

// The steps follow one another; in a step the sequences go on at once.
const steps: readonly (readonly (readonly Stage[])[])[] = [
	[
		// It waits for the network. Neither of the others looks for what it brings, as all that reads vitest's configurations does.
		[{ title: "Provision", command: ["node", "scripts/provision.ts"] }],
		[
			{ title: "Build", command: ["npm", "run", "--silent", "build"] },
			{ title: "API reference", command: ["npm", "run", "--silent", "docs"] },
		],
	],
	[[{ title: "Check: types, lint, format, unused code", command: ["npm", "run", "--silent", "check"] }]],
	[[vitest("Unit and conformance tests", "unit.json", "--project=!*browser")]],
	[[vitest("Browser tests", "browser.json", "--project=*browser")]],
	[
		[
			{
				title: "Packaging",
				command: ["node", "scripts/packaging/check.ts"],
				count: () => ({ skipped: 0, ...JSON.parse(readFileSync(join(reports, "packaging.json"), "utf8")) }),
			},
		],
	],
];

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Runs a stage. Its output goes straight to the terminal, or there as a whole in the end where another runs beside it. */
async function runStage({ title, command }: Stage, isAlone: boolean): Promise<boolean> {
	console.log(isAlone ? `\n━━━ ${title} ━━━` : `${title} …`);
	const started = performance.now();
	const [program = "", ...args] = command;
	const child = spawn(program, args, { cwd: root, stdio: isAlone ? "inherit" : "pipe", env });
	const output: Buffer[] = [];
	for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => output.push(part));
	const [code] = await once(child, "close");
	if (!isAlone) console.log(`\n━━━ ${title} ━━━\n${Buffer.concat(output)}`);
	console.log(`${code === 0 ? "✓" : "✗"} ${title}: ${seconds(started)}`);
	return code === 0;
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

const total = { passed: 0, failed: 0, skipped: 0 };

/** Runs stages one after another, up to the first that fails, here or in a sequence beside it. */
async function runSequence(stages: readonly Stage[], isAlone: boolean): Promise<void> {
	for (const stage of stages) {
		if (total.failed > 0) return;
		const counted = countOf(await runStage(stage, isAlone), stage.count);
		total.passed += counted.passed;
		total.failed += counted.failed;
		total.skipped += counted.skipped;
	}
}

for (const sequences of steps)
	await Promise.all(sequences.map((stages) => runSequence(stages, sequences.length === 1)));

console.log(`\nIn ${seconds(started)}.`);
for (const line of lacking()) console.log(`NOT TESTED: ${line}`);
console.log(
	`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`,
);
process.exitCode = total.failed > 0 ? 1 : 0;
