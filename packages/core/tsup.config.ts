import { defineConfig, type Options } from "tsup";

const shared: Options = { platform: "neutral", target: "es2022", dts: true };

export default defineConfig([
	{
		...shared,
		entry: { index: "src/index.ts", "testing/index": "src/testing/index.ts" },
		format: "esm",
		// One copy of everything that both entries use.
		splitting: true,
	},
	// The testing entry has no CommonJS build: vitest refuses to be required by one. Node's require takes the ES module.
	{ ...shared, entry: { index: "src/index.ts" }, format: "cjs" },
]);
