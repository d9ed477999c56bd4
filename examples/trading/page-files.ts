/** The page's files: built when they are older than their sources, then served. */
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Context } from "hono";

const here = import.meta.dirname;
const built = join(here, "dist");

/** What the page should know before its first paint, so that nothing jumps or flashes. */
interface FirstPaint {
	readonly user: string | undefined;
	readonly "user-id": string | undefined;
	readonly theme: string | undefined;
	readonly density: string | undefined;
}

export interface Page {
	html(first: FirstPaint): string;
	file(c: Context): Promise<Response>;
}

/** Builds the page if it has to be, and reads it. */
export async function loadPage(): Promise<Page> {
	if (isOutdated()) {
		const { build } = await import("vite");
		await build({ configFile: join(here, "vite.config.ts"), logLevel: "warn" });
	}
	const html = readFileSync(join(built, "index.html"), "utf8");
	const serve = serveStatic({
		root: built,
		// The names of assets have a hash of what is in them.
		onFound: (path, c) => {
			if (path.includes("/assets/")) c.header("cache-control", "public, max-age=31536000, immutable");
		},
	});
	return {
		html: (first) => html.replace("<html ", `<html ${attributes(first)} `),
		file: async (c) => (await serve(c, async () => {})) ?? c.notFound(),
	};
}

function isOutdated(): boolean {
	const when = (file: string): number =>
		statSync(join(here, file), { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
	// Some of the server's modules are in the page too.
	const sources = globSync(["page/**", "*.ts"], { cwd: here });
	return Math.max(...sources.map(when)) > when("dist/index.html");
}

const attributes = (first: FirstPaint): string =>
	Object.entries(first)
		.filter(([, value]) => value !== undefined)
		.map(([name, value]) => `data-${name}="${escapeHtml(String(value))}"`)
		.join(" ");

const escapeHtml = (text: string): string =>
	text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
