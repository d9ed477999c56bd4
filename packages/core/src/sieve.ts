/** A bound on what is kept: when it is full, what nobody used lately goes (SIEVE, Zhang et al., NSDI 2024). */

/** Something that is kept as long as there is room. */
export interface Sieved {
	/** Whether it was used since the hand came by; whoever uses it says so, which is all that a use costs. */
	used: boolean;
	/** About what it takes, in bytes. */
	bytes: number;
}

/** Keeps items within a bound on their number and one on their bytes. */
export class Sieve<T extends Sieved> {
	readonly #maxItems: number;
	readonly #maxBytes: number;
	readonly #evicted: (item: T) => void;
	readonly #items = new Set<T>();
	// It goes from the oldest to the newest and around; a Set's iterator outlives what is added and removed meanwhile.
	#hand: Iterator<T> = this.#items.values();
	#bytes = 0;

	constructor(maxItems: number, maxBytes: number, evicted: (item: T) => void) {
		this.#maxItems = maxItems;
		this.#maxBytes = maxBytes;
		this.#evicted = evicted;
	}

	get size(): number {
		return this.#items.size;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** Adds an item, then evicts until all of them fit. */
	add(item: T): void {
		this.#items.add(item);
		this.#bytes += item.bytes;
		this.#fit();
	}

	/** Notes what an item takes from now on. */
	resize(item: T, bytes: number): void {
		this.#bytes += bytes - item.bytes;
		item.bytes = bytes;
		this.#fit();
	}

	/** Lets go of an item without calling it evicted. */
	remove(item: T): void {
		if (this.#items.delete(item)) this.#bytes -= item.bytes;
	}

	#fit(): void {
		while (this.#items.size > this.#maxItems || this.#bytes > this.#maxBytes) {
			const { value, done } = this.#hand.next();
			if (done === true) this.#hand = this.#items.values();
			else if (value.used) value.used = false;
			else {
				this.remove(value);
				this.#evicted(value);
			}
		}
	}
}
