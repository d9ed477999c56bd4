import { defineConfig } from "vitest/config";

export default defineConfig({
	// Packages resolve to one another's sources, by the paths of tsconfig.base.json: no build before a test.
	resolve: { tsconfigPaths: true },
	test: {
		name: "core",
		include: ["src/**/*.test.ts"],
		setupFiles: ["vitest.setup.ts"],
		testTimeout: 30_000,
		hookTimeout: 60_000,
	},
});
