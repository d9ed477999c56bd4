import { defineConfig } from "vitest/config";

// Tests that drive several tabs of a Chromium from outside.
export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "tabs-browser",
		include: ["src/**/*.tabs.test.ts"],
		testTimeout: 120_000,
		hookTimeout: 120_000,
	},
});
