/** Who wants to hear of a key: an index of patterns, in which those that begin otherwise than the key cost its look-up nothing. */
import type { Pattern } from "./pattern.js";

interface Route<T> {
	readonly matches: Pattern["matches"];
	readonly target: T;
}

function addTo<T>(index: Map<string, Set<T>>, name: string, item: T): () => void {
	const items = index.get(name) ?? new Set();
	index.set(name, items.add(item));
	return () => {
		if (items.delete(item) && items.size === 0) index.delete(name);
	};
}

/** Maps patterns to targets: exact keys by themselves, the others by the longest prefix that all their matches begin with. */
export class Routes<T> {
	readonly #exact = new Map<string, Set<T>>();
	readonly #under = new Map<string, Set<Route<T>>>();
	// How long those prefixes are, or were: of a key is cut off only what may be one.
	readonly #lengths = new Set<number>();

	/** Adds a target under a pattern and answers what removes it again. */
	add({ exact, under, matches }: Pattern, target: T): () => void {
		if (exact !== undefined) return addTo(this.#exact, exact, target);
		this.#lengths.add(under.length);
		return addTo(this.#under, under, { matches, target });
	}

	/** Visits every target whose pattern matches an encoded key, with what the visit is about: so that a visitor needs no closure. */
	visit<A>(key: string, about: A, visitor: (target: T, about: A) => void): void {
		const exact = this.#exact.get(key);
		if (exact !== undefined) for (const target of exact) visitor(target, about);
		if (this.#under.size === 0) return;
		// What stands before the key's end, if that is a slash, then before its last segment, and so on to "".
		for (let end = key.length; ; end = end > 1 ? key.lastIndexOf("/", end - 2) + 1 : 0) {
			const routes = this.#lengths.has(end) ? this.#under.get(key.slice(0, end)) : undefined;
			if (routes !== undefined)
				for (const { matches, target } of routes) if (matches(key)) visitor(target, about);
			if (end === 0) return;
		}
	}
}
