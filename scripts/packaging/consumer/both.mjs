// A process with both copies of the library in it: each works with, and recognises, what the other made.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import * as imported from "@holdfast/core";

const required = createRequire(import.meta.url)("@holdfast/core");
assert.notEqual(imported.memory, required.memory, "these should be two copies");

const cycle = {};
cycle.cycle = cycle;

for (const [ours, theirs] of [
	[imported, required],
	[required, imported],
]) {
	const manager = ours.createStateManager({ backend: theirs.memory() });
	await manager.shared.set("a", 1);
	assert.equal(await manager.shared.get("a"), 1);

	const refused = (async () => manager.shared.set("b", cycle))();
	await assert.rejects(refused, (error) => ours.isHoldfastError(error) && theirs.isHoldfastError(error));
	await manager.close();
}
assert.equal(imported.isHoldfastError(new Error("not ours")), false);
