/** The reads of one request as the store is asked: each scope and key once, however often they are asked for. */
import type { ReadAnswer, ReadAsk, ScopeId } from "../backend.js";
import type { ReadRequest } from "../wire/messages.js";

/** Reads, merged. */
export class MergedReads {
	/** What the store is asked. */
	readonly asks: ReadAsk[];
	readonly #keys = new Map<ScopeId, Set<string>>();

	constructor(reads: ReadRequest["reads"]) {
		for (const { s, keys } of reads) {
			const merged = this.#keys.get(s) ?? new Set();
			for (const key of keys) merged.add(key);
			this.#keys.set(s, merged);
		}
		this.asks = Array.from(this.#keys, ([scope, keys]) => ({ scope, keys: [...keys] }));
	}

	/** What the store's answer about a scope says to one of the reads. */
	pick(answer: ReadAnswer, { s, keys }: ReadRequest["reads"][number]): ReadAnswer {
		const places = new Map(Array.from(this.#keys.get(s) ?? [], (key, i) => [key, i]));
		return { ...answer, entries: keys.map((key) => answer.entries[places.get(key) as number] ?? null) };
	}
}
