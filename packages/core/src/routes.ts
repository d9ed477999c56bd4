/** Who wants to hear of a key: an index of patterns, in which those that begin otherwise than the key cost its look-up nothing. */
import type { Pattern } from "./pattern.js";

interface Route<T> {
	readonly matches: Pattern["matches"];
	readonly target: T;
}

interface Visit<T, A> {
	readonly key: string;
	readonly about: A;
	readonly visitor: (target: T, about: A) => void;
}

function visitOne<T, A>(this: Visit<T, A>, { matches, target }: Route<T>): void {
	if (matches(this.key)) this.visitor(target, this.about);
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
		const visit = { key, about, visitor };
		// The key, then what stands before its last segment, and so on to "".
		for (let end = key.length; ; end = end > 1 ? key.lastIndexOf("/", end - 2) + 1 : 0) {
			// Not a loop: a Set's iterator makes an object for each step.
			this.#under.get(key.slice(0, end))?.forEach(visitOne, visit);
			if (end === 0) return;
		}
	}
}
