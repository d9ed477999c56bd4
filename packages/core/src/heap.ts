/** A binary heap: the least item first. */
export class Heap<T> {
	readonly #items: T[] = [];
	readonly #rank: (item: T) => number;

	constructor(rank: (item: T) => number) {
		this.#rank = rank;
	}

	get size(): number {
		return this.#items.length;
	}

	peek(): T | undefined {
		return this.#items[0];
	}

	push(item: T): void {
		const items = this.#items;
		const rank = this.#rank(item);
		let at = items.length;
		while (at > 0) {
			const above = (at - 1) >> 1;
			const parent = items[above] as T;
			if (this.#rank(parent) <= rank) break;
			items[at] = parent;
			at = above;
		}
		items[at] = item;
	}

	pop(): T | undefined {
		const items = this.#items;
		const least = items[0];
		const last = items.pop() as T;
		if (items.length > 0) this.#sink(last);
		return least;
	}

	/** Keeps only some items. */
	filter(keep: (item: T) => boolean): void {
		const kept = this.#items.filter(keep);
		this.#items.length = 0;
		for (const item of kept) this.push(item);
	}

	#sink(item: T): void {
		const items = this.#items;
		const rank = this.#rank(item);
		let at = 0;
		for (;;) {
			let below = 2 * at + 1;
			if (below >= items.length) break;
			if (below + 1 < items.length && this.#rank(items[below + 1] as T) < this.#rank(items[below] as T))
				below++;
			if (this.#rank(items[below] as T) >= rank) break;
			items[at] = items[below] as T;
			at = below;
		}
		items[at] = item;
	}
}
