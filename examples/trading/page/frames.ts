/** When a chart is drawn. */

/** The least part of the time that is left for everything else, as a multiple of what the drawing took. */
const share = 3;

/** Draws in a frame of the browser's once it was asked to, and not again too soon. */
export class Frames {
	readonly #draw: () => void;
	readonly #rest: number;
	#next = 0;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#frame = 0;

	/** `rest`: how long at least until the next drawing, in ms. */
	constructor(draw: () => void, rest: number) {
		this.#draw = draw;
		this.#rest = rest;
	}

	// Bound: it is given to what calls back.
	readonly ask = (): void => {
		this.#timer ??= setTimeout(() => {
			this.#frame = requestAnimationFrame(() => this.#now());
		}, this.#next - performance.now());
	};

	/** Draws no more. */
	end(): void {
		clearTimeout(this.#timer);
		cancelAnimationFrame(this.#frame);
	}

	#now(): void {
		this.#timer = undefined;
		const begun = performance.now();
		this.#draw();
		const took = performance.now() - begun;
		this.#next = begun + took + Math.max(this.#rest, share * took);
	}
}
