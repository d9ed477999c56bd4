// An application's own tests: a clock and faults, without vitest or fast-check.
import assert from "node:assert/strict";
import { createRequire, registerHooks } from "node:module";

registerHooks({
	resolve(specifier, context, next) {
		assert.doesNotMatch(specifier, /^(vitest|fast-check)$/);
		return next(specifier, context);
	},
});
const { createStateManager, memory } = await import("@holdfast/core");
const { chaos, TestClock } = await import("@holdfast/core/testing/app");
assert.equal(typeof createRequire(import.meta.url)("@holdfast/core/testing/app").TestClock, "function");

const clock = new TestClock();
const { backend, faults } = chaos(memory({ clock }));
const manager = createStateManager({ backend, clock });
await manager.shared.set("code", 1, { ttl: "10m" });
clock.jump(600_000);
assert.equal(await manager.shared.get("code"), undefined);
faults.unavailable = true;
await assert.rejects(manager.shared.set("code", 2), { code: "unavailable" });
faults.unavailable = false;
await manager.close();
