/** Brings releases of Node from the npm registry. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";

/** The path of a Node binary of that version, kept in a cache folder from run to run. */
export async function nodeRelease(version: string, cache: string): Promise<string> {
	const folder = join(cache, `node-${version}`);
	const binary = join(folder, "node_modules/node/bin/node");
	if (!existsSync(binary)) {
		mkdirSync(folder, { recursive: true });
		// The package's install script brings the platform's binary; npm runs only the scripts that are allowed.
		const manifest = { private: true, dependencies: { node: version }, allowScripts: { node: true } };
		writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
		await run("npm", ["install", "--no-audit", "--no-fund"], folder);
	}
	return binary;
}
