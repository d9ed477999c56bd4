/** The simple moving average. */

/** The mean of the last so many numbers. */
export class MovingAverage {
	readonly length: number;
	readonly #window: number[] = [];
	#at = 0;
	#sum = 0;

	constructor(length: number) {
		this.length = length;
	}

	/** Takes a number, answers the mean; `undefined` until there are enough. */
	push(value: number): number | undefined {
		this.#sum += value - (this.#window[this.#at] ?? 0);
		this.#window[this.#at] = value;
		this.#at = (this.#at + 1) % this.length;
		return this.value;
	}

	/** The mean of the last numbers; `undefined` until there are enough. */
	get value(): number | undefined {
		return this.#window.length < this.length ? undefined : this.#sum / this.length;
	}
}
