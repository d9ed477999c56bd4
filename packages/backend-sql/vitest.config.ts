import { defineConfig } from "vitest/config";

export default defineConfig({
	resolve: { tsconfigPaths: true },
	test: { name: "sql", include: ["src/**/*.test.ts"] },
});
