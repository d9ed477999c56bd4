import { defineConfig, type Options } from "tsup";

const shared: Options = { platform: "neutral", target: "es2022", dts: true };

const entries = {
	index: "src/index.ts",
	"server/index": "src/server/index.ts",
	"wire/index": "src/wire/index.ts",
	"testing/app": "src/testing/app.ts",
};

export default defineConfig([
	{
		...shared,
		entry: { ...entries, "testing/index": "src/testing/index.ts" },
		format: "esm",
		// One copy of everything that several entries use.
		splitting: true,
	},
	// The testing entry has no CommonJS build: vitest refuses to be required by one. Node's require takes the ES module.
	{ ...shared, entry: entries, format: "cjs", splitting: true },
]);
