import { defineConfig } from "vite";

export default defineConfig({
	root: `${import.meta.dirname}/page`,
	build: { outDir: "../dist", emptyOutDir: true, target: "es2023", modulePreload: { polyfill: false } },
});
