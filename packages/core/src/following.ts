/** Following a log from a cursor at the reader's own pace: pushed records while it keeps up, the log itself where it does not. */
import type { LogQuery, LogRecord } from "./backend.js";
import type { Cancel } from "./clock.js";
import { isHoldfastError } from "./error.js";
import type { Feed, Follower } from "./feed.js";
import { spanUnder } from "./key.js";
import { follows, resumes } from "./resume.js";
import { type Snapshot, takeSnapshot } from "./snapshot.js";
import { onAbort, type Store } from "./store.js";

/** How many pushed records wait for a slow reader before it goes back to the log. */
const bufferLimit = 1000;

/** What following yields: a record, the present state (changes), or the cursor from which the log goes on (events). */
export type Followed =
	| { readonly record: LogRecord }
	| { readonly state: Snapshot }
	| { readonly lostUntil: number };

/** Follows the log of changes or of events; attached at once, read by `next`. */
export class Following implements Follower, AsyncIterableIterator<Followed> {
	/** Resolves when it is attached; rejects when the store stays out of reach for the time-out, and is attached later all the same. */
	readonly attached: Promise<void>;
	readonly #feed: Feed;
	readonly #store: Store;
	readonly #of: LogQuery["of"];
	#cursor: number;
	// Whether what comes next has to be read from the log.
	#behind: boolean;
	#read: LogRecord[] = [];
	#pushed: LogRecord[] = [];
	#wake: (() => void) | undefined;
	#attached = false;
	#ended = false;
	#failures = 0;
	readonly #unfollow: () => void;
	#deafen: Cancel | undefined;

	constructor(
		feed: Feed,
		store: Store,
		of: LogQuery["of"],
		from: number | undefined,
		signal: AbortSignal | undefined,
	) {
		this.#feed = feed;
		this.#store = store;
		this.#of = of;
		this.#behind = from !== undefined;
		this.#cursor = from ?? -1;
		this.#unfollow = feed.follow(this);
		// Attached at once on an embedded store: what is written from here on is seen.
		this.linked(feed.live);
		this.attached = feed.whenLive();
		this.attached.catch(() => {});
		this.#deafen = onAbort(signal, () => this.stop());
	}

	/** Whether nobody wants it any more. */
	get isOver(): boolean {
		return this.#ended;
	}

	/** Ends it. */
	stop(): void {
		this.#ended = true;
		this.#deafen?.();
		this.#unfollow();
		this.#wake?.();
	}

	record(record: LogRecord): void {
		if (this.#of === "events" && record.events.length === 0) return;
		if (this.#cursor < 0) this.#cursor = this.#of === "changes" ? record.previous : record.revision - 1;
		if (!this.#behind && this.#pushed.push(record) > bufferLimit) this.#fallBack();
		this.#wake?.();
	}

	reset({ revision }: Snapshot): void {
		// A store that came back older goes on from there. A log of changes is judged by its own chain.
		if (this.#of === "events") this.#cursor = Math.min(this.#cursor, revision);
		this.#fallBack();
		this.#wake?.();
	}

	linked(live: boolean): void {
		if (!live || this.#attached) return;
		this.#attached = true;
		if (this.#cursor < 0) this.#cursor = this.#feed.cursor;
		this.#wake?.();
	}

	ended(): void {
		this.stop();
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	async next(): Promise<IteratorResult<Followed, undefined>> {
		while (!this.#ended) {
			if (this.#attached) {
				const followed = this.#take() ?? (this.#behind ? await this.#readLog() : undefined);
				if (this.#ended) break;
				if (followed !== undefined) return { value: followed, done: false };
				if (this.#behind || this.#read.length > 0 || this.#pushed.length > 0) continue;
			}
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#wake = resolve;
			await promise;
		}
		return { value: undefined, done: true };
	}

	async return(): Promise<IteratorResult<Followed, undefined>> {
		this.stop();
		return { value: undefined, done: true };
	}

	#fallBack(): void {
		this.#pushed = [];
		this.#behind = true;
	}

	#take(): Followed | undefined {
		for (;;) {
			const record = this.#read.shift() ?? (this.#behind ? undefined : this.#pushed.shift());
			if (record === undefined) return undefined;
			if (record.revision <= this.#cursor) continue;
			if (!follows(record, this.#cursor, this.#of)) {
				this.#read = [];
				this.#fallBack();
				return undefined;
			}
			this.#cursor = record.revision;
			return { record };
		}
	}

	async #readLog(): Promise<Followed | undefined> {
		const { scope } = this.#feed;
		// Pushes from here on are kept: what they hold and the page too is dropped by its revision.
		this.#behind = false;
		try {
			const log = await this.#store.log(scope, this.#cursor, this.#of);
			this.#failures = 0;
			const [first] = log.records;
			if (resumes(log, this.#cursor, this.#of)) {
				this.#read.push(...log.records);
				if (log.more) this.#fallBack();
				return undefined;
			}
			if (this.#of === "changes") {
				const state = await takeSnapshot(this.#store, scope, spanUnder(""));
				this.#cursor = state.revision;
				return { state };
			}
			this.#cursor = first?.previousEvents ?? log.head;
			this.#fallBack();
			return { lostUntil: this.#cursor };
		} catch (error) {
			this.#behind = true;
			if (this.#ended) return undefined;
			if (!isHoldfastError(error) || error.code === "closed") throw error;
			// Out of reach for now: who follows a log waits, and loses nothing.
			const pause = Math.min(5000, 50 * 2 ** this.#failures++);
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#wake = resolve;
			const cancel = this.#store.clock.after(pause, resolve, true);
			await promise;
			cancel();
			return undefined;
		}
	}
}
