/** Starts the headless Chromium that the browser tests drive. */
import { type Browser, chromium } from "playwright-core";
import { chromiumPath } from "./provision.ts";

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
export const hasChromium = chromiumPath() !== undefined;

/** A fresh browser with an empty profile; close it in the end. */
export function launchChromium(): Promise<Browser> {
	const executablePath = chromiumPath();
	if (executablePath === undefined) throw new Error("There is no Chromium: see `npm run provision`.");
	// Chromium's sandbox refuses to run as root, which is what a container's user is.
	const chromiumSandbox = process.getuid?.() !== 0;
	return chromium.launch({ executablePath, args: quiet, chromiumSandbox, timeout: patience });
}
