import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: {
		name: "client",
		include: ["src/**/*.test.{ts,tsx}"],
		// These run in Chromium: see the other two configurations.
		exclude: [...configDefaults.exclude, "src/**/*.{page,tabs}.test.{ts,tsx}"],
	},
});
