import { getEventListeners } from "node:events";
import { expect } from "vitest";
import { test } from "./with-trial.js";

test("nothing that has stopped listens to a signal that outlives it", async ({ manager }) => {
	const { shared, session } = { shared: manager.shared, session: manager.session("s") };
	const { signal } = new AbortController();
	const listeners = (): number => getEventListeners(signal, "abort").length;
	for (let i = 0; i < 3; i++) {
		const subscription = shared.subscribe("**", () => {}, { signal });
		const events = shared.events.on("*", () => {}, { signal });
		const mirror = shared.mirror("**", { signal });
		const changes = shared.changes({ signal })[Symbol.asyncIterator]();
		expect(listeners()).toBe(4);
		subscription.stop();
		events.stop();
		mirror.close();
		await changes.return?.();
		expect(listeners()).toBe(0);
	}
	await shared.set("a", 1, { signal });
	await shared.get("a", { signal });
	expect(listeners()).toBe(0);
	session.subscribe("**", () => {}, { signal });
	session.events.on("*", () => {}, { signal });
	session.changes({ signal });
	await manager.close();
	expect(listeners(), "what ended with the manager").toBe(0);
});

test("nothing starts on a signal that has aborted, nor stays with it", async ({ manager }) => {
	const signal = AbortSignal.abort();
	const heard: unknown[] = [];
	manager.shared.subscribe("**", (change) => heard.push(change), { signal });
	manager.shared.events.on("*", (event) => heard.push(event), { signal });
	manager.shared.mirror("**", { signal });
	await manager.shared.set("a", 1);
	await manager.shared.events.emit("e", 1);
	for await (const record of manager.shared.changes({ signal })) heard.push(record);
	expect(heard).toEqual([]);
	expect(getEventListeners(signal, "abort")).toHaveLength(0);
});
