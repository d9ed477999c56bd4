/** A server is killed under who writes and watches: every answered commit is there, none twice, and watchers miss nothing. */
import { type Backend, createStateManager, isHoldfastError } from "@holdfast/core";
import { expect } from "vitest";

/** A server that can be killed and started again. */
interface Killable {
	kill(): Promise<void>;
	run(): Promise<void>;
}

const commits = 10_000;
const atOnce = 200;

/** Kills a server among 10,000 commits, under a watcher of another connection; each backend that is opened is one on that server. */
export async function killServer(server: Killable, open: () => Backend): Promise<void> {
	const manager = createStateManager({ backend: open(), timeout: "60s" });
	const { shared } = manager;
	const other = createStateManager({ backend: open(), timeout: "60s" });
	const told: number[] = [];
	let resets = 0;
	const all = Promise.withResolvers<void>();
	const watching = other.shared.subscribe(
		"done/*",
		({ revision }) => {
			told.push(revision);
			if (told.length === commits) all.resolve();
		},
		{ onReset: () => void resets++ },
	);
	await watching.ready;
	const sure = new Set<string>();
	const unsure = new Set<string>();
	let next = 0;
	let restarted: Promise<void> | undefined;
	const restart = async (): Promise<void> => {
		await server.kill();
		await server.run();
	};
	const write = async (): Promise<void> => {
		while (next < commits) {
			const key = `done/${next++}`;
			try {
				await shared.commit((tx) => {
					tx.set(key, 1);
					tx.increment("count");
				});
				sure.add(key);
			} catch (error) {
				if (!isHoldfastError(error, "outcome-unknown")) throw error;
				unsure.add(key);
			}
			if (sure.size >= commits / 2) restarted ??= restart();
		}
	};
	await Promise.all(Array.from({ length: atOnce }, write));
	await restarted;

	const found = new Set<string>();
	for await (const { key } of shared.list("done/*")) found.add(key);
	for (const key of sure) expect(found).toContain(key);
	for (const key of found) expect(sure.has(key) || unsure.has(key)).toBe(true);
	expect(await shared.get("count"), "each counted once").toBe(found.size);
	// The batch in flight was asked for again, and recognised if it had been applied.
	expect(sure.size).toBe(commits);
	await all.promise;
	expect(resets).toBe(0);
	expect(told, "every change once, in order").toEqual([...new Set(told)].sort((a, b) => a - b));
	await Promise.all([manager.close(), other.close()]);
}
