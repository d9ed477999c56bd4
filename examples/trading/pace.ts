/** How fast the replay runs. */
import { z } from "zod";

/** Trading days a second. */
export const Speed = z.number().min(0.1).max(1000);

export const Pace = z.object({ speed: Speed, paused: z.boolean() });
export type Pace = z.infer<typeof Pace>;

/** Tells how many days are due, by a clock that it is given. */
export class Pacer {
	#pace: Pace;
	#since: number;
	/** Days that are due and not taken yet, with the fraction that is on its way. */
	#due = 0;

	constructor(pace: Pace, now: number) {
		this.#pace = pace;
		this.#since = now;
	}

	/** Changes the pace; what was due until now stays due. */
	change(pace: Pace, now: number): void {
		this.#advance(now);
		this.#pace = pace;
	}

	/** How many whole days are due, at most so many; they count as taken. */
	take(now: number, limit: number): number {
		this.#advance(now);
		const taken = Math.min(limit, Math.floor(this.#due));
		// What could not be taken is forgotten, not caught up with: after a stall the replay goes on at its pace.
		this.#due = Math.min(this.#due - taken, 1);
		return taken;
	}

	/** How many ms until the next day is due; `undefined` while paused. */
	get wait(): number | undefined {
		return this.#pace.paused ? undefined : Math.max(0, ((1 - this.#due) * 1000) / this.#pace.speed);
	}

	#advance(now: number): void {
		if (!this.#pace.paused) this.#due += (Math.max(0, now - this.#since) * this.#pace.speed) / 1000;
		this.#since = now;
	}
}
