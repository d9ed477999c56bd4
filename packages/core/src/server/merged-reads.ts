/** The reads of one request as the store is asked: each scope and key once, however often they are asked for. */
import type { ReadAnswer, ReadAsk, ScopeId } from "../backend.js";
import type { ReadRequest } from "../wire/messages.js";

/** Reads, merged. */
export class MergedReads {
	/** What the store is asked. */
	readonly asks: ReadAsk[];
	/** The place of each key in what is asked of its scope. */
	readonly #places = new Map<ScopeId, Map<string, number>>();

	constructor(reads: ReadRequest["reads"]) {
		for (const { s, keys } of reads) {
			const places = this.#places.get(s) ?? new Map<string, number>();
			for (const key of keys) if (!places.has(key)) places.set(key, places.size);
			this.#places.set(s, places);
		}
		this.asks = Array.from(this.#places, ([scope, places]) => ({ scope, keys: [...places.keys()] }));
	}

	/** What the store's answer about a scope says to one of the reads. */
	pick(answer: ReadAnswer, { s, keys }: ReadRequest["reads"][number]): ReadAnswer {
		const places = this.#places.get(s);
		return { ...answer, entries: keys.map((key) => answer.entries[places?.get(key) ?? -1] ?? null) };
	}
}
