/** Who wants to hear of a key: an index of patterns whose look-up does not grow with the patterns on other keys. */
import { isUnder } from "./key.js";
import type { Pattern } from "./pattern.js";

class Node<T> {
	readonly children = new Map<string, Node<T>>();
	readonly here = new Set<T>();
}

/** Maps patterns to targets: exact keys by hash, the others in a trie of segments. */
export class Routes<T> {
	readonly #exact = new Map<string, Set<T>>();
	readonly #root = new Node<T>();
	#wild = 0;

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
		this.#wild++;
		return () => {
			if (!(path.at(-1) as Node<T>).here.delete(target)) return;
			this.#wild--;
			for (let i = segments.length; i > 0; i--) {
				const node = path[i] as Node<T>;
				if (node.here.size > 0 || node.children.size > 0) break;
				(path[i - 1] as Node<T>).children.delete(segments[i - 1] as string);
			}
		};
	}

	/** Visits every target whose pattern matches an encoded key. */
	visit(key: string, visitor: (target: T) => void): void {
		const exact = this.#exact.get(key);
		if (exact !== undefined) for (const target of exact) visitor(target);
		if (this.#wild === 0 || !isUnder(key, "")) return;
		const segments = key.split("/");
		let level = [this.#root];
		for (const [i, segment] of segments.entries()) {
			const below: Node<T>[] = [];
			for (const { children } of level) {
				const rest = children.get("**");
				if (rest !== undefined) for (const target of rest.here) visitor(target);
				const child = children.get(segment);
				if (child !== undefined) below.push(child);
				const any = children.get("*");
				if (any !== undefined) below.push(any);
			}
			level = below;
			if (i === segments.length - 1) for (const { here } of level) for (const target of here) visitor(target);
		}
	}
}
