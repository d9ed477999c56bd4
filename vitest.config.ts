import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		projects: [
			// A browser project's name ends in "browser": `npm test` runs those apart.
			"{packages,examples}/*/vitest{,.browser,.tabs,.remote}.config.ts",
			{
				resolve: { tsconfigPaths: true },
				test: { name: "docs", include: ["docs/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
			},
		],
	},
});
