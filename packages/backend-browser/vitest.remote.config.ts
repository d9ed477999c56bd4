import { pageProject } from "./vitest.page.ts";

// Tests that run in a page and need a server of state: it is started beside them.
export default pageProject({
	name: "remote-browser",
	include: ["browser/**/*.test.ts"],
	globalSetup: ["src/state-servers.ts"],
});
