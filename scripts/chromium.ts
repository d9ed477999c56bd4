/** Starts the headless Chromium that the browser tests drive. */
import { type Browser, chromium } from "playwright-core";
import { chromiumPath, headlessShellPath } from "./provision.ts";

const quiet = [
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

/** How long a browser and its pages may take for anything, in ms: on a machine that has much else to do. */
export const patience = 90_000;

/** Whether there is a Chromium to start: `describe.skipIf(!hasChromium)`. In CI it throws rather than skip. */
export const hasChromium = headlessShellPath() !== undefined;

/** Whether there is one that keeps pages for the way back, as the headless shell never does; the same. */
export const keepsHistory = chromiumPath() !== undefined;

/** A fresh browser with an empty profile; close it in the end. `history`: pages that are left are kept for the way back. */
export function launchChromium({ history = false } = {}): Promise<Browser> {
	const executablePath = history ? chromiumPath() : headlessShellPath();
	if (executablePath === undefined) throw new Error("There is no Chromium: see `npm run provision`.");
	return chromium.launch({
		executablePath,
		args: quiet,
		// Chromium's sandbox refuses to run as root, which is what a container's user is.
		chromiumSandbox: process.getuid?.() !== 0,
		timeout: patience,
		...(history ? { ignoreDefaultArgs: ["--disable-back-forward-cache"] } : {}),
	});
}
