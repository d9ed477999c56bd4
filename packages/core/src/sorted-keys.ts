/** Keys in the order of their UTF-8 bytes, sorted only when somebody lists them. */
import { compareKeys, type KeySpan } from "./key.js";

const chunkSize = 512;

/**
 * An ordered set in chunks of a few hundred keys, so that an insertion moves little. New keys wait unsorted until the
 * order is asked for: who never lists pays nothing.
 */
export class SortedKeys {
	#chunks: string[][] = [];
	#waiting = new Set<string>();
	#sorted = 0;

	get size(): number {
		return this.#sorted + this.#waiting.size;
	}

	/** Adds a key that is not in it. */
	add(key: string): void {
		this.#waiting.add(key);
	}

	/** Removes a key that is in it. */
	delete(key: string): void {
		if (this.#waiting.delete(key)) return;
		const index = this.#chunkOf(key);
		const chunk = this.#chunks[index] as string[];
		chunk.splice(position(chunk, key), 1);
		this.#sorted--;
		if (chunk.length === 0) this.#chunks.splice(index, 1);
	}

	/** The keys of a span, in order. */
	*within({ from, to }: KeySpan): Generator<string> {
		this.#settle();
		let index = this.#chunkOf(from);
		let at = index < this.#chunks.length ? position(this.#chunks[index] as string[], from) : 0;
		for (; index < this.#chunks.length; index++, at = 0) {
			const chunk = this.#chunks[index] as string[];
			for (; at < chunk.length; at++) {
				const key = chunk[at] as string;
				if (to !== null && compareKeys(key, to) >= 0) return;
				yield key;
			}
		}
	}

	// The last chunk that starts at or before the key.
	#chunkOf(key: string): number {
		let low = 0;
		let high = this.#chunks.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (compareKeys((this.#chunks[middle] as string[])[0] as string, key) <= 0) low = middle + 1;
			else high = middle;
		}
		return Math.max(0, low - 1);
	}

	#settle(): void {
		if (this.#waiting.size === 0) return;
		if (this.#waiting.size * 16 > this.#sorted) {
			const keys = [...this.#chunks.flat(), ...this.#waiting].sort(compareKeys);
			this.#chunks = [];
			for (let i = 0; i < keys.length; i += chunkSize) this.#chunks.push(keys.slice(i, i + chunkSize));
		} else for (const key of this.#waiting) this.#insert(key);
		this.#sorted += this.#waiting.size;
		this.#waiting.clear();
	}

	#insert(key: string): void {
		const index = this.#chunkOf(key);
		const chunk = this.#chunks[index] as string[];
		chunk.splice(position(chunk, key), 0, key);
		if (chunk.length > 2 * chunkSize) this.#chunks.splice(index + 1, 0, chunk.splice(chunkSize));
	}
}

// Where a key stands in a sorted chunk, or would.
function position(chunk: readonly string[], key: string): number {
	let low = 0;
	let high = chunk.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (compareKeys(chunk[middle] as string, key) < 0) low = middle + 1;
		else high = middle;
	}
	return low;
}
