/** Weighing: what a store's entries take of the heap, in a process of its own. */
import { spawnSync } from "node:child_process";

/** Adds an entry. */
export type Fill = (key: string, value: object) => unknown;

const asked = "HOLDFAST_BENCH_WEIGH";
const answer = /^bytes per key: (.+)$/m;

const heap = (): number => {
	// Twice: what the first leaves to weak references and finalizers goes with the second.
	globalThis.gc?.();
	globalThis.gc?.();
	return process.memoryUsage().heapUsed;
};

/**
 * The bytes of heap that an entry takes in each store, key and value included. Each is filled in a process of its own: the suite's
 * file, started again, which comes here and no further; so a suite weighs before it does anything else.
 */
export async function weigh(entries: number, fills: Readonly<Record<string, Fill>>): Promise<number[]> {
	const mine = fills[process.env[asked] ?? ""];
	if (mine !== undefined) {
		await fill(mine, 1000, "warm-up");
		const before = heap();
		await fill(mine, entries, "positions");
		console.log(`bytes per key: ${(heap() - before) / entries}`);
		process.exit();
	}
	return Object.keys(fills).map((name) => {
		const args = [...process.execArgv, process.argv[1] as string];
		const { stdout } = spawnSync(process.execPath, args, {
			env: { ...process.env, [asked]: name },
			stdio: ["ignore", "pipe", "inherit"],
			encoding: "utf8",
		});
		const bytes = Number(answer.exec(stdout)?.[1]);
		// Less than a number and a reference: nothing was kept.
		if (!(bytes > 16)) throw new Error(`${name} could not be weighed: ${stdout}`);
		return bytes;
	});
}

async function fill(add: Fill, entries: number, under: string): Promise<void> {
	for (let i = 0; i < entries; i++) await add(`${under}/${i}`, { quantity: i, price: i + 0.5 });
}
