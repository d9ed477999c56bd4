/** A mirror: applies what its feed tells at once, and keeps every reference that it can. */
import type { Entry, LogRecord, Shown } from "./backend.js";
import { begin } from "./beginning.js";
import type { Cancel } from "./clock.js";
import type { Feed, Follower } from "./feed.js";
import { decodeKey, encodeKey } from "./key.js";
import type { Mirror } from "./mirror.js";
import type { Pattern } from "./pattern.js";
import type { Reading } from "./reading.js";
import { isSame } from "./same.js";
import type { StateEntry } from "./scope.js";
import { type Snapshot, takeSnapshot } from "./snapshot.js";
import { SortedKeys } from "./sorted-keys.js";
import { onAbort, type Store, scopeError } from "./store.js";

/** What a mirror works with. */
export interface MirrorParts {
	readonly store: Store;
	readonly reading: Reading;
	readonly feed: Feed;
}

/** How many records are kept while the present state is listed. */
const earlyLimit = 10_000;

/** How long to wait, in ms, before the present state is listed again that did not meet what the feed tells. */
const meetingPause = 20;

interface Member {
	readonly key: string;
	readonly value: unknown;
}

interface Held {
	/** The same object until the value changes: `list` hands it out. */
	readonly member: Member;
	readonly entry: StateEntry;
}

// biome-ignore lint/suspicious/noExplicitAny: the types of a scope's keys exist in its interface only
export class LiveMirror implements Mirror<any, any>, Follower {
	readonly ready: Promise<void>;
	revision = 0;
	stale = true;
	readonly #pattern: Pattern;
	readonly #parts: MirrorParts;
	// By the key as the application writes it: reading is one look-up.
	readonly #held = new Map<string, Held>();
	readonly #order = new SortedKeys();
	#list: readonly Member[] | undefined;
	#begun = false;
	#resets = 0;
	#early: LogRecord[] = [];
	#unfollow: (() => void) | undefined;
	#deafen: Cancel | undefined;
	#closed = false;
	#changed = false;
	readonly #listeners = new Set<(members: readonly Member[]) => void>();
	/** Who waits for which revision. */
	readonly #waiting = new Map<PromiseWithResolvers<void>, number>();

	constructor(
		pattern: Pattern,
		initial: readonly StateEntry[],
		signal: AbortSignal | undefined,
		parts: MirrorParts,
	) {
		this.#pattern = pattern;
		this.#parts = parts;
		for (const entry of initial) this.#hold(encodeKey(entry.key), entry);
		this.#unfollow = parts.feed.follow(this);
		this.ready = begin({
			store: parts.store,
			scope: parts.feed.scope,
			what: "a mirror",
			isOver: () => this.#closed,
			attempt: () => this.#begin(),
		});
		this.#deafen = onAbort(signal, () => this.close());
	}

	get size(): number {
		return this.#held.size;
	}

	async at(revision: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
		if (this.#begun && this.revision >= revision) return;
		const { store, feed } = this.#parts;
		if (this.#closed) throw store.stopped(feed.scope);
		const waiting = Promise.withResolvers<void>();
		this.#waiting.set(waiting, revision);
		await store.within(waiting.promise, feed.scope, options).finally(() => this.#waiting.delete(waiting));
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	get(key: string): any {
		const held = this.#held.get(key);
		return held === undefined ? this.#absent(key) : held.member.value;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	entry(key: string): any {
		return this.#held.get(key)?.entry;
	}

	// Bound, like subscribe: useSyncExternalStore(mirror.subscribe, mirror.list).
	// biome-ignore lint/suspicious/noExplicitAny: see the class
	readonly list = (): readonly any[] => {
		this.#list ??= Object.freeze(
			Array.from(
				this.#order.within({ from: "", to: null }),
				(key) => (this.#held.get(decodeKey(key)) as Held).member,
			),
		);
		return this.#list;
	};

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	readonly subscribe = (listener: (members: readonly any[]) => void): (() => void) => {
		// A listener of its own each time: the same function may subscribe twice.
		const own = (members: readonly Member[]): void => listener(members);
		this.#listeners.add(own);
		this.#call(own);
		return () => {
			this.#listeners.delete(own);
		};
	};

	close(): void {
		this.#closed = true;
		this.stale = true;
		this.#deafen?.();
		this.#unfollow?.();
		this.#listeners.clear();
		const { store, feed } = this.#parts;
		for (const { reject } of this.#waiting.keys()) reject(store.stopped(feed.scope));
	}

	[Symbol.dispose](): void {
		this.close();
	}

	record(record: LogRecord): void {
		if (!this.#begun) {
			// More than that, and the listing begins again: see #begin.
			if (this.#early.push(record) > earlyLimit) this.#early = [];
			return;
		}
		if (record.revision <= this.revision) return;
		this.#show(record.shown?.() ?? record.changes);
		this.#moved(record.revision, record.quiet);
	}

	shown(changes: readonly Shown[]): void {
		// Before that, what is listed holds it.
		if (!this.#begun) return;
		this.#show(changes);
		this.#moved(this.revision, false);
	}

	reset({ entries, revision }: Snapshot): void {
		this.#early = [];
		this.#resets++;
		if (!this.#begun) return;
		this.#replace(entries);
		this.#moved(revision, false);
	}

	linked(live: boolean): void {
		this.stale = !live || !this.#begun;
	}

	ended(): void {
		this.close();
	}

	async #begin(): Promise<void> {
		const { feed, store } = this.#parts;
		await feed.whenLive();
		let snapshot: Snapshot;
		for (;;) {
			const resets = this.#resets;
			snapshot = await takeSnapshot(store, feed.scope, this.#pattern.span);
			if (this.#closed) throw store.stopped(feed.scope);
			// Reset while it was listed, it may be of a life that is over.
			if (resets !== this.#resets) continue;
			if (snapshot.revision >= feed.cursor || this.#reaches(snapshot.revision)) break;
			// Too much came meanwhile, so that it does not meet what was kept; or the feed has yet to hear that the scope was dropped or lost.
			feed.check(snapshot.revision);
			await store.pause(meetingPause);
		}
		this.#replace(snapshot.entries);
		this.#begun = true;
		this.stale = !feed.live;
		const early = this.#early;
		this.#early = [];
		this.#moved(snapshot.revision, false);
		for (const record of early) this.record(record);
	}

	// Whether the records that were kept go on from a revision.
	#reaches(revision: number): boolean {
		const next = this.#early.find((record) => record.revision > revision);
		return next !== undefined && next.previous <= revision;
	}

	#show(changes: readonly Shown[]): void {
		for (const { key, entry } of changes) {
			if (!this.#pattern.matches(key)) continue;
			if (entry === null) this.#drop(key);
			else this.#take(entry);
		}
	}

	#replace(entries: readonly Entry[]): void {
		const present = new Map(entries.map((entry) => [entry.key, entry]));
		for (const key of [...this.#held.keys()].map(encodeKey)) if (!present.has(key)) this.#drop(key);
		for (const entry of entries) if (this.#pattern.matches(entry.key)) this.#take(entry);
	}

	#take(entry: Entry): void {
		const { reading, store, feed } = this.#parts;
		try {
			this.#hold(entry.key, reading.entry(entry));
		} catch (error) {
			store.report(error, "a mirror leaves out what can't be read", feed.scope, decodeKey(entry.key));
			this.#drop(entry.key);
		}
	}

	#hold(encoded: string, entry: StateEntry): void {
		const { key, value } = entry;
		const before = this.#held.get(key);
		if (before !== undefined && isSame(before.member.value, value, this.#parts.store.codec)) {
			this.#held.set(key, { member: before.member, entry: { ...entry, value: before.member.value } });
			return;
		}
		if (before === undefined) this.#order.add(encoded);
		this.#held.set(key, { member: Object.freeze({ key, value }), entry });
		this.#list = undefined;
		this.#changed = true;
	}

	#drop(encoded: string): void {
		if (!this.#held.delete(decodeKey(encoded))) return;
		this.#order.delete(encoded);
		this.#list = undefined;
		this.#changed = true;
	}

	#moved(revision: number, quiet: boolean): void {
		this.revision = revision;
		for (const [{ resolve }, wanted] of this.#waiting) if (wanted <= revision) resolve();
		if (!this.#changed) return;
		this.#changed = false;
		if (quiet || this.#listeners.size === 0) return;
		const listeners = [...this.#listeners];
		// Not in the middle of a writer's call.
		queueMicrotask(() => {
			for (const listener of listeners) if (this.#listeners.has(listener)) this.#call(listener);
		});
	}

	#call(listener: (members: readonly Member[]) => void): void {
		try {
			listener(this.list());
		} catch (error) {
			this.#parts.store.report(error, "a mirror's listener failed, see cause", this.#parts.feed.scope);
		}
	}

	#absent(key: string): unknown {
		const { reading, feed } = this.#parts;
		const encoded = reading.key(key);
		if (!this.#pattern.matches(encoded))
			throw scopeError(feed.scope, "invalid-key", "the mirror's pattern does not match this key", { key });
		return reading.rule(encoded).default;
	}
}
