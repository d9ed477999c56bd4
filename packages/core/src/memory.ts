/** The embedded default: a store in the process's memory. */
import type {
	Backend,
	Batch,
	BatchAnswer,
	Commit,
	CommitOutcome,
	Entry,
	Failure,
	KeyRange,
	ListPage,
	LogPage,
	LogQuery,
	ReadAnswer,
	ReadAsk,
	ScopeId,
	ScopePage,
	ScopeRange,
	Sender,
	Signal,
	Unwatch,
} from "./backend.js";
import { type Clock, systemClock } from "./clock.js";
import { compareKeys } from "./key.js";
import { MemoryScope, type MemoryUse } from "./memory-scope.js";
import { isLive, isOver, nextDeadline, runBatch, runCommit } from "./reducer.js";
import { SortedKeys } from "./sorted-keys.js";
import { wholeNumber } from "./whole-number.js";
import { overdue } from "./writer.js";

/** Options of {@link memory}. */
export interface MemoryOptions {
	/** The most entries of all scopes together; further ones are refused as `full`. Default 5,000,000. */
	readonly maxEntries?: number;
	/**
	 * The most bytes of all scopes and their logs together, as estimated from their values. At the bound a scope's log of changes gives
	 * way first, then writes are refused as `full`; nothing is evicted. Default 1 GiB.
	 */
	readonly maxBytes?: number;
	/** The store's clock. Default: the machine's. */
	readonly clock?: Clock;
}

/**
 * A store in the process's memory: the default of one process, and of tests. Several managers may share one.
 *
 * @throws {@link HoldfastError} `invalid-argument` where a bound is no whole number.
 *
 * @example
 * ```ts
 * const manager = createStateManager({ backend: memory() });
 * ```
 */
export const memory = (options: MemoryOptions = {}): Backend => new MemoryBackend(options);

class MemoryBackend implements Backend {
	readonly name = "memory";
	readonly traits = { reach: "process", durable: false } as const;
	readonly #scopes = new Map<ScopeId, MemoryScope>();
	readonly #order = new SortedKeys();
	readonly #watchers = new Map<ScopeId, Set<(signal: Signal) => void>>();
	readonly #use: MemoryUse;
	readonly #clock: Clock;
	#now = 0;
	// The highest head that went with its scope: a new life of any scope goes on above it, so that tokens only grow.
	#floor = 0;

	constructor({ maxEntries = 5_000_000, maxBytes = 2 ** 30, clock = systemClock }: MemoryOptions) {
		this.#use = {
			maxEntries: wholeNumber("maxEntries", maxEntries, 0, Number.POSITIVE_INFINITY),
			maxBytes: wholeNumber("maxBytes", maxBytes, 0, Number.POSITIVE_INFINITY),
			entries: 0,
			bytes: 0,
		};
		this.#clock = clock;
	}

	read(asks: readonly ReadAsk[]): ReadAnswer[] {
		const now = this.#tick();
		return asks.map(({ scope, keys }) => {
			const state = this.#live(scope, now);
			if (state === undefined) return { head: 0, now, next: null, entries: keys.map(() => null) };
			const entries = keys.map((key): Entry | null => {
				const entry = state.get(key);
				return entry !== undefined && isLive(entry, now) ? entry : null;
			});
			return { head: state.head, now, next: nextDeadline(state), entries };
		});
	}

	commit(batches: readonly Batch[]): (BatchAnswer | Failure)[] {
		const now = this.#tick();
		// No answer of this store can be lost, so it remembers no writers; only the batch's own time is judged.
		return batches.map((batch) => overdue(batch, now) ?? this.#apply(batch, now));
	}

	commitNow(sender: Sender, commit: Omit<Commit, "id">, step: number): CommitOutcome {
		const now = this.#tick();
		const { scope } = sender;
		const state = this.#open(scope);
		const outcome = runCommit(state, commit, this.#above(state, sender), step, now, state);
		this.#done(scope, state);
		return outcome;
	}

	list(scope: ScopeId, { from, to, limit, bytes }: KeyRange): ListPage {
		const now = this.#tick();
		const state = this.#live(scope, now);
		const entries: Entry[] = [];
		if (state === undefined) return { entries, next: null, head: 0, now };
		let room = bytes;
		for (const entry of state.under({ from, to })) {
			if (!isLive(entry, now)) continue;
			if (entries.length > 0 && (entries.length >= limit || room < entry.value.size))
				return { entries, next: entry.key, head: state.head, now };
			entries.push(entry);
			room -= entry.value.size;
		}
		return { entries, next: null, head: state.head, now };
	}

	log(scope: ScopeId, after: number, query: LogQuery): LogPage {
		const now = this.#tick();
		return this.#live(scope, now)?.log(after, query, now) ?? { records: [], more: false, head: 0, now };
	}

	watch(scope: ScopeId, listener: (signal: Signal) => void): Unwatch {
		const listeners = this.#watchers.get(scope) ?? new Set();
		this.#heard(scope, listeners.add(listener));
		return () => {
			if (listeners.delete(listener) && listeners.size === 0) this.#heard(scope, undefined);
		};
	}

	scopes({ prefix, after, limit, due = false }: ScopeRange): ScopePage {
		const now = this.#tick();
		// Who asks for due scopes keeps house: logs age though nobody writes, and what is empty goes.
		if (due) this.#tidy(now);
		const found: ScopePage["scopes"][number][] = [];
		for (const scope of this.#order.within({
			from: after === null || compareKeys(after, prefix) < 0 ? prefix : `${after}\0`,
			to: null,
		})) {
			if (!scope.startsWith(prefix)) break;
			const state = this.#scopes.get(scope) as MemoryScope;
			const next = nextDeadline(state);
			if (due ? next === null || next > now : isOver(state, now)) continue;
			if (found.length === limit) return { scopes: found, more: true, now };
			found.push({ scope, head: state.head, next });
		}
		return { scopes: found, more: false, now };
	}

	drop(scope: ScopeId): void {
		const state = this.#scopes.get(scope);
		if (state === undefined) return;
		const { watchers } = state;
		this.#remove(scope, state);
		for (const watcher of watchers ?? []) watcher({ type: "wake" });
	}

	// What is stored stays for the managers that come after.
	async close(): Promise<void> {}

	#apply(batch: Batch, now: number): BatchAnswer {
		const { scope } = batch;
		const state = this.#open(scope);
		const answer = runBatch(state, this.#above(state, batch), now, state);
		this.#done(scope, state);
		return answer;
	}

	/** A scope to write to, made where it is absent. */
	#open(scope: ScopeId): MemoryScope {
		let state = this.#scopes.get(scope);
		if (state === undefined) {
			state = new MemoryScope(this.#use);
			state.watchers = this.#watchers.get(scope);
			this.#scopes.set(scope, state);
			this.#order.add(scope);
		}
		return state;
	}

	/** What is sent, to go on above all that went before. */
	#above<S extends Sender>({ head }: MemoryScope, sent: S): S {
		return head === 0 && sent.floor < this.#floor ? { ...sent, floor: this.#floor } : sent;
	}

	#done(scope: ScopeId, state: MemoryScope): void {
		state.tell();
		if (state.head === 0 && state.isEmpty) this.#remove(scope, state);
	}

	#live(scope: ScopeId, now: number): MemoryScope | undefined {
		const state = this.#scopes.get(scope);
		return state === undefined || isOver(state, now) ? undefined : state;
	}

	#tidy(now: number): void {
		for (const [scope, state] of this.#scopes) {
			state.trim(now);
			if (state.isEmpty && !this.#watchers.has(scope)) this.#remove(scope, state);
		}
	}

	#remove(scope: ScopeId, state: MemoryScope): void {
		this.#floor = Math.max(this.#floor, state.head);
		state.clear();
		this.#scopes.delete(scope);
		this.#order.delete(scope);
	}

	#heard(scope: ScopeId, watchers: Set<(signal: Signal) => void> | undefined): void {
		if (watchers === undefined) this.#watchers.delete(scope);
		else this.#watchers.set(scope, watchers);
		const state = this.#scopes.get(scope);
		if (state !== undefined) state.watchers = watchers;
	}

	// A clock that was set back stands still here: a deadline that has passed stays passed.
	#tick(): number {
		const now = this.#clock.now();
		if (now > this.#now) this.#now = now;
		return this.#now;
	}
}
