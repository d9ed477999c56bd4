/** A manager's leases, with one timer for all of them. */
import type { Cancel, Clock } from "./clock.js";
import type { HeldLease } from "./lease.js";

/** Leases that are to be renewed within so many ms go with the one whose time has come: a look at all of them serves many. */
const together = 50;

export class Leases {
	/** Whether what can't be let go of now is left to run out. */
	closed = false;
	readonly #clock: Clock;
	// Each knows its place: a Set to which one is added and from which it goes again makes its table anew all the time.
	readonly #held: HeldLease[] = [];
	#at = Number.POSITIVE_INFINITY;
	#cancel: Cancel | undefined;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	add(lease: HeldLease): void {
		lease.place = this.#held.push(lease) - 1;
		this.wakeAt(lease.wakesAt);
	}

	delete(lease: HeldLease): void {
		if (lease.place < 0) return;
		const last = this.#held.pop() as HeldLease;
		if (last !== lease) {
			last.place = lease.place;
			this.#held[lease.place] = last;
		}
		lease.place = -1;
	}

	/** Looks at the leases at an instant of the monotonic clock, or before. A lock that is let go of leaves the timer for the next. */
	wakeAt(at: number): void {
		if (at >= this.#at) return;
		this.#at = at;
		this.#cancel?.();
		this.#cancel = this.#clock.after(Math.max(0, at - this.#clock.monotonic()), () => this.#wake(), true);
	}

	/** Lets go of all of them, for good. */
	async release(): Promise<void> {
		this.closed = true;
		await Promise.all([...this.#held].map((lease) => lease.release()));
		this.#cancel?.();
	}

	#wake(): void {
		this.#at = Number.POSITIVE_INFINITY;
		const until = this.#clock.monotonic() + together;
		for (const lease of [...this.#held])
			if (lease.wakesAt <= until) void lease.renew();
			else this.wakeAt(lease.wakesAt);
	}
}
