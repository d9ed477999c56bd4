import { expect, test, vi } from "vitest";
import type { Signal } from "../backend.js";
import { memory } from "../memory.js";
import { chaos } from "./chaos.js";
import { add, Client, isFailure, put } from "./client.js";
import { remembering } from "./remembering.js";
import { textBoundary } from "./text-boundary.js";

const patient = { timeout: 20_000, interval: 5 };

test("without faults, everything is as without it", async () => {
	const { backend, heal } = chaos(memory());
	const client = new Client(backend);
	const ear = await client.watch();
	await client.apply(put("a", 1));
	expect(await client.text("a")).toBe("1");
	expect(await client.list()).toHaveLength(1);
	expect(ear.records).toHaveLength(1);
	expect(heal()).toBe(0);
});

test("a lost answer belongs to an applied batch, a lost batch to none", async () => {
	const { backend, faults, heal } = chaos(memory());
	const client = new Client(backend);
	faults.loseAnswers = 1;
	expect(await client.send(await client.batch([[add("n", 1)]]))).toMatchObject({ failed: "unknown" });
	expect(await client.text("n")).toBe("1");
	faults.loseAnswers = 0;
	faults.loseBatches = 1;
	expect(await client.send(await client.batch([[add("n", 1)]]))).toMatchObject({ failed: "unknown" });
	expect(await client.text("n")).toBe("1");
	expect(heal(), "how often a fault struck").toBe(2);
});

test("late batches arrive all the same, repeated ones twice", async () => {
	const { backend, faults, heal } = chaos(memory());
	const client = new Client(backend);
	faults.lateBatches = 1;
	expect(await client.send(await client.batch([[add("n", 1)]]))).toMatchObject({ failed: "unknown" });
	await vi.waitFor(async () => expect(await client.text("n")).toBe("1"), patient);
	heal();
	faults.repeatBatches = 1;
	await client.apply(add("n", 1));
	await vi.waitFor(async () => expect(await client.text("n")).toBe("3"), patient);
});

test("a store out of reach fails, one that hangs says nothing, and both come back", async () => {
	const { backend, faults, heal } = chaos(memory());
	const client = new Client(backend);
	const batch = await client.batch([[put("a", 1)]]);
	faults.unavailable = true;
	expect(await client.send(batch)).toMatchObject({ failed: "unavailable" });
	await expect(client.read()).rejects.toThrow("unavailable");
	await expect(client.list()).rejects.toMatchObject({ code: "unavailable" });
	await expect(client.watch()).rejects.toMatchObject({ code: "unavailable" });
	heal();
	faults.hang = ["commit"];
	let settled = false;
	void client.send(batch).then(() => {
		settled = true;
	});
	expect(await client.entry("a"), "what hangs is not applied").toBeNull();
	expect(settled).toBe(false);
	heal();
	await client.deliver(batch);
	expect(await client.text("a")).toBe("1");
});

test("signals are dropped, repeated, late and out of order as told, and none comes after the watch ended", async () => {
	const { backend, faults, signal } = chaos(memory());
	const client = new Client(backend);
	const heard: Signal[] = [];
	const unwatch = await backend.watch(client.scope, (one) => heard.push(one));
	faults.dropSignals = 1;
	await client.apply(put("a", 1));
	expect(heard).toEqual([]);
	faults.dropSignals = 0;
	faults.repeatSignals = 1;
	await client.apply(put("a", 2));
	expect(heard).toHaveLength(2);
	signal("lost");
	expect(heard.at(-1)).toEqual({ type: "lost" });
	heard.length = 0;
	faults.repeatSignals = 0;
	faults.delaySignals = 20;
	const made: number[] = [];
	for (let i = 0; i < 20; i++) made.push((await client.apply(put("a", i))).revision);
	await vi.waitFor(() => expect(heard).toHaveLength(20), patient);
	const order = heard.map((one) => (one.type === "records" ? one.records[0]?.revision : 0));
	expect(order).not.toEqual(made);
	expect([...order].sort()).toEqual(made);
	await client.apply(put("a", "after"));
	unwatch();
	await new Promise((resolve) => setTimeout(resolve, 30));
	expect(heard, "signals after the end of the watch").toHaveLength(20);
});

test("a slow scope slows nobody else", async () => {
	const { backend, faults } = chaos(memory());
	const [slow, quick] = [new Client(backend, "conformance/room/slow"), new Client(backend)];
	const batches = [await slow.batch([[put("a", 1)]]), await quick.batch([[put("a", 1)]])];
	faults.slow.set(slow.scope, 50);
	const order: string[] = [];
	const [first, second] = backend.commit(batches);
	await Promise.all([
		Promise.resolve(first).then(() => order.push("slow")),
		Promise.resolve(second).then(() => order.push("quick")),
	]);
	expect(order).toEqual(["quick", "slow"]);
});

test("a remembering store answers the same batch as before, over any store", async () => {
	const backend = remembering(textBoundary(memory()));
	const client = new Client(backend);
	const batch = await client.batch([[add("n", 1)]]);
	const answers = await Promise.all([client.send(batch), client.send(batch), client.send(batch)]);
	for (const answer of answers) expect(answer).toEqual(answers[0]);
	expect(await client.text("n")).toBe("1");
	const other = { ...batch, commits: [{ id: "other", do: [add("n", 1)] }] };
	expect(await client.send(other)).toMatchObject({ failed: "conflict" });
	const late = await client.batch([[add("n", 1)]], { until: 1 });
	const answer = await client.send(late);
	expect(isFailure(answer) && answer.failed).toBe("overdue");
});

test("nothing but text passes a boundary of text", async () => {
	const inner = memory();
	const client = new Client(textBoundary(inner));
	const metadata = { by: "ada" };
	await client.commit({ do: [put("a", new Map([["k", 1n]]))], metadata });
	const [one, other] = [await client.entry("a"), await client.entry("a")];
	expect(one).toEqual(other);
	expect(one?.value).not.toBe(other?.value);
	expect(one?.metadata).toEqual(metadata);
	expect(one?.metadata).not.toBe(metadata);
});
