import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "client",
		testTimeout: 60_000,
		hookTimeout: 60_000,
		include: ["src/**/*.test.{ts,tsx}"],
		setupFiles: ["../core/vitest.setup.ts"],
		// These run in Chromium: see the other two configurations.
		exclude: [...configDefaults.exclude, "src/**/*.{page,tabs}.test.{ts,tsx}"],
	},
});
