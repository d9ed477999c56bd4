import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		name: "core-browser",
		include: ["browser/**/*.test.ts"],
		testTimeout: 120_000,
		hookTimeout: 120_000,
	},
});
