// An application of ES modules on SQLite, with no driver installed: Node's own serves.
import assert from "node:assert/strict";
import { sql } from "@holdfast/backend-sql";
import { createStateManager } from "@holdfast/core";

const manager = createStateManager({ backend: sql("sqlite::memory:") });
await manager.shared.set("a", { b: 1 });
assert.deepEqual(await manager.shared.get("a"), { b: 1 });
await manager.close();
