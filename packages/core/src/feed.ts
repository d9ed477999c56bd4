/**
 * One scope's log, followed: attach first and buffer, then go on from the cursor, drop what was seen, and heal every gap from the log. A
 * push is only a hint; where the log does not reach back, the present state is handed over as a reset.
 */
import type { BatchAnswer, LogRecord, ScopeId, Shown, Signal, Soon, Unwatch } from "./backend.js";
import type { Cancel } from "./clock.js";
import type { Committer, Lane } from "./committer.js";
import { type HoldfastError, isHoldfastError } from "./error.js";
import { spanUnder } from "./key.js";
import type { Reader } from "./reader.js";
import { follows, resumes } from "./resume.js";
import { type Snapshot, takeSnapshot } from "./snapshot.js";
import { andThen, isLater } from "./soon.js";
import type { Patience, Store } from "./store.js";

/** How long a record that does not follow waits for the one before it, in ms. */
const patienceForOrder = 20;

/** How many records may wait for the one before them, or for a repair. */
const pendingLimit = 1000;

/** Whether the store has answered, by a no: who waits need not wait on. It may say otherwise later. */
const isRefusal = (error: HoldfastError): boolean => /^(denied|unauthenticated|too-large)$/.test(error.code);

/** Who follows a feed; called in order, at once when a record arrives. It must not throw. */
export interface Follower {
	record(record: LogRecord): void;
	/** Records were lost: this is the state now. */
	reset(snapshot: Snapshot): void;
	/** Something else is to be shown, though the store has not changed. */
	shown?(changes: readonly Shown[]): void;
	/** Whether the store can be heard. */
	linked?(live: boolean): void;
	/** The feed has ended: the manager closes. */
	ended?(): void;
}

/** The parts of a manager that a feed works with. */
export interface FeedParts {
	readonly store: Store;
	readonly reader: Reader;
	readonly committer: Committer;
	/** Feeds that run; the manager checks their heads now and then. */
	readonly feeds: Set<Feed>;
}

/** A followed scope. */
export class Feed {
	readonly scope: ScopeId;
	/** The last revision that was told; -1 before the first answer. */
	cursor = -1;
	/** Whether it hears the store and has caught up. */
	live = false;
	readonly #parts: FeedParts;
	readonly #lane: Lane;
	readonly #followers = new Set<Follower>();
	#unwatch: Unwatch | undefined;
	// Grows with each attempt to attach and each stop, so that answers to an earlier one are recognised.
	#run = 0;
	readonly #waiting = new Set<PromiseWithResolvers<void>>();
	#pending = new Map<number, LogRecord>();
	#blind = false;
	#repairing = false;
	#again = false;
	#failures = 0;
	#refused: HoldfastError | undefined;
	#order: Cancel | undefined;
	#retry: Cancel | undefined;
	#sweep: { readonly at: number; readonly cancel: Cancel } | undefined;

	constructor(lane: Lane, parts: FeedParts) {
		this.scope = lane.scope;
		this.#lane = lane;
		this.#parts = parts;
	}

	/** Adds a follower and starts the feed; answers what removes it again. */
	follow(follower: Follower): () => void {
		this.#parts.store.assertOpen(this.scope);
		this.#followers.add(follower);
		// Who comes new is not answered by what somebody else was refused a while ago.
		if (this.#followers.size === 1 || (this.#refused !== undefined && this.cursor < 0)) this.#start();
		return () => {
			if (this.#followers.delete(follower) && this.#followers.size === 0) this.stop();
		};
	}

	/** Resolves when it is live; rejects when the store refuses it, or stays out of reach for the time-out. */
	async whenLive(patience?: Patience): Promise<void> {
		if (this.live) return;
		if (this.#refused !== undefined) throw this.#refused;
		const waiting = Promise.withResolvers<void>();
		this.#waiting.add(waiting);
		const { store } = this.#parts;
		const giveUp = () => store.failure ?? store.timedOut(this.scope);
		await store
			.within(waiting.promise, this.scope, patience, giveUp)
			.finally(() => this.#waiting.delete(waiting));
	}

	/** Another way of learning a head and the next deadline: our own commit's answer. */
	answered({ head, next }: Pick<BatchAnswer, "head" | "next">): void {
		if (!this.live) return;
		this.#sweepAt(next);
		if (head > this.cursor) this.#waitForOrder();
	}

	/** The slow check: a head that is not ours means that a push was lost, or that none can come. */
	check(head: number): void {
		if (this.cursor >= 0 && head !== this.cursor) this.#repair();
	}

	/** Ends it; followers hear nothing any more. */
	stop(): void {
		this.#run++;
		this.live = false;
		this.#parts.feeds.delete(this);
		const followers = [...this.#followers];
		this.#followers.clear();
		this.#detach();
		this.#order?.();
		this.#order = undefined;
		this.#retry?.();
		this.#sweep?.cancel();
		this.#sweep = undefined;
		this.#pending.clear();
		this.#repairing = false;
		for (const { reject } of this.#waiting) reject(this.#parts.store.stopped(this.scope));
		for (const follower of followers) follower.ended?.();
	}

	/** Attaches, then reads the head. Each attempt is a run of its own: what comes of an earlier one is let go. */
	#start(): void {
		const run = ++this.#run;
		const { store, reader, feeds } = this.#parts;
		this.cursor = -1;
		this.#blind = false;
		this.#again = false;
		this.#refused = undefined;
		this.#retry?.();
		feeds.add(this);
		const failed = (error: unknown): void => {
			if (run !== this.#run) return;
			this.#run++;
			this.#detach();
			this.#failed(error, () => this.#start());
		};
		const attached = (unwatch: Unwatch): Soon<void> => {
			if (run !== this.#run) return;
			this.#unwatch = unwatch;
			return andThen(reader.read(this.scope, []), ({ head, next }) => {
				if (run !== this.#run) return;
				this.cursor = head;
				this.#lane.seen(head);
				this.#caughtUp();
				this.#sweepAt(next);
				// It was woken meanwhile, perhaps by what came after that head.
				if (this.#again) this.#repair();
			});
		};
		try {
			const hear = (signal: Signal): void => {
				if (run === this.#run) this.#hear(signal);
			};
			let watching = store.backend.watch(this.scope, hear);
			if (isLater(watching)) {
				void watching.then(
					(late) => run !== this.#run && late(),
					() => {},
				);
				watching = store.within(watching, this.scope);
			}
			const attaching = andThen(watching, attached);
			if (isLater(attaching)) attaching.catch(failed);
		} catch (error) {
			failed(error);
		}
	}

	#detach(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
	}

	#failed(error: unknown, retry: () => void): void {
		if (isHoldfastError(error)) {
			if (isRefusal(error)) {
				this.#refused = error;
				for (const { reject } of this.#waiting) reject(error);
			} else this.#parts.store.fail(error);
		}
		const { clock, random } = this.#parts.store;
		const pause = Math.min(5000, 50 * 2 ** this.#failures++) * (0.5 + random() / 2);
		this.#retry?.();
		this.#retry = clock.after(pause, retry, true);
	}

	#caughtUp(): void {
		this.#failures = 0;
		this.#refused = undefined;
		if (!this.#blind) this.#link(true);
		for (const { resolve } of this.#waiting) resolve();
		this.#drain();
	}

	#link(live: boolean): void {
		if (this.live === live) return;
		this.live = live;
		for (const follower of this.#followers) follower.linked?.(live);
	}

	#hear(signal: Signal): void {
		if (signal.type === "shown") {
			for (const follower of this.#followers) follower.shown?.(signal.changes);
			return;
		}
		this.#blind = signal.type === "lost";
		if (this.#blind) this.#link(false);
		else if (signal.type === "forget") this.#forget();
		else if (signal.type === "wake" || (!this.live && this.cursor >= 0)) this.#repair();
		if (signal.type === "records") for (const record of signal.records) this.#take(record);
	}

	#take(record: LogRecord): void {
		if (this.live && !this.#repairing && follows(record, this.cursor, "changes")) {
			this.#apply(record);
			if (this.#pending.size > 0) this.#drain();
			return;
		}
		if (record.revision <= this.cursor) return;
		if (this.#pending.size < pendingLimit) this.#pending.set(record.previous, record);
		else this.#again = true;
		if (this.live && !this.#repairing) this.#waitForOrder();
	}

	#apply(record: LogRecord): void {
		this.cursor = record.revision;
		this.#lane.seen(record.revision);
		for (const { entry } of record.changes) if (entry !== null) this.#sweepAt(entry.expiresAt);
		for (const follower of this.#followers) follower.record(record);
	}

	/** Applies what waited and follows now; what still does not is given a little time. */
	#drain(): void {
		for (;;) {
			const record = this.#pending.get(this.cursor);
			if (record === undefined) break;
			this.#pending.delete(this.cursor);
			this.#apply(record);
		}
		for (const [previous, { revision }] of this.#pending)
			if (revision <= this.cursor) this.#pending.delete(previous);
		if (this.#pending.size > 0) this.#waitForOrder();
	}

	/** As if the scope were absent: what is there for who asks now follows from the log, or as a reset. */
	#forget(): void {
		this.#pending.clear();
		// What has begun to attach was asked for by another: it fails, and is tried again.
		if (this.cursor < 0) return;
		this.#link(false);
		this.cursor = 0;
		for (const follower of this.#followers) follower.reset({ entries: [], revision: 0 });
		this.#repair();
	}

	#waitForOrder(): void {
		this.#order ??= this.#parts.store.clock.after(
			patienceForOrder,
			() => {
				this.#order = undefined;
				// What was missing may have come: then there is nothing to ask for.
				if (this.live && (this.#pending.size > 0 || this.cursor < this.#lane.floor)) this.#repair();
			},
			true,
		);
	}

	#repair(): void {
		this.#again = true;
		if (this.#repairing || this.cursor < 0) return;
		this.#repairing = true;
		void this.#readLog(this.#run);
	}

	async #readLog(run: number): Promise<void> {
		const { store, reader } = this.#parts;
		try {
			while (this.#again) {
				this.#again = false;
				const cursor = this.cursor;
				const log = await store.log(this.scope, cursor, "changes");
				if (run !== this.#run) return;
				if (!resumes(log, cursor, "changes")) await this.#reset(run);
				else {
					for (const record of log.records) this.#apply(record);
					this.#again ||= log.more;
				}
				if (run !== this.#run) return;
			}
			const { next } = await reader.read(this.scope, []);
			if (run !== this.#run) return;
			this.#repairing = false;
			this.#caughtUp();
			this.#sweepAt(next);
			// It was woken during that read.
			if (this.#again) this.#repair();
		} catch (error) {
			if (run !== this.#run) return;
			this.#repairing = false;
			this.#link(false);
			this.#failed(error, () => this.#repair());
		}
	}

	async #reset(run: number): Promise<void> {
		const snapshot = await takeSnapshot(this.#parts.store, this.scope, spanUnder(""));
		if (run !== this.#run) return;
		this.cursor = snapshot.revision;
		for (const follower of this.#followers) follower.reset(snapshot);
	}

	/** Expiry is driven from here: backends hold no timers. */
	#sweepAt(at: number | null): void {
		// A sweep may be answered after the last follower left.
		if (at === null || this.#followers.size === 0) return;
		if (this.#sweep !== undefined && this.#sweep.at <= at) return;
		const { store, committer } = this.#parts;
		this.#sweep?.cancel();
		const sweep = (): void => {
			this.#sweep = undefined;
			committer.sweep(this.#lane).then(
				({ next }) => this.#sweepAt(next),
				() => this.live && this.#sweepAt(store.now() + 500),
			);
		};
		// Several managers may watch: a little jitter spares most of them the work.
		const delay = Math.max(0, at - store.now()) + store.random() * 100;
		this.#sweep = { at, cancel: store.clock.after(delay, sweep, true) };
	}
}
