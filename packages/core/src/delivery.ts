/** One subscription's way from the feed to its listener: in order, bounded, at the listener's own pace. */
import type { Change, Entry, LogRecord, Soon } from "./backend.js";
import { begin } from "./beginning.js";
import type { Cancel } from "./clock.js";
import type { Feed } from "./feed.js";
import type { Pattern } from "./pattern.js";
import type { Reading } from "./reading.js";
import { resumes } from "./resume.js";
import type { Snapshot } from "./snapshot.js";
import { isLater } from "./soon.js";
import { onAbort, type Store } from "./store.js";
import type { Subscription } from "./subscription.js";

/** A change on its way to listeners. */
export interface News {
	readonly change: Change;
	readonly record: Pick<LogRecord, "revision" | "origin" | "metadata">;
	/** Told as present state and not as it happened. */
	readonly replayed?: boolean;
}

/** Options of a subscription, parsed. */
export interface DeliveryOptions {
	readonly from: number | undefined;
	readonly initial: boolean;
	readonly throttle: number;
	readonly coalesce: "latest" | "reset";
	readonly queue: number;
	readonly own: boolean;
	readonly onReset: ((entries: never, revision: number) => unknown) | undefined;
	readonly signal: AbortSignal | undefined;
}

interface DeliveryParts {
	readonly store: Store;
	readonly reading: Reading;
	readonly feed: Feed;
	present(): Promise<Snapshot>;
	ended(): void;
}

/** Something to tell: a change, the present state, or that the present state has to be read first. */
type Step = News | { readonly state: Snapshot } | { readonly lost: true };

// On Node `queueMicrotask` makes an async resource for each.
const settled = Promise.resolve();

/** What is there of a key, or nothing any more, as news; `revision` is that of its deletion. */
export const replayed = (key: string, entry: Entry | null, revision: number): News => ({
	change: entry === null ? { type: "delete", key, entry } : { type: "set", key, entry },
	record: { revision: entry?.revision ?? revision, metadata: entry?.metadata, origin: undefined },
	replayed: true,
});

/** A running subscription. */
export class Delivery implements Subscription {
	readonly pattern: Pattern;
	/** Whether a reset is told as the difference to what it heard. */
	readonly wantsDifference: boolean;
	ready: Promise<void> = Promise.resolve();
	readonly #listener: (change: unknown) => unknown;
	readonly #options: DeliveryOptions;
	readonly #parts: DeliveryParts;
	#queue: Step[] = [];
	// The latest of each key: while a throttle gathers, or once the queue was full.
	readonly #latest = new Map<string, News>();
	readonly #work = (): void => this.#run();
	#throttled: Cancel | undefined;
	// In the middle of a call, or about to be: what comes waits.
	#busy = true;
	#stopped = false;
	#deafen: Cancel | undefined;
	// What came up to here was told by a snapshot or from the log.
	#seen = -1;

	constructor(
		pattern: Pattern,
		listener: (change: unknown) => unknown,
		options: DeliveryOptions,
		parts: DeliveryParts,
	) {
		this.pattern = pattern;
		this.#listener = listener;
		this.#options = options;
		this.#parts = parts;
		this.wantsDifference = options.onReset === undefined;
	}

	/** Attaches: what comes meanwhile waits behind what `from` or `initial` ask for. */
	start(): void {
		const { from } = this.#options;
		// Who names a cursor knows the state there: beside what is told from it, the present state would hide what was deleted since.
		const initial = this.#options.initial && from === undefined;
		const { store, feed } = this.#parts;
		const waits = from !== undefined || initial;
		this.#seen = from ?? -1;
		this.ready = begin({
			store,
			scope: feed.scope,
			what: "a subscription",
			isOver: () => this.#stopped,
			attempt: async () => {
				await feed.whenLive();
				if (from !== undefined) await this.#replay();
				if (initial || this.wantsDifference) {
					const state = await this.#parts.present();
					if (initial) await this.#tellState(state, false);
				}
				if (waits) this.#run();
			},
		});
		if (!waits) this.#run();
		this.#deafen = onAbort(this.#options.signal, () => this.stop());
	}

	/** Takes a change; the feed is in the middle of telling others, so the listener is called later. */
	tell(news: News): void {
		const { own, throttle, queue } = this.#options;
		if (!own && news.record.origin === this.#parts.store.origin) return;
		if (throttle > 0 || this.#latest.size > 0) this.#keepLatest(news);
		else if (this.#queue.push(news) > queue) this.#overflow();
		if (throttle === 0) this.#wake();
		else
			this.#throttled ??= this.#parts.store.clock.after(throttle, () => {
				this.#throttled = undefined;
				this.#wake();
			});
	}

	/** Takes the present state, where changes were lost. */
	reset(state: Snapshot, difference: readonly News[]): void {
		// A store that came back older goes on from there: what it tells next was not seen.
		this.#seen = Math.min(this.#seen, state.revision);
		if (this.wantsDifference) {
			// It is the difference to all that was heard, what still waits to be told included.
			for (const { change } of difference) this.#latest.delete(change.key);
			this.#queue = [...this.#queue, ...difference];
		} else {
			this.#latest.clear();
			this.#queue = [{ state }];
		}
		this.#wake();
	}

	stop(): void {
		if (this.#stopped) return;
		this.#stopped = true;
		this.#deafen?.();
		this.#throttled?.();
		this.#queue = [];
		this.#latest.clear();
		this.#parts.ended();
	}

	[Symbol.dispose](): void {
		this.stop();
	}

	/** Tells what the log holds after what was seen; what came since the feed was attached waits in the queue. */
	async #replay(): Promise<void> {
		const { feed, store } = this.#parts;
		for (let more = true; more && !this.#stopped; ) {
			const cursor = this.#seen;
			const log = await store.log(feed.scope, cursor, "changes");
			if (!resumes(log, cursor, "changes")) return this.#tellState(await this.#parts.present(), true);
			for (const record of log.records) {
				this.#seen = record.revision;
				if (record.quiet || (!this.#options.own && record.origin === store.origin)) continue;
				for (const change of record.changes)
					if (this.pattern.matches(change.key)) await this.#perform({ change, record });
			}
			more = log.more;
		}
	}

	async #tellState(state: Snapshot, isReset: boolean): Promise<void> {
		this.#seen = state.revision;
		if (isReset && !this.wantsDifference) await this.#perform({ state });
		else for (const entry of state.entries) await this.#perform(replayed(entry.key, entry, state.revision));
	}

	#keepLatest(news: News): void {
		const { key } = news.change;
		this.#latest.delete(key);
		this.#latest.set(key, news);
	}

	#overflow(): void {
		if (this.#options.coalesce === "reset") {
			this.#queue = [{ lost: true }];
			return;
		}
		const queue = this.#queue;
		this.#queue = queue.filter((step) => !("change" in step));
		for (const step of queue) if ("change" in step) this.#keepLatest(step);
	}

	#wake(): void {
		if (this.#busy || this.#stopped) return;
		this.#busy = true;
		void settled.then(this.#work);
	}

	/** Calls the listener as long as there is something to tell and it answers at once. */
	#run(): void {
		while (!this.#stopped) {
			const step = this.#take();
			if (step === undefined) break;
			const done = this.#perform(step);
			if (!isLater(done)) continue;
			void done.then(() => this.#run());
			return;
		}
		this.#busy = false;
	}

	#take(): Step | undefined {
		for (;;) {
			const queue = this.#queue;
			// `pop` is an instruction, `shift` a call.
			let step = queue.length > 1 ? queue.shift() : queue.pop();
			if (step === undefined && this.#latest.size > 0 && this.#throttled === undefined) {
				step = this.#latest.values().next().value;
				if (step !== undefined) this.#latest.delete(step.change.key);
			}
			if (step === undefined || !("change" in step) || step.replayed === true) return step;
			if (step.record.revision > this.#seen) return step;
		}
	}

	/** The queue overflowed and its listener is free again: it is told the present state. */
	async #recover(): Promise<void> {
		try {
			await this.#tellState(await this.#parts.present(), true);
		} catch (error) {
			this.#failed(error, "the present state could not be read");
			await this.#parts.store.pause(1000);
			this.#queue = [{ lost: true }];
		}
	}

	/** Tells one thing; a listener's failure goes to the manager and stops nobody. */
	#perform(step: Step): Soon<unknown> {
		if (this.#stopped) return undefined;
		if ("lost" in step) return this.#recover();
		const { reading } = this.#parts;
		try {
			const answer =
				"state" in step
					? this.#options.onReset?.(
							step.state.entries.map((entry) => reading.entry(entry)) as never,
							step.state.revision,
						)
					: this.#listener(reading.change(step.change, step.record, step.replayed));
			return isLater(answer) ? answer.catch((error: unknown) => this.#failed(error)) : undefined;
		} catch (error) {
			this.#failed(error);
			return undefined;
		}
	}

	#failed(error: unknown, message = "a listener failed, see cause"): void {
		const { store, feed } = this.#parts;
		store.report(error, message, feed.scope, this.pattern.text);
	}
}
