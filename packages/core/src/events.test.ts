import { describe, expect } from "vitest";
import { z } from "zod";
import type { StateEvent } from "./events.js";
import { chaos } from "./testing/chaos.js";
import { test, untyped } from "./with-trial.js";

const gather = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
	const gathered: T[] = [];
	for await (const item of items) gathered.push(item);
	return gathered;
};

const payloads = (events: readonly StateEvent[]): unknown[] => events.map(({ payload }) => payload);

describe("an event", () => {
	test("says when, by whom and why, and shares the revision of the changes it was stated with", async ({
		trial,
		manager,
	}) => {
		const other = await trial.manager();
		const heard: StateEvent[] = [];
		await other.shared.events.on("traded", (event) => heard.push(event)).ready;
		const { revision } = await manager.shared.commit(
			(tx) => {
				tx.set("position", 10);
				tx.emit("traded", { symbol: "AAPL" });
				tx.emit("traded", { symbol: "MSFT" });
			},
			{ metadata: { by: "ada" } },
		);
		await trial.settle();
		const common = {
			type: "traded",
			revision,
			metadata: { by: "ada" },
			own: false,
			time: expect.any(Number),
		};
		expect(heard).toEqual([
			{ ...common, payload: { symbol: "AAPL" } },
			{ ...common, payload: { symbol: "MSFT" } },
		]);
		expect((await manager.shared.entry("position"))?.revision).toBe(revision);
		expect(await gather(manager.shared.events.history())).toEqual(
			heard.map((event) => ({ ...event, own: true })),
		);
	});

	test("of a store that came back older and went on is heard", async ({ trial }) => {
		const manager = await trial.manager({ random: () => 0.99 });
		await manager.shared.events.emit("told", "kept");
		const restore = await trial.harness.save?.();
		const heard: unknown[] = [];
		await manager.shared.events.on("told", ({ payload }) => heard.push(payload)).ready;
		for (let i = 0; i < 100; i++) await manager.shared.events.emit("told", i);
		await trial.eventually("all are heard", () => expect(heard).toHaveLength(100));
		await restore?.();
		await trial.settle();
		// Of a manager that has not seen how far the store was, so that its revisions are ones that were heard before.
		const other = await trial.manager({ random: () => 0 });
		await other.shared.events.emit("told", "after");
		await trial.eventually("what came after", () => expect(heard.slice(100)).toEqual(["after"]));
	});

	test("of any well-formed type is heard by that type alone, or by *", async ({ trial, manager }) => {
		const types = ["a", "a/b", "a b", "{a}", "é", "*a"];
		const heard: Record<string, unknown[]> = { "*": [] };
		for (const type of types) {
			heard[type] = [];
			await manager.shared.events.on(type, ({ payload }) => heard[type]?.push(payload)).ready;
		}
		await manager.shared.events.on("*", ({ type }) => heard["*"]?.push(type)).ready;
		for (const type of types) await manager.shared.events.emit(type, type);
		await trial.settle();
		expect(heard).toEqual({ "*": types, ...Object.fromEntries(types.map((type) => [type, [type]])) });
	});

	test("is validated by its schema; unknown ones are refused where they are emitted and where they are heard", async ({
		trial,
	}) => {
		const state = untyped({ events: { traded: z.object({ symbol: z.string() }) } });
		const { shared } = await trial.manager({ state });
		await expect(shared.events.emit("traded", { symbol: 1 })).rejects.toMatchObject({
			code: "validation-failed",
			key: "traded",
		});
		await expect(shared.events.emit("other", 1)).rejects.toMatchObject({ code: "unknown-key", key: "other" });
		expect(() => shared.events.on("other", () => {})).toThrow(
			expect.objectContaining({ code: "unknown-key", scope: "shared", key: "other" }),
		);
		await expect(shared.events.emit("", 1)).rejects.toMatchObject({ code: "invalid-key", scope: "shared" });
	});
});

describe("a listener of events", () => {
	test("that answers later hears the next one then, in order; what it throws is reported", async ({
		trial,
		manager,
	}) => {
		const heard: unknown[] = [];
		await manager.shared.events.on("*", async ({ payload }) => {
			heard.push(`begins ${payload}`);
			await trial.settle();
			heard.push(`ends ${payload}`);
			if (payload === 1) throw new Error("refused");
		}).ready;
		await manager.shared.events.emit("told", 1);
		await manager.shared.events.emit("told", 2);
		await trial.eventually("both are heard", () =>
			expect(heard).toEqual(["begins 1", "ends 1", "begins 2", "ends 2"]),
		);
		expect(trial.errors).toMatchObject([{ code: "failed", scope: "shared", key: "*" }]);
	});

	test("of one type is not disturbed by those of others that no longer fit their schema", async ({
		trial,
	}) => {
		const plain = await trial.manager();
		await plain.shared.events.emit("old", "shape");
		await plain.shared.events.emit("traded", { symbol: "AAPL" });
		const state = untyped({ events: { old: z.object({}), traded: z.object({ symbol: z.string() }) } });
		const { shared } = await trial.manager({ state });
		const heard: unknown[] = [];
		await shared.events.on("traded", ({ payload }) => heard.push(payload), { from: 0 }).ready;
		await trial.eventually("it is heard", () => expect(heard).toEqual([{ symbol: "AAPL" }]));
		const all: string[] = [];
		await shared.events.on("*", ({ type }) => all.push(type), { from: 0 }).ready;
		await trial.eventually("the one that fits is heard", () => expect(all).toEqual(["traded"]));
		expect(trial.errors).toMatchObject([{ code: "schema-mismatch" }]);
		await expect(gather(shared.events.history())).rejects.toMatchObject({
			code: "schema-mismatch",
			key: "old",
		});
		expect(payloads(await gather(shared.events.history({ type: "traded" })))).toEqual([{ symbol: "AAPL" }]);
	});

	test("that goes on from a cursor behind retention is told from where it goes on", async ({ trial }) => {
		const manager = await trial.manager({ scopes: { shared: { events: { count: 2 } } } });
		const revisions: number[] = [];
		for (let i = 0; i < 5; i++) revisions.push(await manager.shared.events.emit("told", i));
		const heard: unknown[] = [];
		const onReset = (revision: number) => heard.push(`reset ${revision}`);
		const listener = ({ payload }: StateEvent) => heard.push(payload);
		await manager.shared.events.on("told", listener, { from: revisions[0] as number, onReset }).ready;
		await trial.eventually("the rest", () => expect(heard).toEqual([`reset ${revisions[2]}`, 3, 4]));
		await manager.shared.events.emit("told", 5);
		await trial.eventually("what comes", () => expect(heard.slice(3)).toEqual([5]));
	});

	test("hears what was emitted while the store could not be heard", async ({ trial }) => {
		const { backend, faults, signal, heal } = chaos(await trial.backend());
		const watcher = await trial.manager({ backend });
		const writer = await trial.manager();
		const heard: unknown[] = [];
		await watcher.shared.events.on("told", ({ payload }) => heard.push(payload)).ready;
		faults.dropSignals = 1;
		signal("lost");
		for (let i = 0; i < 3; i++) await writer.shared.events.emit("told", i);
		await writer.shared.set("a", 1);
		heal();
		signal("wake");
		await trial.eventually("all is heard", () => expect(heard).toEqual([0, 1, 2]));
	});

	test("hears all of a flood that is longer than what waits for it", async ({ trial, manager }) => {
		const heard: unknown[] = [];
		await manager.shared.events.on("told", ({ payload }) => heard.push(payload)).ready;
		for (let i = 0; i < 2500; i++) void manager.shared.events.emit("told", i);
		await trial.eventually("all is heard", () => expect(heard).toHaveLength(2500));
		expect(heard).toEqual(Array.from({ length: 2500 }, (_, i) => i));
	});

	test("stops by stop, by its signal and by `using`", async ({ trial, manager }) => {
		const heard: unknown[] = [];
		const controller = new AbortController();
		const { events } = manager.shared;
		const stopped = events.on("*", () => heard.push("stopped"));
		events.on("*", () => heard.push("signal"), { signal: controller.signal });
		{
			using used = events.on("*", () => heard.push("used"));
			await used.ready;
		}
		stopped.stop();
		controller.abort();
		await events.emit("told", 1);
		await trial.settle();
		expect(heard).toEqual([]);
		expect(manager.health.watched).toBe(0);
	});
});

describe("the history", () => {
	test("is had from its start, after a cursor, by type, so many at most, or the newest", async ({
		manager,
	}) => {
		const { events } = manager.shared;
		const revisions: number[] = [];
		for (let i = 0; i < 12; i++) revisions.push(await events.emit(i % 4 === 0 ? "rare" : "often", i));
		expect(payloads(await gather(events.history()))).toEqual(Array.from({ length: 12 }, (_, i) => i));
		expect(payloads(await gather(events.history({ from: revisions[8] as number })))).toEqual([9, 10, 11]);
		expect(payloads(await gather(events.history({ type: "rare" })))).toEqual([0, 4, 8]);
		expect(payloads(await gather(events.history({ limit: 2, type: "often" })))).toEqual([1, 2]);
		expect(payloads(await gather(events.history({ last: 2 })))).toEqual([10, 11]);
		// Further back than the newest two.
		expect(payloads(await gather(events.history({ last: 2, type: "rare" })))).toEqual([4, 8]);
		expect(payloads(await gather(events.history({ last: 9, type: "rare" })))).toEqual([0, 4, 8]);
		expect(payloads(await gather(events.history({ last: 5, from: revisions[9] as number })))).toEqual([
			10, 11,
		]);
		for (const none of [{ limit: 0 }, { last: 0 }, { last: 3, limit: 0 }])
			expect(await gather(events.history(none))).toEqual([]);
	});

	test("is had page by page, and whole", async ({ manager }) => {
		const { events } = manager.shared;
		for (let i = 0; i < 1100; i++) void events.emit("told", i);
		expect(payloads(await gather(events.history()))).toEqual(Array.from({ length: 1100 }, (_, i) => i));
	});

	test("outlasts the log of changes", async ({ trial }) => {
		const { shared } = await trial.manager({ scopes: { shared: { changes: { count: 1 } } } });
		await shared.events.emit("told", 1);
		for (let i = 0; i < 5; i++) await shared.set("n", i);
		expect(payloads(await gather(shared.events.history()))).toEqual([1]);
	});
});

test("who stops listening is not told the rest of a commit's events", async ({ trial, manager }) => {
	const heard: unknown[] = [];
	const controller = new AbortController();
	const on = manager.shared.events.on("*", ({ payload }) => {
		heard.push(payload);
		on.stop();
	});
	const aborted: unknown[] = [];
	manager.shared.events.on(
		"*",
		({ payload }) => {
			aborted.push(payload);
			controller.abort();
		},
		{ signal: controller.signal },
	);
	const all: unknown[] = [];
	manager.shared.events.on("*", ({ payload }) => all.push(payload));
	await on.ready;
	await manager.shared.commit((tx) => {
		for (const payload of [1, 2, 3]) tx.emit("happened", payload);
	});
	await trial.eventually("another hears all", () => expect(all).toEqual([1, 2, 3]));
	expect([heard, aborted]).toEqual([[1], [1]]);
});
