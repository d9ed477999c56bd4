import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "trading-browser",
		include: ["browser/*.test.ts"],
		testTimeout: 180_000,
		hookTimeout: 120_000,
		expect: { poll: { timeout: 60_000 } },
	},
});
