import { describe, expect } from "vitest";
import type { Backend } from "./backend.js";
import { instrument, type Observation } from "./instrument.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

function observed(inner: Backend, clock?: Parameters<typeof instrument>[1]) {
	const observations: Observation[] = [];
	const backend = instrument((observation) => observations.push(observation), clock)(inner);
	/** What was observed since the last look. */
	const look = (): Observation[] => observations.splice(0);
	return { backend, look };
}

describe("an observer", () => {
	test("sees each call with how many it was about, how many bytes, and how it ended", async ({ trial }) => {
		const { backend, look } = observed(await trial.backend());
		const manager = await trial.manager({ backend });
		const { shared } = manager;
		const common = { backend: "memory", outcome: "ok" };
		await shared.set("a", "x".repeat(1000));
		const [learned, written] = look();
		expect(learned).toMatchObject({ ...common, operation: "read", count: 1, bytes: 0 });
		expect(written).toMatchObject({ ...common, operation: "commit", count: 1 });
		expect(written?.bytes).toBeGreaterThanOrEqual(1000);
		expect(written?.bytes).toBeLessThan(7000);
		await shared.getMany(["a", "absent"]);
		expect(look()).toMatchObject([{ ...common, operation: "read", count: 1, bytes: written?.bytes }]);
		await shared.count();
		expect(look()).toMatchObject([{ ...common, operation: "list", count: 1, bytes: written?.bytes }]);
		await shared.subscribe("**", () => {}, { from: 0 }).ready;
		expect(look()).toMatchObject([
			{ ...common, operation: "watch", count: 1 },
			{ operation: "read" },
			{ ...common, operation: "log", count: 1, bytes: written?.bytes },
			{ operation: "list" },
		]);
		await shared.set("b", 1);
		expect(look()).toMatchObject([
			{ ...common, operation: "signal", count: 1, bytes: 8, duration: 0 },
			{ operation: "commit", count: 1, bytes: 8 },
		]);
		await shared.drop();
		expect(look().map(({ operation }) => operation)).toContain("drop");
		await manager.close();
		expect(look().at(-1)).toMatchObject({ ...common, operation: "close" });
	});

	test("sees how long a call took, to the last of its answers", async ({ trial }) => {
		const inner = await trial.backend();
		const slow = around(inner, {
			commit: (batches) =>
				batches.map(async (batch, i) => {
					await Promise.resolve();
					trial.clock.jump(100 * (i + 1));
					return inner.commit([batch])[0] as Awaited<ReturnType<Backend["commit"]>[number]>;
				}),
			list: async (...asked) => {
				await Promise.resolve();
				trial.clock.jump(50);
				return inner.list(...asked);
			},
		});
		const { backend, look } = observed(
			around(slow, { traits: { reach: "network", durable: false } }),
			trial.clock,
		);
		const manager = await trial.manager({ backend });
		await manager.ready();
		look();
		await Promise.all([manager.shared.set("a", "12345678"), manager.user("ada").set("a", "12345678")]);
		const [commit] = look();
		expect(commit).toMatchObject({ operation: "commit", count: 2 });
		expect(commit?.duration).toBeGreaterThanOrEqual(300);
		await manager.shared.count();
		expect(look()[0]?.duration).toBeGreaterThanOrEqual(50);
	});

	test("sees failures: an answer that is one, a rejection, a throw", async ({ trial }) => {
		const broken = chaos(await trial.backend());
		const { backend, look } = observed(broken.backend);
		const { shared } = await trial.manager({ backend });
		await shared.set("a", 1);
		look();
		broken.faults.unavailable = true;
		for (const call of [
			() => shared.get("a"),
			() => shared.set("a", 2),
			() => shared.count(),
			() => shared.drop(),
		])
			await expect(call()).rejects.toMatchObject({ code: "unavailable" });
		expect(look()).toMatchObject(
			["read", "commit", "list", "drop"].map((operation) => ({ operation, outcome: "failed", bytes: 0 })),
		);
		const rude = observed(
			around(await trial.backend(), {
				read: () => [Promise.reject(new Error("against the contract"))],
				commit: () => {
					throw new Error("against the contract");
				},
				scopes: () => {
					throw new Error("refused");
				},
			}),
		);
		await Promise.allSettled(rude.backend.read([{ scope: "a/b", keys: [] }]));
		expect(() => rude.backend.commit([])).toThrow("against the contract");
		expect(() => rude.backend.scopes({ prefix: "", after: null, limit: 1 })).toThrow("refused");
		expect(rude.look()).toMatchObject(
			["read", "commit", "scopes"].map((operation) => ({ operation, outcome: "failed" })),
		);
	});

	test("that throws changes nothing", async ({ trial }) => {
		const layer = instrument(() => {
			throw new Error("the observer's own");
		});
		const { shared } = await trial.manager({ layers: [layer] });
		const heard: string[] = [];
		await shared.subscribe("**", ({ key }) => heard.push(key)).ready;
		await shared.set("a", 1);
		expect(await shared.get("a")).toBe(1);
		await trial.settle();
		expect(heard).toEqual(["a"]);
	});

	test("does not make a store within the process answer later", async ({ trial }) => {
		const { backend } = observed(await trial.backend());
		expect(backend.traits).toEqual({ reach: "process", durable: false });
		expect(backend.read([{ scope: "a/b", keys: [] }])[0]).not.toBeInstanceOf(Promise);
	});
});
