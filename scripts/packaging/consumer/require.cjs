// An application of CommonJS modules: what it requires works.
const assert = require("node:assert/strict");
const { createStateManager, memory } = require("@holdfast/core");

const manager = createStateManager({ backend: memory() });
manager.shared
	.set("a", 1)
	.then(() => manager.shared.get("a"))
	.then((value) => assert.equal(value, 1))
	.finally(() => manager.close());
