import { defineConfig } from "tsup";

export default defineConfig({
	entry: { index: "src/index.ts", "react/index": "src/react/index.ts" },
	format: ["esm", "cjs"],
	platform: "neutral",
	target: "es2022",
	dts: true,
});
