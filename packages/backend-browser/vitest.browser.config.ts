import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { chromiumPath } from "../../scripts/provision.ts";

const executablePath = chromiumPath();

// Tests that run in a page.
export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "page-browser",
		// Without a Chromium there is nothing to run them in; `npm test` says so.
		include: executablePath === undefined ? [] : ["src/**/*.page.test.{ts,tsx}"],
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
