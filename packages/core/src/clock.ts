/** Time as core sees it: injected, so that tests own it. */

/** Cancels a timer; calling it again does nothing. */
export type Cancel = () => void;

/** Time and timers. Nothing in core calls `Date.now` or `setTimeout` but {@link systemClock}. */
export interface Clock {
	/** Wall clock, ms since 1970. */
	now(): number;
	/** A clock that never steps, ms from an arbitrary start. */
	monotonic(): number;
	/** Calls back once after `ms`. A background timer does not keep the process alive. */
	after(ms: number, callback: () => void, background?: boolean): Cancel;
}

// setTimeout turns longer delays into 1 ms (HTML, "timers": the delay is a signed 32-bit integer).
const longest = 2 ** 31 - 1;

// Node makes a global of it by an accessor, which costs as much as the reading.
const { performance } = globalThis;

/** The machine's own time. */
export const systemClock: Clock = {
	now: () => Date.now(),
	monotonic: () => performance.now(),
	after(ms, callback, background = false) {
		const timer = setTimeout(callback, Math.min(Math.max(ms, 0), longest));
		if (background) (timer as { unref?: () => void }).unref?.();
		return () => clearTimeout(timer);
	},
};
