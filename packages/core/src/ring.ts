/** A growing ring buffer: new items at its end, old ones leave at its start, neither moves the rest. */
export class Ring<T> {
	#items: (T | undefined)[] = [];
	#start = 0;
	#size = 0;

	get size(): number {
		return this.#size;
	}

	at(index: number): T | undefined {
		return index >= 0 && index < this.#size
			? this.#items[(this.#start + index) & (this.#items.length - 1)]
			: undefined;
	}

	push(item: T): void {
		if (this.#size === this.#items.length) this.#grow();
		this.#items[(this.#start + this.#size++) & (this.#items.length - 1)] = item;
	}

	shift(): T | undefined {
		if (this.#size === 0) return undefined;
		const item = this.#items[this.#start];
		this.#items[this.#start] = undefined;
		this.#start = (this.#start + 1) & (this.#items.length - 1);
		this.#size--;
		return item;
	}

	/** The index of the first item for which a test holds that, once true, stays true. */
	search(test: (item: T) => boolean): number {
		let low = 0;
		let high = this.#size;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (test(this.at(middle) as T)) high = middle;
			else low = middle + 1;
		}
		return low;
	}

	#grow(): void {
		const ordered = Array.from({ length: this.#size }, (_, index) => this.at(index));
		// The length stays a power of two: the mask above depends on it.
		this.#items = ordered.concat(new Array(Math.max(4, ordered.length)).fill(undefined));
		this.#start = 0;
	}
}
