import { defineConfig } from "vite";

// Whoever starts the server may have said otherwise, as a test runner does: React would be its slow self for developers.
process.env.NODE_ENV = "production";

export default defineConfig({
	root: `${import.meta.dirname}/page`,
	build: {
		outDir: "../dist",
		emptyOutDir: true,
		target: "es2023",
		modulePreload: { polyfill: false },
		// In kB: React, the charts and zod in one file.
		chunkSizeWarningLimit: 700,
	},
});
