/** Promise 2 under concurrency: no update is lost, and every history could have happened in some order. */
import { expect } from "vitest";
import type { Entry } from "../backend.js";
import { type Check, check } from "./check.js";
import { Client, put } from "./client.js";
import { History } from "./history.js";
import { pick, seeded } from "./random.js";

const textOf = (entry: Entry | null | undefined): string | null =>
	entry === null || entry === undefined ? null : (JSON.parse(entry.value.text) as string);

export const concurrent: readonly Check[] = [
	check(2, "64 concurrent compare-and-sets of one counter, over four handles, lose none", async (trial) => {
		const clients = await Promise.all(Array.from({ length: 4 }, () => trial.backend()));
		await new Client(clients[0] as (typeof clients)[number]).apply(put("n", 0));
		const tries = async (client: Client): Promise<boolean> => {
			const entry = await client.entry("n");
			// All have read before any of them writes, also where an answer is there at once.
			await new Promise((resolve) => setTimeout(resolve, 0));
			const [outcome] = await client.commit({
				if: [{ key: "n", revision: entry?.revision ?? 0 }],
				do: [put("n", Number(entry?.value.text) + 1)],
			});
			return outcome?.ok === true;
		};
		await Promise.all(
			clients.map(async (backend) => {
				const writers = Array.from({ length: 16 }, () => new Client(backend));
				const done = await Promise.all(writers.map(tries));
				// All 64 wanted the first; of the others each handle has one under way: all at once would try two thousand times.
				for (const writer of writers.filter((_, i) => !done[i])) while (!(await tries(writer)));
			}),
		);
		expect(await new Client(clients[0] as (typeof clients)[number]).text("n")).toBe("64");
	}),

	check(2, "64 concurrent updates of one counter, by four managers, lose none", async (trial) => {
		const managers = await Promise.all(Array.from({ length: 4 }, () => trial.manager()));
		await Promise.all(
			Array.from({ length: 64 }, (_, i) =>
				managers[i % managers.length]?.shared.update("n", (n: number | undefined) => (n ?? 0) + 1),
			),
		);
		expect(await managers[0]?.shared.get("n")).toBe(64);
	}),

	check(
		2,
		"a history of concurrent reads and compare-and-sets could have happened in some order",
		async (trial) => {
			const history = new History();
			const keys = ["x", "y", "z"];
			const run = async (process: number): Promise<void> => {
				const random = seeded(process);
				const client = await trial.client();
				for (let i = 0; i < 20; i++) {
					const key = pick(random, keys);
					const value = `${process}.${i}`;
					const kind = random();
					if (kind < 0.4)
						await history.record(process, key, { ask: "read" }, async () => ({
							saw: textOf(await client.entry(key)),
						}));
					else if (kind < 0.6)
						await history.record(process, key, { ask: "write", value }, async () => {
							await client.apply(put(key, value));
							return { written: true };
						});
					else {
						const seen = await client.entry(key);
						const from = textOf(seen);
						await new Promise((resolve) => setTimeout(resolve, 0));
						await history.record(process, key, { ask: "swap", from, value }, async () => {
							const [outcome] = await client.commit({
								if: [{ key, revision: seen?.revision ?? 0 }],
								do: [put(key, value)],
							});
							return outcome?.ok
								? { swapped: true as const }
								: { swapped: false as const, saw: textOf(outcome?.entry) };
						});
					}
					if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, 0));
				}
			};
			await Promise.all(Array.from({ length: 6 }, (_, process) => run(process)));
			expect(history.length).toBe(120);
			history.verify();
		},
	),

	check(2, "so could one of what managers were asked", async (trial) => {
		const history = new History();
		const keys = ["x", "y"];
		const run = async (process: number): Promise<void> => {
			const random = seeded(100 + process);
			const { shared } = await trial.manager();
			for (let i = 0; i < 20; i++) {
				const key = pick(random, keys);
				const value = `${process}.${i}`;
				const kind = random();
				if (kind < 0.4)
					await history.record(process, key, { ask: "read" }, async () => ({
						saw: (await shared.get(key)) ?? null,
					}));
				else if (kind < 0.6)
					await history.record(process, key, { ask: "write", value }, async () => {
						await shared.set(key, value);
						return { written: true };
					});
				else {
					const seen = await shared.entry(key);
					await new Promise((resolve) => setTimeout(resolve, 0));
					const from: string | null = seen?.value ?? null;
					await history.record(process, key, { ask: "swap", from, value }, async () => {
						try {
							await shared.set(key, value, { ifRevision: seen?.revision ?? 0 });
							return { swapped: true };
						} catch (error) {
							return { swapped: false, saw: textOf((error as { entry?: Entry | null }).entry) };
						}
					});
				}
			}
		};
		await Promise.all(Array.from({ length: 4 }, (_, process) => run(process)));
		history.verify();
	}),
];
