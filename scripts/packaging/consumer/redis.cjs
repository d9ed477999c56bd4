// The same of CommonJS modules.
const assert = require("node:assert/strict");
const { redis } = require("@holdfast/backend-redis");
const { createStateManager, isHoldfastError } = require("@holdfast/core");

const manager = createStateManager({ backend: redis("redis://127.0.0.1:1"), timeout: 200 });
assert.rejects(manager.ready(), (error) => isHoldfastError(error)).finally(() => manager.close());
