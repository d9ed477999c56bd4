import { describe, expect } from "vitest";
import type { StateManager } from "./manager.js";
import { around } from "./testing/around.js";
import { chaos } from "./testing/chaos.js";
import { test } from "./with-trial.js";

type Told = { readonly type: "commit" | "reset"; readonly revision: number };

const iterate = ({ shared }: StateManager, options = {}) =>
	shared.changes(options)[Symbol.asyncIterator]() as AsyncIterator<Told, undefined>;

async function take(changes: AsyncIterator<Told, undefined>, count: number): Promise<Told[]> {
	const told: Told[] = [];
	while (told.length < count) {
		const { value } = await changes.next();
		if (value === undefined) break;
		told.push(value);
	}
	return told;
}

describe("changes()", () => {
	test("loses nothing for a reader that is far behind what is kept for it", async ({ trial }) => {
		const [writer, reader] = [await trial.manager(), await trial.manager()];
		const changes = iterate(reader);
		const revisions: number[] = [];
		const write = async (count: number): Promise<void> => {
			for (let i = 0; i < count; i++) revisions.push(await writer.shared.set("n", i));
		};
		await write(10);
		expect((await take(changes, 5)).map(({ revision }) => revision)).toEqual(revisions.slice(0, 5));
		await write(1500);
		const reading = take(changes, 1400);
		await write(100);
		await reading;
		await write(10);
		const rest = await take(changes, 1620 - 1405);
		expect(rest.at(-1)?.revision).toBe(revisions.at(-1));
		expect((await take(iterate(reader, { from: 0 }), 1620)).map(({ revision }) => revision)).toEqual(
			revisions,
		);
	});

	test("hands over the present state where the log no longer reaches back, and goes on", async ({
		trial,
	}) => {
		const manager = await trial.manager({ scopes: { shared: { changes: { count: 3 } } } });
		const from = await manager.shared.set("a", 1);
		for (let i = 0; i < 5; i++) await manager.shared.set(`k${i % 2}`, i);
		const changes = iterate(manager, { from });
		expect(await take(changes, 1)).toMatchObject([
			{
				type: "reset",
				entries: [
					{ key: "a", value: 1 },
					{ key: "k0", value: 4 },
					{ key: "k1", value: 3 },
				],
			},
		]);
		const next = await manager.shared.set("a", 2);
		expect(await take(changes, 1)).toMatchObject([
			{ type: "commit", revision: next, changes: [{ key: "a" }] },
		]);
	});

	test("tells a reader that fell behind the log a reset, once", async ({ trial }) => {
		const manager = await trial.manager({ scopes: { shared: { changes: { count: 20 } } } });
		const changes = iterate(manager);
		for (let i = 0; i < 1100; i++) void manager.shared.set("n", i);
		expect(await take(changes, 1)).toMatchObject([{ type: "reset", entries: [{ value: 1099 }] }]);
		await manager.shared.set("n", "after");
		expect(await take(changes, 1)).toMatchObject([{ type: "commit", changes: [{ value: "after" }] }]);
	});

	test("says nothing of what locks write", async ({ manager }) => {
		const changes = iterate(manager, { from: 0 });
		await manager.shared.lock("job", () => {});
		await manager.shared.set("a", 1);
		expect(await take(changes, 1)).toMatchObject([{ changes: [{ key: "a" }] }]);
	});

	test("is whole commits: what was changed, and the facts behind it", async ({ manager }) => {
		const changes = iterate(manager);
		const { revision } = await manager.shared.commit((tx) => {
			tx.set("a", 1);
			tx.emit("told", 2);
		});
		await manager.shared.events.emit("alone", 3);
		expect(await take(changes, 2)).toMatchObject([
			{ revision, changes: [{ key: "a", value: 1 }], events: [{ type: "told", payload: 2 }] },
			{ previous: revision, changes: [], events: [{ type: "alone", payload: 3 }] },
		]);
	});

	test("holds quiet commits, too, and says so", async ({ manager }) => {
		const changes = iterate(manager);
		await manager.shared.set("a", 1, { notify: false, metadata: { by: "ada" } });
		expect(await take(changes, 1)).toMatchObject([{ quiet: true, own: true, metadata: { by: "ada" } }]);
	});

	test("ends when its signal aborts, also while it waits, and at once if it had aborted", async ({
		trial,
		manager,
	}) => {
		const controller = new AbortController();
		const { signal } = controller;
		const next = iterate(manager, { signal }).next();
		controller.abort();
		expect(await trial.within("the end", next)).toEqual({ value: undefined, done: true });
		expect(await iterate(manager, { signal }).next()).toEqual({ value: undefined, done: true });
		expect(manager.health.watched).toBe(0);
	});

	test("ends by return(): before the first, while one waits, and by leaving a loop", async ({
		trial,
		manager,
	}) => {
		const never = iterate(manager);
		expect(await never.return?.()).toMatchObject({ done: true });
		expect(await never.next()).toMatchObject({ done: true });
		const waiting = iterate(manager);
		const next = waiting.next();
		await trial.settle();
		expect(await trial.within("return", waiting.return?.())).toMatchObject({ done: true });
		expect(await next).toMatchObject({ done: true });
		await manager.shared.set("a", 1);
		for await (const _ of manager.shared.changes({ from: 0 })) break;
		expect(manager.health.watched).toBe(0);
	});

	test("survives an outage, from wherever it is", async ({ trial }) => {
		const { backend, faults, heal, signal } = chaos(await trial.backend());
		const reader = await trial.manager({ backend });
		const writer = await trial.manager();
		const changes = iterate(reader, { from: 0 });
		const revisions = [await writer.shared.set("n", 0)];
		expect(await take(changes, 1)).toMatchObject([{ revision: revisions[0] }]);
		faults.unavailable = true;
		faults.dropSignals = 1;
		signal("lost");
		const next = take(changes, 3);
		const late = take(iterate(reader, { from: 0 }), 4);
		for (let i = 1; i < 4; i++) revisions.push(await writer.shared.set("n", i));
		await trial.advance(3000);
		heal();
		signal("wake");
		await trial.advance(6000);
		expect((await trial.within("what came meanwhile", next)).map(({ revision }) => revision)).toEqual(
			revisions.slice(1),
		);
		expect((await trial.within("all of it", late)).map(({ revision }) => revision)).toEqual(revisions);
	});

	test("ends without a failure when it is ended while the store hangs", async ({ trial }) => {
		const { backend, faults } = chaos(await trial.backend());
		const manager = await trial.manager({ backend });
		await manager.shared.set("a", 1);
		await manager.shared.mirror().ready;
		const controller = new AbortController();
		faults.hang = ["log"];
		const changes = iterate(manager, { from: 0, signal: controller.signal });
		const next = changes.next();
		const events = manager.shared.events.on("*", () => {}, { from: 0 });
		await trial.settle();
		controller.abort();
		events.stop();
		await trial.advance(trial.timeout + 100);
		expect(await trial.within("the end", next)).toEqual({ value: undefined, done: true });
		expect(trial.errors).toEqual([]);
	});

	test("is handed what can't be read as an error, and lets go", async ({ trial }) => {
		const inner = await trial.backend();
		const manager = await trial.manager({
			backend: around(inner, {}),
			codec: {
				encode: (value) => JSON.stringify(value),
				decode: () => {
					throw new Error("not mine");
				},
			},
		});
		await (await trial.manager()).shared.set("a", new Uint8Array(3));
		await expect(iterate(manager, { from: 0 }).next()).rejects.toMatchObject({
			code: "schema-mismatch",
			key: "a",
		});
		expect(manager.health.watched).toBe(0);
	});
});
