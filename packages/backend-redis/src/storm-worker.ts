/** One of the processes of `storm.test.ts`: writes, locks and watches through a bad network, and reports what it was answered and told. */
import { createStateManager } from "@holdfast/core";
import type { RegisterInput, RegisterOutput } from "@holdfast/core/testing";
import { redis } from "./redis.js";

/** What a worker is asked for. */
export interface StormOrder {
	readonly url: string;
	readonly worker: number;
	readonly seconds: number;
}

/** What a worker reports. Instants are nanoseconds of the machine's monotonic clock, which all processes share. */
export interface StormReport {
	/** Its additions that were answered, and those that may have happened. */
	readonly added: { readonly sure: number; readonly unsure: number };
	readonly writes: { readonly sure: readonly string[]; readonly unsure: readonly string[] };
	readonly operations: readonly {
		readonly process: number;
		readonly key: string;
		readonly input: RegisterInput;
		readonly output: RegisterOutput | undefined;
		readonly called: number;
		readonly returned: number;
	}[];
	readonly leases: readonly { readonly token: number; readonly from: number; readonly to: number }[];
	/** What its subscription told: `revision key`, or `reset`. */
	readonly told: readonly string[];
	/** Uncaught errors. */
	readonly uncaught: readonly string[];
}

const instant = (): number => Number(process.hrtime.bigint());

const pause = (ms: number): Promise<void> =>
	new Promise((resolve) => setTimeout(resolve, ms * Math.random()));

async function storm({ url, worker, seconds }: StormOrder): Promise<StormReport> {
	const uncaught: string[] = [];
	process.on("uncaughtException", (error) => uncaught.push(String(error)));
	process.on("unhandledRejection", (error) => uncaught.push(String(error)));
	const manager = createStateManager({
		backend: redis(url, { answerWithin: 500, connectWithin: "1s" }),
		// The whole log is compared at the end.
		scopes: { room: { changes: { count: 1_000_000, age: "1h" } } },
		timeout: "2s",
	});
	manager.on("error", () => {});
	const room = manager.scope("room", "storm");
	const registers = manager.scope("registers", "storm");

	const told: string[] = [];
	const end = Promise.withResolvers<void>();
	const ready = async (): Promise<void> => manager.ready().catch(ready);
	await ready();
	// Nobody writes before all are attached, which a loaded machine may not do in time.
	const attach = async (): Promise<void> => {
		const watching = room.subscribe(
			"log/**",
			({ key, revision }) => {
				told.push(`${revision} ${key}`);
				if (key === "log/end") end.resolve();
			},
			{ onReset: () => told.push("reset") },
		);
		await watching.ready.catch(() => {
			watching.stop();
			return attach();
		});
	};
	await attach();
	process.send?.("ready");
	await new Promise<void>((resolve) => process.once("message", () => resolve()));

	const until = performance.now() + seconds * 1000;
	const repeat = async (rest: number, step: (turn: number) => Promise<unknown>): Promise<void> => {
		for (let turn = 0; performance.now() < until; turn++) {
			await step(turn);
			await pause(rest);
		}
	};

	const added = { sure: 0, unsure: 0 };
	const writes = { sure: [] as string[], unsure: [] as string[] };
	const isUnsure = (error: unknown): boolean => (error as { code?: string }).code === "outcome-unknown";
	const operations: StormReport["operations"][number][] = [];
	const leases: StormReport["leases"][number][] = [];

	await Promise.all([
		repeat(10, async () => {
			try {
				await room.increment("count");
				added.sure++;
			} catch (error) {
				if (isUnsure(error)) added.unsure++;
			}
		}),
		repeat(10, async (turn) => {
			const key = `log/${worker}/${turn}`;
			try {
				await room.set(key, turn);
				writes.sure.push(key);
			} catch (error) {
				if (isUnsure(error)) writes.unsure.push(key);
			}
		}),
		repeat(60, async (turn) => {
			const key = `r/${Math.floor(Math.random() * 8)}`;
			const value = `${worker}.${turn}`;
			const reads = Math.random() < 0.5;
			const input: RegisterInput = reads ? { ask: "read" } : { ask: "write", value };
			const called = instant();
			try {
				let output: RegisterOutput = { written: true };
				if (reads) output = { saw: ((await registers.get(key)) as string | undefined) ?? null };
				else await registers.set(key, value);
				operations.push({ process: worker, key, input, output, called, returned: instant() });
			} catch (error) {
				// What certainly did not happen is no part of the history.
				if (!reads && isUnsure(error))
					operations.push({ process: worker, key, input, output: undefined, called, returned: instant() });
			}
		}),
		repeat(20, async () => {
			try {
				await room.lock("lock", { ttl: "1s", wait: "2s" }, async (lease) => {
					const from = instant();
					// A process that stalled has lost it, and can't say when.
					if (lease.remaining === 0) return;
					await pause(20);
					const now = instant();
					leases.push({ token: lease.token, from, to: lease.remaining > 0 ? now : from });
				});
			} catch {
				// Not granted, or lost: nothing to say.
			}
		}),
	]);
	process.send?.("written");
	await end.promise;
	await manager.close();
	return { added, writes, operations, leases, told, uncaught };
}

process.once("message", async (order: StormOrder) => {
	process.send?.({ report: await storm(order) }, () => process.disconnect());
});
