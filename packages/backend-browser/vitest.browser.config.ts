import { pageProject } from "./vitest.page.ts";

// Tests that run in a page.
export default pageProject({ name: "page-browser", include: ["src/**/*.page.test.{ts,tsx}"] });
