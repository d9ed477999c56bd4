/** The strategy: buy when the fast moving average crosses above the slow one, sell when it crosses below. */
import { MovingAverage } from "./moving-average.ts";

/** What to do now. */
export type Signal = "buy" | "sell";

/** The lengths of the averages, in bars. */
export interface Lengths {
	readonly fast: number;
	readonly slow: number;
}

/** Hears the closes, one by one, and tells crossings. */
export class Crossover {
	readonly #fast: MovingAverage;
	readonly #slow: MovingAverage;
	#above: boolean | undefined;
	#bars = 0;

	constructor({ fast, slow }: Lengths) {
		if (fast >= slow)
			throw new RangeError(`The fast average (${fast}) must be shorter than the slow one (${slow}).`);
		this.#fast = new MovingAverage(fast);
		this.#slow = new MovingAverage(slow);
	}

	/** Takes a close. Equal averages are no crossing; nor is the first comparison, since nothing came before it. */
	push(close: number): Signal | undefined {
		this.#bars++;
		const fast = this.#fast.push(close);
		const slow = this.#slow.push(close);
		if (fast === undefined || slow === undefined || fast === slow) return undefined;
		const above = fast > slow;
		const crossed = this.#above !== undefined && this.#above !== above;
		this.#above = above;
		return crossed ? (above ? "buy" : "sell") : undefined;
	}

	get fast(): number | undefined {
		return this.#fast.value;
	}

	get slow(): number | undefined {
		return this.#slow.value;
	}

	/** How many closes are missing until the averages can be compared. */
	get missing(): number {
		return Math.max(0, this.#slow.length - this.#bars);
	}
}
