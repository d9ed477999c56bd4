import { execFile, spawnSync } from "node:child_process";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Page } from "./page.ts";

const root = join(import.meta.dirname, "..");

const pages = [
	"README.md",
	"ARCHITECTURE.md",
	...["core", "backend-redis", "backend-sql", "backend-browser"].map((name) => `packages/${name}/README.md`),
	...readdirSync(import.meta.dirname).map((name) => `docs/${name}`),
]
	.filter((path) => path.endsWith(".md"))
	.map((path) => new Page(path));

const withExamples = pages.filter(({ module }) => module.trim() !== "");

// Inside the repository, so that the examples resolve the same packages.
mkdirSync(join(root, ".tmp"), { recursive: true });
const folder = mkdtempSync(join(root, ".tmp/pages-"));
const moduleOf = ({ path, extension }: Page): string =>
	join(folder, path.replaceAll("/", "-").replace(/md$/, extension));
for (const page of withExamples) writeFileSync(moduleOf(page), page.module);
for (const { path, checked, extension } of pages)
	for (const [i, module] of checked.entries())
		writeFileSync(join(folder, `${path.replaceAll("/", "-").replace(/md$/, `${i}.${extension}`)}`), module);
const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.base.json"), "utf8"));
const paths = {
	...Object.fromEntries(
		Object.entries<string[]>(compilerOptions.paths).map(([name, [path = ""]]) => [name, [join(root, path)]]),
	),
	// What a user installs beside a backend is found from its package alone.
	ioredis: [join(root, "packages/backend-redis/node_modules/ioredis")],
	kysely: [join(root, "packages/backend-sql/node_modules/kysely")],
};
writeFileSync(
	join(folder, "tsconfig.json"),
	JSON.stringify({
		extends: "../../tsconfig.base.json",
		// What a block that is only compiled declares, it need not use.
		compilerOptions: { jsx: "react-jsx", noUnusedLocals: false, paths },
		include: ["*.ts", "*.tsx"],
	}),
);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the examples", () => {
	let complaints: string[];

	beforeAll(() => {
		const tsc = join(root, "node_modules/typescript/bin/tsc");
		const { stdout, stderr } = spawnSync(process.execPath, [tsc, "--pretty", "false", "--project", folder], {
			cwd: root,
			encoding: "utf8",
		});
		complaints = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
	}, 600_000);

	test("are there to be checked", () => {
		expect(withExamples.map(({ path }) => path)).toContain("README.md");
		expect(withExamples.length).toBeGreaterThan(1);
	});

	test("are all compiled, also where they can't be run", () => {
		const uncompiled = pages.filter(({ text }) => /^```(js|jsx|typescript|javascript)\b/m.test(text));
		expect(uncompiled.map(({ path }) => path)).toEqual([]);
		expect(pages.flatMap(({ checked }) => checked).length).toBeGreaterThan(5);
	});

	test("type-check", () => expect(complaints).toEqual([]));

	for (const page of withExamples.filter(({ isSuite }) => !isSuite))
		test(`of ${page.path} print what they say, and end`, { timeout: 60_000 }, async () => {
			expect(page.promisedOutput).not.toEqual([]);
			expect((await run(page)).trimEnd().split("\n")).toEqual(page.promisedOutput);
		});
});

for (const page of withExamples.filter(({ isSuite }) => isSuite))
	describe(`the example of ${page.path}`, async () => {
		await import(moduleOf(page));
	});

describe("the links", () => {
	test.each(pages.map(({ path, links }) => [path, links] as const))("of %s lead somewhere", (_, links) => {
		const broken = links.filter((link) => {
			const [path = "", anchor] = link.split("#");
			if (!existsSync(join(root, path))) return true;
			return anchor !== undefined && !new Page(path).anchors.includes(anchor);
		});
		expect(broken).toEqual([]);
	});

	test("of the index name every page", () => {
		const index = new Page("docs/README.md");
		const others = pages
			.map(({ path }) => path)
			.filter((path) => path.startsWith("docs/") && path !== index.path);
		expect([...index.links].sort()).toEqual(expect.arrayContaining(others.sort()));
	});
});

test("docs/errors.md says what every code means", () => {
	const source = readFileSync(join(root, "packages/core/src/error.ts"), "utf8");
	const [, union = ""] = /export type ErrorCode =([^;]*);/.exec(source) ?? [];
	const codes = [...union.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code);
	const [table = ""] = new Page("docs/errors.md").text.split("\n## ");
	const listed = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
	expect(codes.length).toBeGreaterThan(10);
	expect(listed.sort()).toEqual(codes.sort());
});

/** What a page's examples print; rejects, with their output, if they do not end with 0 within half a minute. */
async function run(page: Page): Promise<string> {
	const file = moduleOf(page).replace(/tsx?$/, "mjs");
	await build({
		entryPoints: [moduleOf(page)],
		outfile: file,
		bundle: true,
		platform: "node",
		format: "esm",
		jsx: "automatic",
		// A package's own dependency may be found from there alone.
		external: ["better-sqlite3", "fast-check", "ioredis", "mysql2", "pg", "react", "react-dom", "vitest"],
		tsconfig: join(root, "tsconfig.base.json"),
	});
	const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: root, timeout: 30_000 });
	return stdout;
}
