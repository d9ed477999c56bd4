// The same of CommonJS modules.
const assert = require("node:assert/strict");
const { browser } = require("@holdfast/backend-browser");
const { createStateManager, isHoldfastError } = require("@holdfast/core");

const manager = createStateManager({ backend: browser() });
assert
	.rejects(manager.ready(), (error) => isHoldfastError(error, "unavailable"))
	.finally(() => manager.close());
