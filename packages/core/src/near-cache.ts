/** A layer that answers reads from memory, kept current by the log's signals. */
import type {
	Backend,
	Batch,
	BatchAnswer,
	Cursor,
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
	Signal,
	Soon,
	Unwatch,
} from "./backend.js";
import { type Clock, systemClock } from "./clock.js";
import { type Duration, parseDuration } from "./duration.js";
import { parseScopeId, type ScopeName } from "./key.js";
import { type Asked, type NearEntry, NearScope } from "./near-scope.js";
import { Sieve, type Sieved } from "./sieve.js";
import { andThen, isLater } from "./soon.js";
import { wholeNumber } from "./whole-number.js";

/** Options of {@link nearCache}. */
export interface NearCacheOptions {
	/** The most keys of all scopes together, absent ones included; what was not read lately goes first. Default 10,000. */
	readonly maxEntries?: number;
	/** About the most bytes of these keys and their values together. Default 64 MiB. */
	readonly maxBytes?: number;
	/**
	 * How long ago the store may have confirmed what is answered, by its clock: the bound on what a lost push can hide. A call's own `maxAge` goes
	 * before it. Default 10 s.
	 */
	readonly maxAge?: Duration;
	/**
	 * Which scopes the cache watches itself once they are read again, beside those that are watched anyway by subscriptions, mirrors and waiting
	 * locks. Default: all, up to `maxScopes`.
	 */
	readonly watch?: boolean | ((scope: ScopeName) => boolean);
	/** The most scopes that it watches itself; what was not read lately goes first. Default 1,000. */
	readonly maxScopes?: number;
	/** Time, for tests. Default: the machine's. */
	readonly clock?: Clock;
}

/** How soon, in ms, a scope may take another's place among those that the cache watches itself: watching is not free. */
const changeover = 100;

/**
 * Puts a cache around a store: what a manager reads of watched scopes is answered from memory, and kept current by what the store pushes. Values
 * are not copied: what is read twice is the same object.
 *
 * A read that follows this process's own write sees it, and no read sees less than an earlier one did. Another process's write is seen once it was
 * pushed, and in any case after `maxAge`; `maxAge: 0` asks the store. Listings, transactions' conditions, subscriptions, mirrors and locks
 * work on the store as without it.
 *
 * @throws {@link HoldfastError} `invalid-argument` where a bound is not a whole number from 1.
 *
 * @example
 * ```ts
 * const backend = nearCache(redis("redis://localhost:6379"), { maxEntries: 50_000, maxAge: "30s" });
 * const manager = createStateManager({ backend });
 * await manager.shared.get("prices/AAPL", { maxAge: "1s" });
 * ```
 */
export const nearCache = (backend: Backend, options: NearCacheOptions = {}): Backend =>
	new NearCache(backend, options);

/** A scope that the cache watches itself. */
interface OwnWatch extends Sieved {
	readonly scope: ScopeId;
	/** Ends it, once it is attached. */
	unwatch: Unwatch | undefined;
	ended: boolean;
}

/** A watched scope. */
interface Heard {
	readonly near: NearScope;
	/** Its watches. Only the first is listened to: the others say the same again. */
	readonly ears: Set<object>;
	/** The cache's own watch, where it is one of them. */
	own: OwnWatch | undefined;
}

const bound = (name: string, given: number): number => wholeNumber(`nearCache's ${name}`, given, 1);

class NearCache implements Backend {
	readonly name: string;
	readonly traits: Backend["traits"];
	readonly problems?: NonNullable<Backend["problems"]>;
	readonly #inner: Backend;
	readonly #clock: Clock;
	readonly #maxAge: number;
	readonly #maxScopes: number;
	readonly #wanted: (scope: ScopeName) => boolean;
	readonly #kept: Sieve<NearEntry>;
	readonly #heard = new Map<ScopeId, Heard>();
	readonly #own = new Map<ScopeId, OwnWatch>();
	readonly #places: Sieve<OwnWatch>;
	// Scopes that were read once: when they are read again, they are worth a watch.
	readonly #readOnce = new Set<ScopeId>();
	readonly #writing = new Map<ScopeId, number>();
	#placeTaken = Number.NEGATIVE_INFINITY;
	// The store's clock is at most so far ahead of ours: it answered after it was asked. Of both clocks, since the one may be set back and the
	// other stands still while the machine sleeps.
	#aheadOfWall = 0;
	#aheadOfMonotonic = 0;

	constructor(backend: Backend, options: NearCacheOptions) {
		const { maxEntries = 10_000, maxBytes = 2 ** 26, maxAge = 10_000, watch = true } = options;
		const { maxScopes = 1000, clock = systemClock } = options;
		this.#inner = backend;
		this.name = backend.name;
		this.traits = backend.traits;
		if (backend.problems !== undefined) this.problems = backend.problems.bind(backend);
		this.#clock = clock;
		this.#maxAge = parseDuration(maxAge, "maxAge");
		this.#maxScopes = bound("maxScopes", maxScopes);
		this.#wanted = typeof watch === "function" ? watch : () => watch;
		const entries = bound("maxEntries", maxEntries);
		this.#kept = new Sieve(entries, bound("maxBytes", maxBytes), (known) => known.near.forget(known));
		this.#places = new Sieve(this.#maxScopes, Number.POSITIVE_INFINITY, (own) => this.#leave(own));
	}

	peek({ scope, keys }: ReadAsk, maxAge = this.#maxAge): ReadAnswer | undefined {
		const heard = this.#heard.get(scope);
		// What this process is writing may be there already, or not yet: only the store knows.
		if (heard === undefined || maxAge === 0 || this.#writing.has(scope)) return undefined;
		const answer = heard.near.look(keys, maxAge, this.#now());
		if (answer !== undefined && heard.own !== undefined) heard.own.used = true;
		return answer;
	}

	read(asks: readonly ReadAsk[]): Soon<ReadAnswer | Failure>[] {
		const judges = asks.map(({ scope, keys }) => this.#judge(scope, keys));
		const answers = this.#inner.read(asks);
		for (const { scope, keys } of asks) if (keys.length > 0) this.#consider(scope);
		return answers.map((answer, i) => {
			const judge = judges[i];
			return judge === undefined ? answer : andThen(answer, judge);
		});
	}

	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[] {
		const asked = batches.map(({ scope }) => {
			this.#writing.set(scope, (this.#writing.get(scope) ?? 0) + 1);
			return this.#heard.get(scope)?.near.ask();
		});
		let answers: Soon<BatchAnswer | Failure>[];
		try {
			answers = this.#inner.commit(batches);
		} catch (error) {
			for (const batch of batches) this.#written(batch, undefined, undefined);
			throw error;
		}
		return batches.map((batch, i) => {
			const answer = answers[i] as Soon<BatchAnswer | Failure>;
			const written = (late: BatchAnswer | Failure): BatchAnswer | Failure => {
				this.#written(batch, asked[i], late);
				return late;
			};
			if (!isLater(answer)) return written(answer);
			return answer.then(written, (error: unknown) => {
				this.#written(batch, undefined, undefined);
				throw error;
			});
		});
	}

	list(scope: ScopeId, range: KeyRange): Soon<ListPage> {
		const asked = this.#heard.get(scope)?.near.ask();
		return andThen(this.#inner.list(scope, range), (page) => {
			const near = this.#heard.get(scope)?.near;
			near?.saw(asked ?? near.ask(), page.head);
			return page;
		});
	}

	log(scope: ScopeId, after: Cursor, query: LogQuery): Soon<LogPage> {
		const near = query.of === "changes" ? this.#heard.get(scope)?.near : undefined;
		const take = near?.page(after);
		let answer: Soon<LogPage>;
		try {
			answer = this.#inner.log(scope, after, query);
		} catch (error) {
			take?.(undefined);
			throw error;
		}
		const taken = (page: LogPage): LogPage => {
			take?.(page);
			return page;
		};
		if (!isLater(answer)) return taken(answer);
		return answer.then(taken, (error: unknown) => {
			take?.(undefined);
			throw error;
		});
	}

	watch(scope: ScopeId, listener: (signal: Signal) => void): Soon<Unwatch> {
		return andThen(this.#listen(scope, listener, undefined), (unwatch) => {
			// It is heard without the cache's own watch from here on.
			const own = this.#own.get(scope);
			if (own !== undefined) this.#leave(own);
			return unwatch;
		});
	}

	scopes(range: ScopeRange): Soon<ScopePage> {
		return this.#inner.scopes(range);
	}

	drop(scope: ScopeId): Soon<void> {
		const dropped = this.#inner.drop(scope);
		const forget = (): void => this.#heard.get(scope)?.near.clear();
		forget();
		return andThen(dropped, forget);
	}

	async close(options?: { readonly timeout?: number }): Promise<void> {
		for (const own of this.#own.values()) this.#leave(own);
		this.#readOnce.clear();
		await this.#inner.close(options);
	}

	/** The latest that the store's clock may show. */
	#now(): number {
		return Math.max(this.#clock.monotonic() + this.#aheadOfMonotonic, this.#clock.now() + this.#aheadOfWall);
	}

	/** What takes the answer to a read that is asked now; nothing where nobody hears of the scope. */
	#judge(
		scope: ScopeId,
		keys: readonly string[],
	): ((answer: ReadAnswer | Failure) => ReadAnswer | Failure) | undefined {
		const near = this.#heard.get(scope)?.near;
		if (near === undefined) return undefined;
		const asked = near.ask();
		const wall = this.#clock.now();
		const monotonic = this.#clock.monotonic();
		return (answer) => {
			if ("failed" in answer) return answer;
			this.#aheadOfWall = answer.now - wall;
			this.#aheadOfMonotonic = answer.now - monotonic;
			near.answered(asked, keys, answer, this.#clock.monotonic());
			return answer;
		};
	}

	/** Takes the answer to a batch before the writer gets it; nothing where none came. */
	#written(batch: Batch, asked: Asked | undefined, answer: BatchAnswer | Failure | undefined): void {
		const { scope } = batch;
		const left = (this.#writing.get(scope) ?? 1) - 1;
		if (left === 0) this.#writing.delete(scope);
		else this.#writing.set(scope, left);
		const near = this.#heard.get(scope)?.near;
		if (near === undefined) return;
		// Without an answer it may have been applied, and may yet be.
		if (answer === undefined || "failed" in answer) near.doubt();
		else near.committed(asked ?? near.ask(), batch, answer.head);
	}

	/** Watches a scope; what it says is heard by the cache before anybody else. */
	#listen(
		scope: ScopeId,
		listener: ((signal: Signal) => void) | undefined,
		own: OwnWatch | undefined,
	): Soon<Unwatch> {
		const ear = {};
		const hear = (signal: Signal): void => {
			const heard = this.#heard.get(scope);
			if (heard?.ears.values().next().value === ear) heard.near.hear(signal);
			listener?.(signal);
		};
		return andThen(this.#inner.watch(scope, hear), (unwatch) => {
			const heard = this.#heard.get(scope) ?? { near: new NearScope(this.#kept), ears: new Set(), own };
			this.#heard.set(scope, heard);
			heard.ears.add(ear);
			return () => {
				unwatch();
				this.#deafen(scope, heard, ear);
			};
		});
	}

	#deafen(scope: ScopeId, heard: Heard, ear: object): void {
		// What the next one heard before, it heard for nobody.
		if (heard.ears.values().next().value === ear) heard.near.doubt();
		if (!heard.ears.delete(ear)) return;
		if (heard.ears.size > 0) return;
		heard.near.clear();
		this.#heard.delete(scope);
	}

	/** Watches a scope that is read again, if it is wanted and there is a place, or one that changes hands. */
	#consider(scope: ScopeId): void {
		if (this.#heard.has(scope) || this.#own.has(scope)) return;
		if (!this.#readOnce.delete(scope)) {
			if (this.#readOnce.size >= this.#maxScopes) this.#readOnce.clear();
			if (this.#wanted(parseScopeId(scope))) this.#readOnce.add(scope);
			return;
		}
		const now = this.#clock.monotonic();
		if (this.#own.size >= this.#maxScopes && now - this.#placeTaken < changeover) return;
		this.#placeTaken = now;
		const own: OwnWatch = { scope, unwatch: undefined, ended: false, used: false, bytes: 0 };
		this.#own.set(scope, own);
		this.#places.add(own);
		void this.#attach(own);
	}

	async #attach(own: OwnWatch): Promise<void> {
		try {
			const unwatch = await this.#listen(own.scope, undefined, own);
			if (own.ended) unwatch();
			else own.unwatch = unwatch;
		} catch {
			// Reads go to the store, as they did; the next but one asks for a watch again.
			this.#leave(own);
		}
	}

	#leave(own: OwnWatch): void {
		own.ended = true;
		this.#places.remove(own);
		if (this.#own.get(own.scope) === own) this.#own.delete(own.scope);
		const heard = this.#heard.get(own.scope);
		if (heard?.own === own) heard.own = undefined;
		own.unwatch?.();
		own.unwatch = undefined;
	}
}
