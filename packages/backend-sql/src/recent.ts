/** A map of what was written last. */

/** The keys that were set last come last; who sets one again and again need not move it there. */
export class Recent<K, V> {
	readonly #values = new Map<K, V>();
	#newest: K | undefined;

	get size(): number {
		return this.#values.size;
	}

	get(key: K): V | undefined {
		return this.#values.get(key);
	}

	set(key: K, value: V): void {
		if (key !== this.#newest) this.#values.delete(key);
		this.#newest = key;
		this.#values.set(key, value);
	}

	delete(key: K): void {
		this.#values.delete(key);
	}

	clear(): void {
		this.#values.clear();
	}

	/** The key that was set the longest ago. */
	oldest(): K | undefined {
		const [oldest] = this.#values.keys();
		return oldest;
	}
}
