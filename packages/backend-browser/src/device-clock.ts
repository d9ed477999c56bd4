/** The device's clock, as state may rely on it: it never runs backwards, nor stands still when it was set back. */
import type { Clock } from "@holdfast/core";

// Wall clocks are slewed a little all the time: what is behind by no more is not set back.
const slack = 1000;

/** What a store wrote of the clock that it saw last. */
export interface ClockNote {
	/** The store's time, in ms. */
	readonly time: number;
	/** How far it was ahead of the device's, in ms. */
	readonly offset: number;
}

/** Time that goes on from what was seen, whatever the device's clock is set to. */
export class DeviceClock {
	readonly #clock: Clock;
	#offset = 0;
	#now = 0;
	#monotonic: number;

	constructor(clock: Clock) {
		this.#clock = clock;
		this.#monotonic = clock.monotonic();
	}

	/** How far it is ahead of the device's, in ms. */
	get offset(): number {
		return this.#offset;
	}

	/** The time, in ms since 1970. */
	now(): number {
		const wall = this.#clock.now();
		const monotonic = this.#clock.monotonic();
		const expected = this.#now + Math.max(0, monotonic - this.#monotonic);
		this.#monotonic = monotonic;
		// Put forward again, or the device slept: what it was ahead of the device shrinks first.
		const ahead = wall + this.#offset - expected;
		if (ahead > slack) this.#offset = Math.max(0, this.#offset - ahead);
		// Set back: it carries on, ahead of the device by as much.
		if (wall + this.#offset < Math.max(this.#now, expected - slack)) this.#offset = expected - wall;
		this.#now = Math.max(this.#now, wall + this.#offset);
		return this.#now;
	}

	/** Takes notice of a time that was written: perhaps by another tab, perhaps before the device's clock was set back. */
	witness({ time, offset }: ClockNote): void {
		if (this.now() >= time) return;
		const wall = this.#clock.now();
		this.#offset = Math.max(offset, time - wall);
		// What went by since it was written counts: it is not that the clock was put forward.
		this.#now = wall + this.#offset;
	}
}
