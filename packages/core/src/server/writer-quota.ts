/** How many writers a subject may have at once: a store remembers each of them until its last batch can't arrive any more. */

/** How often all are looked through, in ms. */
const tidyEvery = 60_000;

/** Counts writers. */
export class WriterQuota {
	readonly #most: number;
	readonly #writers = new Map<string, Map<string, number>>();
	#tidied = 0;

	constructor(most: number) {
		this.#most = most;
	}

	/** Notes that a writer of a subject is remembered until then; answers whether there was room for it. */
	admit(subject: string, writer: string, until: number, now: number): boolean {
		if (now - this.#tidied > tidyEvery) this.#tidy(now);
		const known = this.#writers.get(subject) ?? new Map<string, number>();
		if (!known.has(writer) && known.size >= this.#most) {
			forget(known, now);
			if (known.size >= this.#most) return false;
		}
		known.set(writer, Math.max(until, known.get(writer) ?? 0));
		this.#writers.set(subject, known);
		return true;
	}

	#tidy(now: number): void {
		this.#tidied = now;
		for (const [subject, known] of this.#writers) {
			forget(known, now);
			if (known.size === 0) this.#writers.delete(subject);
		}
	}
}

function forget(known: Map<string, number>, now: number): void {
	for (const [writer, until] of known) if (until < now) known.delete(writer);
}
