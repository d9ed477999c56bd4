/** Who wants to hear of a key: an index of patterns whose look-up does not grow with the patterns on other keys. */
import { isUnder } from "./key.js";
import type { Pattern } from "./pattern.js";

class Node<T> {
	readonly children = new Map<string, Node<T>>();
	readonly here = new Set<T>();
}

function visitBelow<T, A>(
	{ children, here }: Node<T>,
	segments: readonly string[],
	depth: number,
	about: A,
	visitor: (target: T, about: A) => void,
): void {
	if (depth === segments.length) {
		for (const target of here) visitor(target, about);
		return;
	}
	for (const target of children.get("**")?.here ?? []) visitor(target, about);
	for (const name of [segments[depth] as string, "*"]) {
		const child = children.get(name);
		if (child !== undefined) visitBelow(child, segments, depth + 1, about, visitor);
	}
}

/** Maps patterns to targets: exact keys by hash, the others in a trie of segments. */
export class Routes<T> {
	readonly #exact = new Map<string, Set<T>>();
	readonly #root = new Node<T>();

	/** Adds a target under a pattern and answers what removes it again. */
	add({ exact, segments }: Pattern, target: T): () => void {
		if (exact !== undefined) {
			const targets = this.#exact.get(exact) ?? new Set();
			this.#exact.set(exact, targets.add(target));
			return () => {
				if (targets.delete(target) && targets.size === 0) this.#exact.delete(exact);
			};
		}
		const path = [this.#root];
		for (const segment of segments) {
			const { children } = path.at(-1) as Node<T>;
			const child = children.get(segment) ?? new Node<T>();
			children.set(segment, child);
			path.push(child);
		}
		(path.at(-1) as Node<T>).here.add(target);
		return () => {
			if (!(path.at(-1) as Node<T>).here.delete(target)) return;
			for (let i = segments.length; i > 0; i--) {
				const node = path[i] as Node<T>;
				if (node.here.size > 0 || node.children.size > 0) break;
				(path[i - 1] as Node<T>).children.delete(segments[i - 1] as string);
			}
		};
	}

	/** Visits every target whose pattern matches an encoded key, with what the visit is about: so that a visitor needs no closure. */
	visit<A>(key: string, about: A, visitor: (target: T, about: A) => void): void {
		const exact = this.#exact.get(key);
		if (exact !== undefined) for (const target of exact) visitor(target, about);
		if (this.#root.children.size > 0 && isUnder(key, ""))
			visitBelow(this.#root, key.split("/"), 0, about, visitor);
	}
}
