import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { chromiumPath } from "../../scripts/provision.ts";

const executablePath = chromiumPath();

// Tests that run in a page and need a server of state: it is started beside them.
export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "remote-browser",
		// Without a Chromium there is nothing to run them in; `npm test` says so.
		include: executablePath === undefined ? [] : ["browser/**/*.test.ts"],
		globalSetup: ["src/state-servers.ts"],
		testTimeout: 60_000,
		browser: {
			enabled: true,
			headless: true,
			screenshotFailures: false,
			provider: playwright({
				launchOptions: {
					...(executablePath === undefined ? {} : { executablePath }),
					chromiumSandbox: process.getuid?.() !== 0,
				},
			}),
			instances: [{ browser: "chromium" }],
		},
	},
});
