/** What an application shows of its connection: whether the server answers, how old the state is, what waits to be sent. */
import type { Clock } from "@holdfast/core";

/** Writes that are on their way to the server. */
export interface Pending {
	/** How many commits. */
	readonly count: number;
	/** When the oldest of them was made, in ms since 1970; `null` if there is none. */
	readonly oldest: number | null;
}

/**
 * How a {@link remote} backend's connection is: getters, and a `subscribe` for `useSyncExternalStore` and its like.
 *
 * @example
 * ```ts
 * const unsubscribe = backend.status.subscribe(() => showBanner(!backend.status.online));
 * ```
 */
export interface RemoteStatus {
	/** Whether the server answered last. `true` before it was asked anything. */
	readonly online: boolean;
	/**
	 * Whether what is shown may be behind the server: a stream of what is watched is broken, or not yet there; or, with an offline queue, the server is
	 * silent, so that what was known last is read.
	 */
	readonly stale: boolean;
	/** Milliseconds since the server was last heard from; `Infinity` if it never was. After a start without a network: since what is shown was told. */
	readonly age: number;
	/** What was not answered yet; the same object until it changes. */
	readonly pending: Pending;
	/** Calls back when `online`, `stale` or `pending` change; answers what ends it. */
	readonly subscribe: (listener: () => void) => () => void;
}

const none: Pending = Object.freeze({ count: 0, oldest: null });

/** The status as its backend keeps it. */
export class LiveStatus implements RemoteStatus {
	online = true;
	/** Whether the server says nothing to what it was asked, for longer than a read waits for it. */
	silent = false;
	pending: Pending = none;
	#sent: Pending = none;
	#queued: Pending = none;
	readonly #clock: Clock;
	readonly #listeners = new Set<() => void>();
	/** Whether what is watched may be behind. */
	#behind = false;
	#heardAt = Number.NEGATIVE_INFINITY;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	get stale(): boolean {
		return this.#behind || this.silent;
	}

	get age(): number {
		return this.#clock.monotonic() - this.#heardAt;
	}

	readonly subscribe = (listener: () => void): (() => void) => {
		// A function of its own: the same listener may be given twice.
		const own = (): void => listener();
		this.#listeners.add(own);
		return () => {
			this.#listeners.delete(own);
		};
	};

	/** The server was heard. */
	heard(): void {
		this.#heardAt = this.#clock.monotonic();
		this.#set({ online: true, silent: false });
	}

	/** What is shown was told then, by the device's clock: this page was told nothing newer. */
	known(at: number): void {
		this.#heardAt = Math.max(this.#heardAt, this.#clock.monotonic() - Math.max(0, this.#clock.now() - at));
	}

	/** The server could not be reached. */
	failed(): void {
		this.#set({ online: false });
	}

	/** The server says nothing. */
	quiet(): void {
		this.#set({ silent: true });
	}

	/** Whether the watched scopes are told as they change. */
	watched(live: boolean): void {
		this.#set({ behind: !live });
	}

	/** What waits for an answer. */
	waits(count: number, oldest: number | null): void {
		if (this.#sent.count === count && this.#sent.oldest === oldest) return;
		this.#sent = { count, oldest };
		this.#count();
	}

	/** What an offline queue has yet to send. Told even where it is as much as before: what was refused may be another. */
	queued(count: number, oldest: number | null): void {
		this.#queued = { count, oldest };
		this.#count();
	}

	#count(): void {
		const count = this.#sent.count + this.#queued.count;
		const since = [this.#sent, this.#queued].flatMap(({ oldest }) => (oldest === null ? [] : [oldest]));
		const oldest = since.length === 0 ? null : Math.min(...since);
		if (this.pending.count !== count || this.pending.oldest !== oldest)
			this.pending = count === 0 ? none : Object.freeze({ count, oldest });
		this.#tell();
	}

	#set({ online = this.online, silent = this.silent, behind = this.#behind }): void {
		const before = [this.online, this.stale];
		this.online = online;
		this.silent = silent;
		this.#behind = behind;
		if (before[0] !== online || before[1] !== this.stale) this.#tell();
	}

	#tell(): void {
		for (const listener of [...this.#listeners])
			try {
				listener();
			} catch (error) {
				// What a listener throws is not the connection's failure.
				console.error(error);
			}
	}
}
