/** Time that tests own: the machine's time plus what they add to it. */
import { type Cancel, type Clock, systemClock } from "../clock.js";

interface Timer {
	readonly at: number;
	readonly callback: () => void;
	readonly background: boolean;
	cancel: Cancel;
}

/** Options of {@link TestClock}. */
export interface TestClockOptions {
	/** How far its wall clock is from the machine's, in ms: nobody must rely on two clocks agreeing. Default 0. */
	readonly skew?: number;
	/**
	 * Whether time stands still but for jumps and for what is due within 250 ms, which still just happens, and puts time forward by no more than that.
	 * However long the machine takes, nothing else comes due by itself. For a store that needs no real time, as one in memory. Default `false`.
	 */
	readonly still?: boolean;
	/** Called before a clock that stands still goes on by itself, with how far, in ms: so that the store's goes along. */
	readonly passing?: (ms: number) => void;
}

/** How far ahead a timer of a clock that stands still may be in order to run by itself, in ms. */
const soon = 250;

/**
 * A clock that runs on real time and can be put forward: no test sleeps, and what needs no help (a retry after 20 ms) just happens.
 *
 * @example
 * ```ts
 * const clock = new TestClock();
 * const backend = memory({ clock });
 * clock.jump(60_000); // a minute later
 * ```
 */
export class TestClock implements Clock {
	readonly #skew: number;
	readonly #machine: Pick<Clock, "now" | "monotonic">;
	readonly #longest: number;
	readonly #passing: (ms: number) => void;
	readonly #timers = new Set<Timer>();
	#ahead = 0;
	#fired = 0;

	constructor({ skew = 0, still = false, passing = () => {} }: TestClockOptions = {}) {
		// Whole, so that what is due after whole milliseconds is due after as many, however they are added up.
		const [now, monotonic] = [systemClock.now(), Math.ceil(systemClock.monotonic())];
		this.#skew = skew;
		this.#passing = passing;
		this.#machine = still ? { now: () => now, monotonic: () => monotonic } : systemClock;
		this.#longest = still ? soon : Number.POSITIVE_INFINITY;
	}

	now(): number {
		return this.#machine.now() + this.#skew + this.#ahead;
	}

	monotonic(): number {
		return this.#machine.monotonic() + this.#ahead;
	}

	after(ms: number, callback: () => void, background = false): Cancel {
		const timer: Timer = {
			at: this.monotonic() + Math.max(ms, 0),
			callback,
			background,
			cancel: () => {},
		};
		this.#timers.add(timer);
		this.#arm(timer);
		return () => {
			timer.cancel();
			this.#timers.delete(timer);
		};
	}

	/** How many timers wait: 0 once everything that was started has ended. */
	get waiting(): number {
		return this.#timers.size;
	}

	/** How many timers have run. */
	get fired(): number {
		return this.#fired;
	}

	/** How long until the next timer, in ms; `null` if none waits. */
	get untilNext(): number | null {
		const next = this.#earliest();
		return next === undefined ? null : Math.max(0, next.at - this.monotonic());
	}

	/**
	 * Puts time forward at once and then fires what became due, in order: what happens to a process that stood still so long. To let time pass
	 * for a running one, jump from timer to timer ({@link TestClock.untilNext}), and let it work in between.
	 */
	jump(ms: number): void {
		this.#ahead += ms;
		for (;;) {
			const next = this.#earliest();
			if (next === undefined || next.at > this.monotonic()) break;
			this.#fire(next);
		}
		for (const timer of this.#timers) this.#arm(timer);
	}

	#earliest(): Timer | undefined {
		let earliest: Timer | undefined;
		for (const timer of this.#timers) if (earliest === undefined || timer.at < earliest.at) earliest = timer;
		return earliest;
	}

	#arm(timer: Timer): void {
		timer.cancel();
		// Rounded up: engines cut the fraction off and would call early.
		const wait = Math.ceil(timer.at - this.monotonic());
		if (wait <= this.#longest)
			timer.cancel = systemClock.after(wait, () => this.#due(timer), timer.background);
	}

	#due(timer: Timer): void {
		const early = timer.at - this.monotonic();
		if (early <= 0) this.#fire(timer);
		else if (this.#machine === systemClock) {
			// Node calls up to a millisecond early.
			this.#arm(timer);
		} else {
			const ms = Math.ceil(early);
			this.#passing(ms);
			this.jump(ms);
		}
	}

	#fire(timer: Timer): void {
		timer.cancel();
		if (!this.#timers.delete(timer)) return;
		this.#fired++;
		timer.callback();
	}
}
