/** Who wants to hear of a key: an index of patterns whose look-up does not grow with the patterns on other keys. */
import type { Pattern } from "./pattern.js";

interface Route<T> {
	readonly matches: Pattern["matches"];
	readonly target: T;
}

/** Maps patterns to targets, by the longest prefix that every match of a pattern begins with: of an exact key that is itself. */
export class Routes<T> {
	readonly #under = new Map<string, Set<Route<T>>>();

	/** Adds a target under a pattern and answers what removes it again. */
	add({ under, matches }: Pattern, target: T): () => void {
		const route = { matches, target };
		const routes = this.#under.get(under) ?? new Set();
		this.#under.set(under, routes.add(route));
		return () => {
			if (routes.delete(route) && routes.size === 0) this.#under.delete(under);
		};
	}

	/** Visits every target whose pattern matches an encoded key, with what the visit is about: so that a visitor needs no closure. */
	visit<A>(key: string, about: A, visitor: (target: T, about: A) => void): void {
		// The key, then what stands before its last segment, and so on to "".
		for (let end = key.length; ; end = end > 1 ? key.lastIndexOf("/", end - 2) + 1 : 0) {
			const routes = this.#under.get(key.slice(0, end));
			if (routes !== undefined)
				for (const { matches, target } of routes) if (matches(key)) visitor(target, about);
			if (end === 0) return;
		}
	}
}
