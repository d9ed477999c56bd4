/** Holds each package's size in a browser's bundle to `size-budget.json`. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

interface Budget {
	/** What a small application imports, by package. */
	readonly imports: Readonly<Record<string, readonly string[]>>;
	/** The most that it may weigh, minified and gzipped: what it weighs now, and a little. It only goes down. */
	readonly gzipBytes: number;
	/** What it should weigh. */
	readonly aimGzipBytes: number;
}

const budgets: Record<string, Budget> = JSON.parse(readFileSync(`${root}size-budget.json`, "utf8"));

/**
 * Bundles an ES module for browsers, as it finds its packages from a folder. Fails if a built-in module of Node is
 * pulled in: for a browser, esbuild knows none.
 */
export async function bundleForBrowser(source: string, folder: string, tsconfig?: string): Promise<string> {
	const { outputFiles } = await build({
		stdin: { contents: source, resolveDir: folder },
		bundle: true,
		write: false,
		platform: "browser",
		format: "esm",
		target: "es2022",
		minify: true,
		logLevel: "silent",
		...(tsconfig === undefined ? { tsconfigRaw: {} } : { tsconfig }),
	});
	return outputFiles[0]?.text ?? "";
}

/** The sizes of what has a budget, as found from a folder: a line for people. Throws if over the budget. */
export async function checkSize(name: string, folder: string): Promise<string> {
	const budget = budgets[name];
	if (budget === undefined) throw new Error(`${name} has no budget in size-budget.json.`);
	const lines = Object.entries(budget.imports).map(
		([from, names]) => `export { ${names.join(", ")} } from "${from}";`,
	);
	const code = await bundleForBrowser(lines.join("\n"), folder);
	const gzipBytes = gzipSync(code, { level: 9 }).byteLength;
	const line = `${Buffer.byteLength(code)} bytes minified, ${gzipBytes} gzipped, of at most ${budget.gzipBytes} (aim: ${budget.aimGzipBytes})`;
	if (gzipBytes > budget.gzipBytes) throw new Error(`${name} is over its budget: ${line}`);
	return line;
}

/** What has a budget: a package, or several together. */
export const sizedPackages: readonly string[] = Object.keys(budgets);

if (import.meta.main) {
	for (const name of sizedPackages) console.log(`${name}: ${await checkSize(name, root)}`);
}
