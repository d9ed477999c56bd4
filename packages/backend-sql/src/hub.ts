/** Who watches what, and how a change is heard of: at once within the backend, by a hint or by looking elsewhere. */
import type { ScopeId, Signal, Unwatch } from "@holdfast/core";
import type { Packed } from "./commit.js";

type Listener = (signal: Signal) => void;

/** How heads are looked at. */
export interface Looking {
	/** The heads of scopes; those that are absent may be left out. */
	heads(scopes: readonly ScopeId[]): Promise<ReadonlyMap<ScopeId, number>>;
	/** Whether anything may have changed since the last look; a cheap hint. */
	changed?(): Promise<boolean>;
	/** The least and the most pause between two looks, in ms: short after a change, longer and longer while nothing happens. */
	readonly least: number;
	readonly most: number;
}

interface Watched {
	readonly listeners: Set<Listener>;
	/** The head when we looked last. */
	head: number;
}

/** The watchers of one backend. */
export class Hub {
	readonly #looking: Looking;
	readonly #watched = new Map<ScopeId, Watched>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#pause: number;
	#blind = false;
	#looks = false;
	#hinted = false;
	#closed = false;
	/** Whether hints come, so that looking is only for what a hint missed. */
	#hints = false;

	constructor(looking: Looking) {
		this.#looking = looking;
		this.#pause = looking.least;
	}

	/** Whether anybody watches. */
	get isWatched(): boolean {
		return this.#watched.size > 0;
	}

	/** Attaches a listener. */
	async watch(scope: ScopeId, listener: Listener): Promise<Unwatch> {
		// What is committed from here on has another head than this one.
		const head = (await this.#looking.heads([scope])).get(scope) ?? 0;
		if (this.#closed) return () => {};
		const watched = this.#watched.get(scope) ?? { listeners: new Set<Listener>(), head };
		this.#watched.set(scope, watched);
		watched.listeners.add(listener);
		this.#later();
		return () => {
			if (!watched.listeners.delete(listener) || watched.listeners.size > 0) return;
			if (this.#watched.get(scope) === watched) this.#watched.delete(scope);
			if (this.#watched.size === 0) this.#rest();
		};
	}

	/** Tells what this backend committed itself. */
	tell(packed: readonly Packed[]): void {
		for (const { batch, records, ended, answer } of packed) {
			const watched = this.#watched.get(batch.scope);
			if (watched === undefined || "failed" in answer) continue;
			if (records.length > 0 || ended) watched.head = answer.head;
			if (ended) this.#signal(watched, { type: "wake" });
			if (records.length > 0) this.#signal(watched, { type: "records", records });
		}
	}

	/** Somebody changed these scopes, or perhaps any. */
	hint(scopes: readonly ScopeId[] | "any"): void {
		if (scopes === "any") {
			this.#pause = this.#looking.least;
			this.#hinted = true;
			void this.#look();
			return;
		}
		for (const scope of scopes) {
			const watched = this.#watched.get(scope);
			if (watched !== undefined) this.#signal(watched, { type: "wake" });
		}
	}

	/** Whether hints can be heard from now on: while they are, looking is only for what they missed. */
	listening(hears: boolean): void {
		if (this.#hints === hears) return;
		this.#hints = hears;
		this.#pause = this.#looking.least;
		if (!this.isWatched) return;
		// What happened meanwhile was not heard.
		this.#hinted = true;
		void this.#look();
	}

	close(): void {
		this.#closed = true;
		this.#watched.clear();
		this.#rest();
	}

	#rest(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#later(): void {
		if (this.#timer !== undefined || this.#looks || this.#watched.size === 0) return;
		const { most } = this.#looking;
		// A crash between a commit and its hint is healed by this look.
		const pause = this.#hints ? Math.max(most, 5000) : this.#pause;
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			void this.#look();
		}, pause);
	}

	async #look(): Promise<void> {
		if (this.#looks || this.#watched.size === 0) return;
		this.#looks = true;
		this.#rest();
		const { changed, least, most } = this.#looking;
		try {
			let moved = false;
			const force = this.#hinted || this.#blind;
			this.#hinted = false;
			if (force || changed === undefined || (await changed.call(this.#looking))) {
				const before = new Map(this.#watched);
				const heads = await this.#looking.heads([...before.keys()]);
				for (const [scope, watched] of before) {
					const head = heads.get(scope) ?? 0;
					if (head === watched.head && !this.#blind) continue;
					watched.head = head;
					moved = true;
					this.#signal(watched, { type: "wake" });
				}
				this.#blind = false;
			}
			this.#pause = moved ? least : Math.min(most, this.#pause * 1.3);
		} catch {
			if (!this.#blind) {
				this.#blind = true;
				for (const watched of this.#watched.values()) this.#signal(watched, { type: "lost" });
			}
			this.#pause = Math.min(most, this.#pause * 1.3);
		} finally {
			this.#looks = false;
		}
		if (this.#hinted) void this.#look();
		else this.#later();
	}

	#signal(watched: Watched, signal: Signal): void {
		for (const listener of [...watched.listeners]) listener(signal);
	}
}
