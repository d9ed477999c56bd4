/** Starts the headless Chromium that the browser tests drive. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { chromiumPath, headlessShellPath } from "./provision.ts";

const quiet = [
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

/** Chromium's sandbox refuses to run as root, which is what a container's user is. */
const isSandboxed = process.getuid?.() !== 0;

/** How long a browser and its pages may take for anything, in ms: on a machine that has much else to do. */
export const patience = 90_000;

/** Whether there is a Chromium to start: `describe.skipIf(!hasChromium)`. In CI it throws rather than skip. */
export const hasChromium = headlessShellPath() !== undefined;

/** Whether there is a whole one; the same. */
export const hasWholeChromium = chromiumPath() !== undefined;

/**
 * A fresh browser with an empty profile; close it in the end. `whole`: what users have, not the headless shell, which keeps no page for the way back
 * and renders none ahead.
 */
export function launchChromium({ whole = false } = {}): Promise<Browser> {
	const executablePath = whole ? chromiumPath() : headlessShellPath();
	if (executablePath === undefined) throw new Error("There is no Chromium: see `npm run provision`.");
	return chromium.launch({
		executablePath,
		args: quiet,
		chromiumSandbox: isSandboxed,
		timeout: patience,
		...(whole ? { ignoreDefaultArgs: ["--disable-back-forward-cache"] } : {}),
	});
}

/**
 * Opens a page in a fresh, whole browser that nobody looks into: while one does, Chromium renders no page ahead. Ends it with all that it has written
 * once the work is done, which hears of the page what that tells its server.
 */
export async function inUnwatchedChromium<T>(address: string, work: () => Promise<T>): Promise<T> {
	const program = chromiumPath();
	if (program === undefined) throw new Error("There is no Chromium: see `npm run provision`.");
	const profile = await mkdtemp(join(tmpdir(), "holdfast-chromium-"));
	const sandbox = isSandboxed ? [] : ["--no-sandbox"];
	const args = ["--headless=new", ...sandbox, ...quiet, `--user-data-dir=${profile}`, address];
	const browser = spawn(program, args, { stdio: "ignore" });
	const ended = once(browser, "exit");
	try {
		return await Promise.race([
			work(),
			ended.then(([code]) => Promise.reject(new Error(`Chromium has ended by itself: ${code}`))),
		]);
	} finally {
		browser.kill();
		await ended;
		await rm(profile, { recursive: true, force: true, maxRetries: 10 });
	}
}
