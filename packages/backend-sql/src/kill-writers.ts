/** Who writes is killed: every acknowledged commit is there, and none twice. */
import type { BatchAnswer, Entry } from "@holdfast/core";
import { Client } from "@holdfast/core/testing";
import type { Program } from "@holdfast/test-servers/worker";
import { expect } from "vitest";
import { type Acknowledged, batchOf, commitsInBatch, laneScope, type Order } from "./crash-orders.js";
import { sql } from "./sql.js";

const lanes = 8;
const batches = 50;
const kills = 5;

const numberOf = (entry: Entry | null): number => entry?.value.number ?? 0;

/** Kills processes that make 10,000 commits together, and sends again what each had not been answered: by writer and sequence it is recognised. */
export async function killWriters(program: Program, url: string): Promise<void> {
	const backend = sql(url);
	const clients = Array.from({ length: lanes }, (_, lane) => new Client(backend, laneScope(lane)));
	const { now } = await (clients[0] as Client).read();
	const until = now + 600_000;
	const done = clients.map(() => 0);
	let applied = 0;
	for (let life = 0; done.some((sequence) => sequence < batches); life++) {
		const worker = program.start<Order, Acknowledged>({
			task: "commit",
			url,
			until,
			from: done.map((sequence) => sequence + 1),
			to: batches,
		});
		// Somewhere in its share of the work.
		let left = life < kills ? 20 + Math.floor(Math.random() * 40) : Number.POSITIVE_INFINITY;
		for (let word = await worker.next(); word !== undefined; word = await worker.next()) {
			done[word.lane] = word.sequence;
			if (--left === 0) worker.kill();
		}
		// Before a machine that stalls has killed it, it may have come to its end.
		const isDone = done.every((sequence) => sequence === batches);
		expect(left <= 0 || isDone, "it ended because it was killed, or was done").toBe(true);
		for (const [lane, client] of clients.entries()) {
			const sequence = (done[lane] as number) + 1;
			if (sequence > batches) continue;
			const before = numberOf(await client.entry("count"));
			expect([(sequence - 1) * commitsInBatch, sequence * commitsInBatch]).toContain(before);
			if (before === sequence * commitsInBatch) applied++;
			const { outcomes } = (await client.deliver(batchOf(lane, sequence, until))) satisfies BatchAnswer;
			expect(outcomes.every(({ ok }) => ok)).toBe(true);
			expect(numberOf(await client.entry("count")), "each commit counted once").toBe(
				sequence * commitsInBatch,
			);
			done[lane] = sequence;
		}
	}
	for (const client of clients) {
		const keys = (await client.list("done/", 500)).map(({ key }) => key);
		expect(keys.length, "every commit's own entry").toBe(batches * commitsInBatch);
		const { records } = await client.log();
		for (const [i, { previous }] of records.entries())
			expect(previous, "a log without a gap").toBe(records[i - 1]?.revision ?? 0);
		expect(records.length).toBe(batches * commitsInBatch);
	}
	console.log(`of the batches that were under way, ${applied} had been applied when their writer was killed`);
	await backend.close();
}
