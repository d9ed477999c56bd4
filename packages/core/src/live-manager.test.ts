import { expect, test, vi } from "vitest";
import { createStateManager } from "./manager.js";
import { memory } from "./memory.js";

test("a listener of signals that throws fails no call, and no other listener", async () => {
	const logged = vi.spyOn(console, "error").mockImplementation(() => {});
	const inner = memory();
	let down = true;
	const manager = createStateManager({
		backend: {
			...inner,
			traits: inner.traits,
			read: (asks) =>
				down ? asks.map(() => ({ failed: "unavailable", message: "it is down" }) as const) : inner.read(asks),
			commit: (batches) => inner.commit(batches),
			close: () => inner.close(),
		},
	});
	const bug = new Error("a bug of the listener's");
	const heard: string[] = [];
	manager.on("health", () => {
		throw bug;
	});
	manager.on("health", ({ status }) => heard.push(status));
	await expect(manager.shared.get("counter")).rejects.toMatchObject({ code: "unavailable" });
	down = false;
	expect(await manager.shared.get("counter")).toBeUndefined();
	await manager.close();
	expect(heard).toEqual(["unreachable", "ok", "closed"]);
	expect(logged.mock.calls).toEqual([[bug], [bug], [bug]]);
	logged.mockRestore();
});
