/** The queue between the feed and the store. */

/**
 * A queue with a bound. At the bound it never blocks the feed and never loses what is newest: it drops the oldest item that a
 * newer one of the same key makes obsolete, else the oldest of all, and counts it.
 */
export class BoundedQueue<T> {
	readonly capacity: number;
	readonly #keyOf: (item: T) => string;
	#items: T[] = [];
	#coalesced = 0;
	#peak = 0;
	#wake: () => void = () => {};

	constructor(capacity: number, keyOf: (item: T) => string) {
		this.capacity = capacity;
		this.#keyOf = keyOf;
	}

	/** How many items wait. */
	get size(): number {
		return this.#items.length;
	}

	/** How many items were dropped since a newer one of their key had come, or since there was no room at all. */
	get coalesced(): number {
		return this.#coalesced;
	}

	/** The most items that ever waited. */
	get peak(): number {
		return this.#peak;
	}

	push(item: T): void {
		this.#items.push(item);
		if (this.#items.length > this.capacity) {
			this.#items.splice(this.#oldestObsolete(), 1);
			this.#coalesced++;
		}
		this.#peak = Math.max(this.#peak, this.#items.length);
		this.#wake();
	}

	/** Takes up to so many of the oldest items, waiting for a first one; none if the signal aborts first. */
	async take(limit: number, signal: AbortSignal): Promise<T[]> {
		while (this.#items.length === 0 && !signal.aborted) {
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#wake = resolve;
			signal.addEventListener("abort", this.#wake, { once: true });
			await promise;
			signal.removeEventListener("abort", this.#wake);
		}
		return signal.aborted ? [] : this.#items.splice(0, limit);
	}

	/** Drops all that waits, uncounted: what it was about is over. */
	clear(): void {
		this.#items = [];
	}

	#oldestObsolete(): number {
		const newest = new Map(this.#items.map((item, i) => [this.#keyOf(item), i]));
		return Math.max(
			0,
			this.#items.findIndex((item, i) => newest.get(this.#keyOf(item)) !== i),
		);
	}
}
