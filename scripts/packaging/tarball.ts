/** Packs the public packages as npm would publish them. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./run.ts";

/** A package as it would be published. */
export interface Tarball {
	/** The package's name. */
	readonly name: string;
	/** The path of its .tgz file. */
	readonly path: string;
	/** Its entry points that have an ES module only, which Node's `require` takes as well. */
	readonly moduleOnly: readonly string[];
	/** The paths of what is in it. */
	readonly files: readonly string[];
}

/** Packs every public package of the repository into a folder. */
export async function packAll(root: string, folder: string): Promise<Tarball[]> {
	const packages = globSync("packages/*/package.json", { cwd: root })
		.sort()
		.map((file) => ({
			directory: dirname(join(root, file)),
			manifest: JSON.parse(readFileSync(join(root, file), "utf8")),
		}))
		.filter(({ manifest }) => manifest.private !== true);
	return Promise.all(
		packages.map(async ({ directory, manifest }) => {
			const output = await run("npm", ["pack", "--json", "--pack-destination", folder], directory);
			const [packed] = Object.values(JSON.parse(output)) as { filename: string; files: { path: string }[] }[];
			if (packed === undefined) throw new Error(`npm packed nothing in ${directory}.`);
			const { name, exports } = manifest as { name: string; exports: Record<string, object> };
			const moduleOnly = Object.keys(exports).filter((entry) => !("require" in (exports[entry] ?? {})));
			const files = packed.files.map(({ path }) => path);
			return { name, path: join(folder, packed.filename), moduleOnly, files };
		}),
	);
}
