/** What the database's clock says, as far as its answers told. */

/** How long what an answer told may be relied on, in ms: two clocks drift apart by much less than a millisecond in it. */
const reliable = 5000;

/** An estimate that is not ahead of the database's clock, unless that was set back: it is behind by as long as an answer took to come. */
export class StoreClock {
	readonly #monotonic: () => number;
	#ahead = 0;
	#noted = Number.NEGATIVE_INFINITY;

	/** @param monotonic - a clock of this process, in ms. */
	constructor(monotonic: () => number = () => performance.now()) {
		this.#monotonic = monotonic;
	}

	/** Notes what it said in an answer that has just come. The one that came fastest tells best. */
	note(now: number): void {
		const at = this.#monotonic();
		const ahead = now - at;
		if (ahead < this.#ahead && at - this.#noted < reliable) return;
		this.#ahead = ahead;
		this.#noted = at;
	}

	/** What it says now, at the least, in whole milliseconds; `undefined` before the first answer. */
	now(): number | undefined {
		return Number.isFinite(this.#noted) ? Math.floor(this.#monotonic() + this.#ahead) : undefined;
	}
}
