/** A process that commits, increments or writes, until it is done or killed. */
import type { BatchAnswer, Failure } from "@holdfast/core";
import { createStateManager, isHoldfastError } from "@holdfast/core";
import {
	type Acknowledged,
	batchOf,
	type CommitOrder,
	type IncrementOrder,
	type Order,
	type Told,
	type WriteOrder,
	type Written,
} from "./crash-orders.js";
import { sql } from "./sql.js";

/** Resolves once it is on its way, from where not even `kill -9` brings it back. */
const say = (word: Acknowledged | "ready" | Told | Written): Promise<void> =>
	new Promise((resolve) => process.send?.(word, () => resolve()));

const begun = (): Promise<void> => new Promise((resolve) => process.once("message", () => resolve()));

async function commit({ url, until, from, to }: CommitOrder): Promise<void> {
	const backend = sql(url);
	await Promise.all(
		from.map(async (first, lane) => {
			for (let sequence = first; sequence <= to; sequence++) {
				const answer = (await backend.commit([batchOf(lane, sequence, until)])[0]) as BatchAnswer | Failure;
				if ("failed" in answer) throw new Error(`${answer.failed}: ${answer.message}`);
				// Nothing more is under way than what is next to be acknowledged.
				await say({ lane, sequence });
			}
		}),
	);
	await backend.close();
}

async function increment({ url, worker, times, total }: IncrementOrder): Promise<void> {
	const manager = createStateManager({ backend: sql(url), timeout: "60s" });
	const { shared } = manager;
	const counts: string[] = [];
	let resets = 0;
	const all = Promise.withResolvers<void>();
	const watching = shared.subscribe(
		"**",
		({ key, value, revision }) => {
			counts.push(`${revision} ${key} ${value}`);
			if (counts.length === 2 * total) all.resolve();
		},
		{ onReset: () => void resets++ },
	);
	await watching.ready;
	const beginning = begun();
	await say("ready");
	// Who comes late would not hear of the first changes.
	await beginning;
	for (let turn = 0; turn < times; turn++)
		await shared.commit((tx) => {
			tx.increment("count");
			tx.set(`by/${worker}`, turn);
		});
	await all.promise;
	await say({ counts, resets });
	await manager.close();
}

async function write({ url, options, key }: WriteOrder): Promise<void> {
	const manager = createStateManager({ backend: sql(url, options), timeout: "60s" });
	const beginning = begun();
	await say("ready");
	await beginning;
	const ended = await manager.shared.set(key, true).then(
		(): Written => ({ ended: "done" }),
		(error: unknown): Written => ({
			ended: isHoldfastError(error) ? error.code : "untyped",
			message: String(error),
		}),
	);
	const found = await manager.shared.count().catch((error: unknown) => String(error));
	await say({ ...ended, found });
	await manager.close();
}

process.once("message", async (order: Order) => {
	if (order.task === "commit") await commit(order);
	else if (order.task === "increment") await increment(order);
	else await write(order);
	process.disconnect();
});
