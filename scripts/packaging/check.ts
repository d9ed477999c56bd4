/** Checks the packages as their users get them: packed, installed in an empty project, on each supported Node. */
import {
	copyFileSync,
	cpSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { checkSize, sizedPackages } from "../size.ts";
import { nodeRelease } from "./node-release.ts";
import { run } from "./run.ts";
import { packAll, type Tarball } from "./tarball.ts";

const root = join(import.meta.dirname, "../..");
const report = join(root, ".tmp/packaging.json");

// The oldest that `engines` promises, and the newest of the line that the repository works with.
const nodeVersions = ["22.18.0", "24"];

// What `./testing` needs beside the package; the repository's own copy serves.
const peers = ["fast-check", "vitest"];

const count = { passed: 0, failed: 0 };

type Check = readonly [name: string, body: () => Promise<string | undefined>];

async function runCheck([name, body]: Check): Promise<void> {
	const started = performance.now();
	try {
		const note = await body();
		count.passed++;
		console.log(`✓ ${name}${note ? `: ${note}` : ""} (${Math.round(performance.now() - started)} ms)`);
	} catch (error) {
		count.failed++;
		console.error(`✗ ${name}\n${error instanceof Error ? error.message : error}`);
	}
}

/** Runs checks, as many at once as there are cores. */
async function runChecks(checks: readonly Check[]): Promise<void> {
	const left = checks.values();
	const work = async (): Promise<void> => {
		for (const check of left) await runCheck(check);
	};
	await Promise.all(Array.from({ length: availableParallelism() }, work));
}

const quietly = async (command: string, args: readonly string[], folder: string): Promise<undefined> => {
	await run(command, args, folder);
};

/** An empty project with the tarballs installed, and the consumers of `consumer/` in it. */
async function makeConsumer(folder: string, tarballs: readonly Tarball[]): Promise<void> {
	const dependencies = Object.fromEntries(tarballs.map(({ name, path }) => [name, `file:${path}`]));
	// A package's own dependency on another of ours must be met by the tarball, not by what is published.
	const overrides = Object.fromEntries(tarballs.map(({ name }) => [name, `$${name}`]));
	mkdirSync(folder);
	writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies, overrides }));
	cpSync(join(import.meta.dirname, "consumer"), folder, { recursive: true });
	copyFileSync(join(folder, "types.ts"), join(folder, "types.mts"));
	copyFileSync(join(folder, "types.ts"), join(folder, "types.cts"));
	await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], folder);
	for (const peer of peers) symlinkSync(join(root, "node_modules", peer), join(folder, "node_modules", peer));
}

function typeCheck(file: string, folder: string): Promise<undefined> {
	const settings = ["--noEmit", "--strict", "--skipLibCheck", "false", "--exactOptionalPropertyTypes"];
	const target = ["--target", "es2023", "--module", "nodenext", "--lib", "es2023,esnext.disposable,dom"];
	return quietly(
		process.execPath,
		[join(root, "node_modules/typescript/bin/tsc"), ...settings, ...target, file],
		folder,
	);
}

/** What is checked of a tarball by itself. */
function checksOf({ name, path, moduleOnly, files }: Tarball): Check[] {
	const tool = (name: string): string => join(root, "node_modules/.bin", name);
	// node16: resolution as Node and bundlers do it, without the old one that ignores `exports`.
	const attw = (...args: readonly string[]) =>
		quietly(tool("attw"), [path, "--profile", "node16", ...args], root);
	const excluded = moduleOnly.length > 0 ? ["--exclude-entrypoints", ...moduleOnly] : [];
	return [
		[
			`${name}: says what it is and may be used for`,
			async () => {
				const missing = ["README.md", "LICENSE"].filter((file) => !files.includes(file));
				if (missing.length > 0) throw new Error(`The tarball has no ${missing.join(", no ")}.`);
				return undefined;
			},
		],
		[`${name}: publint`, () => quietly(tool("publint"), ["run", path, "--strict"], root)],
		[`${name}: are the types wrong?`, () => attw(...excluded)],
		...moduleOnly.map((entry): Check => {
			const args = ["--entrypoints", entry, "--ignore-rules", "cjs-resolves-to-esm"];
			return [`${name}: are the types of ${entry} wrong?`, () => attw(...args)];
		}),
	];
}

/** What is checked of all of them together, installed in a folder. */
function consumerChecks(consumer: string, nodes: ReadonlyMap<string, string>): Check[] {
	const programs = readdirSync(consumer).filter((file) => /\.[mc]js$/.test(file));
	return [
		...["types.mts", "types.cts"].map(
			(file): Check => [`TypeScript: ${file}`, () => typeCheck(file, consumer)],
		),
		...[...nodes].flatMap(([version, node]) =>
			programs.map((file): Check => [`Node ${version}: ${file}`, () => quietly(node, [file], consumer)]),
		),
		...sizedPackages.map((name): Check => [`${name}: size`, () => checkSize(name, consumer)]),
	];
}

const folder = mkdtempSync(join(tmpdir(), "holdfast-packaging-"));
try {
	const tarballs = await packAll(root, folder);
	const consumer = join(folder, "consumer");
	const cache = join(root, "node_modules/.cache/holdfast");
	const nodes = new Map<string, string>();
	// The registry's answers are awaited while the tarballs are checked.
	const [installed] = await Promise.allSettled([
		(async () => {
			await makeConsumer(consumer, tarballs);
			for (const version of nodeVersions) nodes.set(version, await nodeRelease(version, cache));
		})(),
		runChecks(tarballs.flatMap(checksOf)),
	]);
	if (installed.status === "rejected") throw installed.reason;
	await runChecks(consumerChecks(consumer, nodes));
} catch (error) {
	count.failed++;
	console.error(error);
} finally {
	rmSync(folder, { recursive: true, force: true });
}

mkdirSync(join(root, ".tmp"), { recursive: true });
writeFileSync(report, JSON.stringify(count));
console.log(`${count.passed} checks passed, ${count.failed} failed`);
if (count.failed > 0) process.exitCode = 1;
