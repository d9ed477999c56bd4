import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "trading",
		include: ["*.test.ts", "page/*.test.ts"],
		setupFiles: ["../../packages/core/vitest.setup.ts"],
		testTimeout: 30_000,
		hookTimeout: 60_000,
		expect: { poll: { timeout: 20_000 } },
	},
});
