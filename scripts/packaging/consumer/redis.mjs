// An application of ES modules on Redis: a store that is not there is a refusal, and leaves nothing behind that keeps the process.
import assert from "node:assert/strict";
import { redis } from "@holdfast/backend-redis";
import { createStateManager, isHoldfastError } from "@holdfast/core";

const manager = createStateManager({ backend: redis("redis://127.0.0.1:1"), timeout: 200 });
await assert.rejects(manager.ready(), (error) => isHoldfastError(error));
await manager.close();
