// The same of CommonJS modules.
const assert = require("node:assert/strict");
const { sql } = require("@holdfast/backend-sql");
const { createStateManager } = require("@holdfast/core");

const manager = createStateManager({ backend: sql("sqlite::memory:") });
manager.shared
	.set("a", { b: 1 })
	.then(() => manager.shared.get("a"))
	.then((value) => assert.deepEqual(value, { b: 1 }))
	.finally(() => manager.close());
