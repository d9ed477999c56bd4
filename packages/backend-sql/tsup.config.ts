import { defineConfig } from "tsup";

export default defineConfig({
	entry: ["src/index.ts"],
	format: ["esm", "cjs"],
	platform: "node",
	target: "es2022",
	dts: true,
	// Drivers are loaded when a URL asks for one.
	splitting: true,
	// Without its prefix node:sqlite is not found.
	removeNodeProtocol: false,
});
