/**
 * Promise 13 before a store within the process. Its own answers can't be lost, so it remembers no writers; but what the bridge answers to a page
 * can be. A store that the page's process could lose an answer of remembers by itself, across servers and restarts.
 */
import type { Batch, BatchAnswer, Failure, Soon } from "../backend.js";
import { andThen } from "../soon.js";
import type { Store } from "../store.js";

interface Sent {
	readonly sequence: number;
	/** The id of the batch's first commit. */
	readonly id: string;
	readonly answer: Soon<BatchAnswer | Failure>;
	/** Until when it must be remembered, by the store's clock. */
	readonly until: number;
}

/** How many are remembered before those are looked for that need not be any more. */
const tidyAt = 1000;

/** Hands batches to the store, each once. */
export class OnceOverMemory {
	readonly #store: Store;
	readonly #sent = new Map<string, Sent>();
	#tidyAt = tidyAt;

	constructor(store: Store) {
		this.#store = store;
	}

	/** The answers to batches, those of before for what is sent again. */
	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[] {
		if (this.#store.immediate) return batches.map((batch) => this.#once(batch));
		return this.#store.askAll((backend) => backend.commit(batches), batches.length);
	}

	#once(batch: Batch): Soon<BatchAnswer | Failure> {
		const { scope, writer, sequence, until } = batch;
		const first = batch.commits[0];
		const answer = (): Soon<BatchAnswer | Failure> =>
			this.#store.askOne((backend) => backend.commit([batch])[0]);
		if (first === undefined) return answer();
		const name = `${scope} ${writer}`;
		const before = this.#sent.get(name);
		const now = this.#store.now();
		if (before !== undefined && sequence < before.sequence)
			return { failed: "superseded", message: "a later batch of this writer was applied", now };
		if (before?.sequence === sequence)
			return before.id === first.id
				? before.answer
				: { failed: "conflict", message: "this writer sent another batch under the same sequence", now };
		const sent: Sent = { sequence, id: first.id, answer: answer(), until };
		this.#sent.set(name, sent);
		if (this.#sent.size > this.#tidyAt) this.#tidy(now);
		return andThen(sent.answer, (settled) => {
			// What failed was not applied: sent again, it is judged anew.
			if ("failed" in settled && this.#sent.get(name) === sent) this.#sent.delete(name);
			return settled;
		});
	}

	#tidy(now: number): void {
		for (const [name, { until }] of this.#sent) if (until < now) this.#sent.delete(name);
		this.#tidyAt = Math.max(tidyAt, 2 * this.#sent.size);
	}
}
