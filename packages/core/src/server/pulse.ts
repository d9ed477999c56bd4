/**
 * When records go out: the first at once, then what gathers, at most once per window. One timer serves all scopes, and a window grows where
 * the event loop lags, so that a server under load sends fewer and larger frames.
 */
import type { Cancel, Clock } from "../clock.js";

/** The shortest window, in ms. */
const shortest = 10;

/** The longest, in ms. */
const longest = 250;

/** What gathers between two beats. */
export interface Gathering {
	/** Sends what has gathered; answers whether there was anything. */
	flush(): boolean;
}

/** The beats of one server. */
export class Pulse {
	readonly #clock: Clock;
	/** Those that have sent something within this window. */
	#warm = new Set<Gathering>();
	/** Those that shall send at the end of this turn. */
	#fresh = new Set<Gathering>();
	#window = shortest;
	#lag = 0;
	#timer: Cancel | undefined;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Says that something has gathered. */
	ready(gathering: Gathering): void {
		if (this.#warm.has(gathering) || this.#fresh.has(gathering)) return;
		// Not within the commit that made it, and together with what else this turn brings.
		if (this.#fresh.size === 0) queueMicrotask(() => this.#sendFresh());
		this.#fresh.add(gathering);
	}

	/** Ends it. */
	stop(): void {
		this.#timer?.();
		this.#timer = undefined;
		this.#warm.clear();
	}

	#sendFresh(): void {
		const fresh = this.#fresh;
		this.#fresh = new Set();
		this.#flush(fresh);
	}

	#flush(gatherings: ReadonlySet<Gathering>): void {
		for (const gathering of gatherings) if (gathering.flush()) this.#warm.add(gathering);
		// A window begins when the sinks have written, which they do at the end of this turn: however many listen, as much time as their frames
		// take is left for everything else.
		queueMicrotask(() => this.#beatLater());
	}

	#beatLater(): void {
		if (this.#timer !== undefined || this.#warm.size === 0) return;
		const due = this.#clock.monotonic() + this.#window;
		this.#timer = this.#clock.after(
			this.#window,
			() => {
				this.#timer = undefined;
				const lag = this.#clock.monotonic() - due;
				// Twice in a row: a pause of a moment, as for a garbage collection, is no load.
				this.#window = Math.min(longest, Math.max(shortest, 2 * Math.min(lag, this.#lag)));
				this.#lag = lag;
				const warm = this.#warm;
				this.#warm = new Set();
				this.#flush(warm);
			},
			true,
		);
	}
}
