/** The writes to one scope that wait, or were refused and stand in the way: in order, and found by what they change. */
import { nothingSent, type Sent } from "./offline-rows.js";
import { keysOf, type WaitingWrite } from "./offline-write.js";

/** A scope's line. */
export class Line {
	/** How many writes were sent, as far as this device knows. */
	sent: Sent = nothingSent;
	/** The write that was kept last, also if it was sent since. */
	latest: string | undefined;
	// Keyed by what orders them: a map keeps the place of what is put in again.
	readonly #writes = new Map<string, WaitingWrite>();
	readonly #byKey = new Map<string, Map<string, WaitingWrite>>();

	/** The one that is sent next. */
	get first(): WaitingWrite | undefined {
		return this.#writes.values().next().value;
	}

	/** All of them, or those that change a key. */
	of(key?: string): Iterable<WaitingWrite> {
		return (key === undefined ? this.#writes : this.#byKey.get(key))?.values() ?? [];
	}

	/** Takes a write: behind all others, or in the place that it has. */
	put(write: WaitingWrite): void {
		this.#writes.set(write.id, write);
		for (const key of keysOf(write)) {
			const writes = this.#byKey.get(key) ?? new Map();
			this.#byKey.set(key, writes.set(write.id, write));
		}
	}

	/** Takes a write out. */
	delete(write: WaitingWrite): void {
		this.#writes.delete(write.id);
		for (const key of keysOf(write)) {
			const writes = this.#byKey.get(key);
			if (writes?.delete(write.id) && writes.size === 0) this.#byKey.delete(key);
		}
	}
}
