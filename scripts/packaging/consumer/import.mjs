// An application of ES modules: what it imports works.
import assert from "node:assert/strict";
import { createStateManager, memory } from "@holdfast/core";

const manager = createStateManager({ backend: memory() });
await manager.shared.set("a", 1);
assert.equal(await manager.shared.get("a"), 1);
await manager.close();
