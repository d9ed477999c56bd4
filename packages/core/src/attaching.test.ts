import { expect, test } from "vitest";
import type { Backend, Unwatch } from "./backend.js";
import { createStateManager } from "./manager.js";
import { memory } from "./memory.js";

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.each([
	["comes too late", async (attempt: number) => later(attempt === 1 ? 120 : 0), () => false],
	["is followed by a failed read", () => undefined, (attempt: number) => attempt === 1],
])("an attachment that %s is let go", async (_, delay, fails) => {
	const inner = memory();
	let attempts = 0;
	let attached = 0;
	const attach = (unwatch: Unwatch): Unwatch => {
		attached++;
		return () => {
			attached--;
			unwatch();
		};
	};
	const backend: Backend = {
		name: "late",
		traits: inner.traits,
		read: (asks) =>
			fails(attempts) ? asks.map(() => ({ failed: "unavailable", message: "it is down" })) : inner.read(asks),
		commit: (batches) => inner.commit(batches),
		list: (scope, range) => inner.list(scope, range),
		log: (scope, after, query) => inner.log(scope, after, query),
		watch(scope, listener) {
			const delayed = delay(++attempts);
			const begin = (): Unwatch => attach(inner.watch(scope, listener) as Unwatch);
			return delayed === undefined ? begin() : delayed.then(begin);
		},
		scopes: (range) => inner.scopes(range),
		drop: (scope) => inner.drop(scope),
		close: () => inner.close(),
	};
	const manager = createStateManager({ backend, timeout: 50 });
	manager.on("error", () => {});
	const subscription = manager.shared.subscribe("**", () => {});
	subscription.ready.catch(() => {});
	await later(300);
	expect(attempts).toBe(2);
	expect(attached).toBe(1);
	subscription.stop();
	expect(attached).toBe(0);
	await manager.close();
});
