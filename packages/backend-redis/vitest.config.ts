import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "redis",
		include: ["src/**/*.test.ts"],
		setupFiles: ["../core/vitest.setup.ts"],
		testTimeout: 180_000,
		hookTimeout: 180_000,
	},
});
