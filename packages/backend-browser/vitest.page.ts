/** What the configurations have in common whose tests run in a page. */
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestUserConfig, type ViteUserConfig } from "vitest/config";
import { chromiumPath } from "../../scripts/provision.ts";

/** A project whose tests run in a page of Chromium. */
export function pageProject({
	include,
	...more
}: Pick<TestUserConfig, "globalSetup"> & {
	readonly name: string;
	readonly include: string[];
}): ViteUserConfig {
	const executablePath = chromiumPath();
	return defineConfig({
		resolve: { tsconfigPaths: true },
		// Known from the start: a dependency that is found later reloads the page under its tests.
		optimizeDeps: {
			include: [
				"eventemitter3",
				"fast-check",
				"idb-keyval",
				"react",
				"react-dom/client",
				"react-dom/server",
				"react/jsx-dev-runtime",
				"zod",
			],
		},
		test: {
			...more,
			// Without a Chromium there is nothing to run them in; `npm test` says so.
			include: executablePath === undefined ? [] : include,
			testTimeout: 60_000,
			hookTimeout: 60_000,
			expect: { poll: { timeout: 30_000 } },
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
}
