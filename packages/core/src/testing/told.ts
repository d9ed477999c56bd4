/** What subscribers were told, and random writes to tell them of. */
import type { StateManager } from "../manager.js";
import type { StateChange } from "../subscription.js";
import { type Chaos, type ChaosOptions, chaos } from "./chaos.js";
import { pick, seeded } from "./random.js";
import type { Trial } from "./trial.js";

/** Folds changes into the state that they tell. */
export class Fold {
	/** What is there, as told. */
	readonly state = new Map<string, unknown>();
	readonly changes: StateChange[] = [];
	/** The listener. */
	readonly hear = (change: StateChange): void => {
		this.changes.push(change);
		if (change.type === "set") this.state.set(change.key, change.value);
		else this.state.delete(change.key);
	};

	/** The changes that were told as they happened. */
	get live(): readonly StateChange[] {
		return this.changes.filter(({ replayed }) => !replayed);
	}

	/** The state, in the order of keys. */
	get sorted(): readonly (readonly [string, unknown])[] {
		return [...this.state].sort(([a], [b]) => (a < b ? -1 : 1));
	}
}

/** All entries, in the order of keys. */
export const entriesOf = async (manager: StateManager): Promise<readonly (readonly [string, unknown])[]> => {
	const entries: [string, unknown][] = [];
	for await (const { key, value } of manager.shared.list()) entries.push([key, value]);
	return entries;
};

const keys = ["a", "b", "c", "d/1", "d/2", "d/3"];

/** Writes and deletes at random; answers the revisions of what changed something. */
export async function write(manager: StateManager, seed: number, count: number): Promise<readonly number[]> {
	const random = seeded(seed);
	const revisions: number[] = [];
	for (let i = 0; i < count; i++) {
		const key = pick(random, keys);
		if (random() < 0.75) revisions.push(await manager.shared.set(key, `${seed}.${i}`));
		else await manager.shared.delete(key);
	}
	return revisions;
}

/** A manager that hears its store through faults. */
export async function shaken(
	trial: Trial,
	options: ChaosOptions,
): Promise<{ manager: StateManager; chaos: Chaos }> {
	const shaking = chaos(await trial.backend(), options);
	return { manager: await trial.manager({ backend: shaking.backend }), chaos: shaking };
}
