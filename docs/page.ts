/** A page of the documentation, as tests see it: its examples, what they print, its links. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "..");

/** A page; its path is relative to the repository. */
export class Page {
	readonly path: string;
	readonly text: string;
	/** All blocks of ```ts and ```tsx in order, as one module: a later block goes on where an earlier one ended. */
	readonly module: string;
	/** Blocks of ```ts check and ```tsx check, each a module of its own, which is compiled and not run: it needs a server, or a page. */
	readonly checked: readonly string[];
	/** How the modules' files end. */
	readonly extension: "ts" | "tsx";

	constructor(path: string) {
		this.path = path;
		this.text = readFileSync(join(root, path), "utf8");
		this.module = examplesOf(this.text);
		this.checked = checkedOf(this.text);
		this.extension = /^```tsx/m.test(this.text) ? "tsx" : "ts";
	}

	/** What the examples say that they print: their `// prints: …` comments, in order. */
	get promisedOutput(): string[] {
		return [...this.module.matchAll(/\/\/ prints: (.*)$/gm)].map(([, line = ""]) => line.trimEnd());
	}

	/** Whether the examples are tests, for vitest to run. */
	get isSuite(): boolean {
		return /^conformance\(/m.test(this.module);
	}

	/** The files of the repository that the page links to, relative to it, each with its `#anchor` if it has one. */
	get links(): string[] {
		return [...this.text.matchAll(/\]\(([^)\s]+)\)/g)]
			.map(([, target = ""]) => target)
			.filter((target) => !/^[a-z]+:/.test(target))
			.map((target) =>
				target.startsWith("#")
					? `${this.path}${target}`
					: relative(root, join(root, dirname(this.path), target)),
			);
	}

	/** The anchors of its headings, as GitHub makes them. */
	get anchors(): string[] {
		return [...this.text.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
			title
				.toLowerCase()
				.replace(/[^\p{L}\p{N}\s_-]/gu, "")
				.replaceAll(" ", "-"),
		);
	}
}

/** The lines that stand in blocks of ```ts and ```tsx; all others are left empty, so that an error's line is the page's. */
function examplesOf(text: string): string {
	let block: string | undefined;
	return text
		.split("\n")
		.map((line) => {
			const fence = /^```(.*)$/.exec(line);
			if (fence === null) return block === "ts" || block === "tsx" ? line : "";
			block = block === undefined ? fence[1] : undefined;
			return "";
		})
		.join("\n");
}

/** The blocks that are only compiled: each with the imports of those before it, at the line where it stands. */
function checkedOf(text: string): string[] {
	const lines = text.split("\n");
	const checked: string[] = [];
	const imports: string[] = [];
	for (const [at, line] of lines.entries()) {
		if (!/^```tsx? check$/.test(line)) continue;
		const body = lines.slice(at + 1, lines.indexOf("```", at));
		const known = imports.filter((each) => !body.includes(each)).join(" ");
		// In front of the first line, so that an error's line is the page's.
		checked.push([known, ...Array<string>(at).fill(""), ...body, "export {};"].join("\n"));
		imports.push(...body.filter((each) => /^import .* from ".*";$/.test(each)));
	}
	return checked;
}
