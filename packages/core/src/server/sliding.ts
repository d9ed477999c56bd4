/** When scopes were last extended, so that not every look at one costs a write. */
import type { ScopeId } from "../backend.js";
import type { Clock } from "../clock.js";

/** How many scopes are remembered; forgotten ones are extended once more than they need. */
const most = 10_000;

/** Remembers extensions. */
export class Sliding {
	readonly #clock: Clock;
	readonly #extended = new Map<ScopeId, number>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Whether a scope that outlives its last use by `idle` ms is to be extended now: it then counts as extended. */
	isDue(scope: ScopeId, idle: number): boolean {
		const now = this.#clock.monotonic();
		if (now - (this.#extended.get(scope) ?? Number.NEGATIVE_INFINITY) < idle / 10) return false;
		if (this.#extended.size >= most) this.#extended.clear();
		this.#extended.set(scope, now);
		return true;
	}
}
