// A server that renders an application of the browser's: importing does nothing, storage that is not there is a refusal, memory works.
import assert from "node:assert/strict";
import { browser } from "@holdfast/backend-browser";
import { createStateManager, isHoldfastError } from "@holdfast/core";

for (const storage of ["indexeddb", "session"]) {
	const manager = createStateManager({ backend: browser({ storage }) });
	await assert.rejects(manager.ready(), (error) => isHoldfastError(error, "unavailable"));
	await manager.close();
}

const manager = createStateManager({ backend: browser({ storage: "memory" }) });
await manager.shared.set("a", 1);
assert.equal(await manager.shared.get("a"), 1);
await manager.close();
