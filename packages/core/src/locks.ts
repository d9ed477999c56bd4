/** Taking a scope's locks: an entry that is absent is free, and waiters watch their lock alone. */
import type { Commit, CommitOutcome, Mutation, Refused, Soon } from "./backend.js";
import { parseDuration, parseTtl } from "./duration.js";
import { type HoldfastError, isHoldfastError } from "./error.js";
import type { Feed } from "./feed.js";
import { reservedKey } from "./key.js";
import { HeldLease } from "./lease.js";
import { Lines } from "./lines.js";
import type { Lease, LockAttempt, LockOptions, LockRequest } from "./lock.js";
import type { Reader } from "./reader.js";
import { isLater } from "./soon.js";
import { type Patience, refusalError, type Store, scopeError } from "./store.js";
import { givenValue } from "./value.js";

/** What locks work with. */
export interface LockParts {
	readonly store: Store;
	readonly reader: Reader;
	readonly feed: Feed;
	/** Leases that a closing manager releases. */
	readonly leases: Set<HeldLease>;
	/** `closing`: also while the manager closes. */
	submit(commit: Omit<Commit, "id">, patience?: Patience, closing?: boolean): Soon<CommitOutcome>;
}

const defaultTtl = 15_000;
const defaultWait = 10_000;

type Attempt = { readonly lease: HeldLease } | { readonly refused: Refused };

/** The locks of one scope. */
export class Locks {
	readonly #parts: LockParts;
	// Waiters of this process stand in a line: one of them asks, the others wait for it.
	readonly #lines = new Lines();
	#taken = 0;

	constructor(parts: LockParts) {
		this.#parts = parts;
	}

	/** Takes a lock if it is free. */
	async try(name: string, options: LockRequest = {}): Promise<LockAttempt> {
		const attempt = await this.#attempt(name, options);
		if ("lease" in attempt) return { acquired: true, lease: attempt.lease };
		return { acquired: false, ...this.#holderOf(attempt.refused) };
	}

	/** Takes a lock, waiting for it within bounds. */
	async take(name: string, options: LockOptions = {}): Promise<Lease> {
		const { clock } = this.#parts.store;
		const end = clock.monotonic() + parseDuration(options.wait ?? defaultWait, "wait");
		const key = reservedKey("lock", name);
		const { promise: turn, done } = this.#lines.join(key);
		try {
			if (turn !== undefined) await this.#within(turn, end - clock.monotonic(), options.signal);
			for (;;) {
				const attempt = await this.#attempt(name, options);
				if ("lease" in attempt) return attempt.lease;
				if (clock.monotonic() >= end) throw this.#held(name, attempt.refused);
				await this.#freed(key, attempt.refused, end, options.signal);
			}
		} finally {
			done();
		}
	}

	async #attempt(name: string, options: LockRequest): Promise<Attempt> {
		const { store, submit, leases } = this.#parts;
		const ttl = parseTtl(options.ttl ?? defaultTtl);
		const key = reservedKey("lock", name);
		const holder = `${store.origin}.${++this.#taken}`;
		const put: Mutation = { op: "put", key, value: givenValue({ holder }), ttl };
		for (;;) {
			const asked = store.clock.monotonic();
			let outcome: Soon<CommitOutcome>;
			try {
				outcome = submit({ if: [{ key, revision: 0 }], do: [put] }, options);
				if (isLater(outcome)) outcome = await outcome;
			} catch (error) {
				// It may be ours without our knowing: nobody else should wait for it until it expires.
				const sent = isHoldfastError(error, "outcome-unknown") || options.signal?.aborted === true;
				if (sent) void this.#giveBack(key, holder).catch(() => {});
				throw error;
			}
			if (!outcome.ok) {
				if (outcome.why === "condition") return { refused: outcome };
				throw refusalError(this.#parts.feed.scope, outcome);
			}
			const condition = { key, revision: outcome.revision };
			const lease = new HeldLease(name, ttl, asked, {
				store,
				scope: this.#parts.feed.scope,
				condition,
				renew: (extension, patience) =>
					submit({ if: [condition], do: [{ op: "touch", key, ttl: extension }] }, patience),
				remove: () => submit({ if: [condition], do: [{ op: "delete", key }] }, undefined, true),
				ended: (ended) => leases.delete(ended),
			});
			leases.add(lease);
			if (lease.remaining > 0) return { lease };
			// The answer took longer than the lease lives: a lease that has run out is never handed out.
			void this.#giveBack(key, holder).catch(() => {});
		}
	}

	async #giveBack(key: string, holder: string): Promise<void> {
		const { reader, feed, submit } = this.#parts;
		// Overtakes the attempt, should that still be on its way: what is read after it stays so.
		await submit({ do: [] });
		const { entries } = await reader.read(feed.scope, [key]);
		const [entry] = entries;
		if (entry && this.#holder(entry.value.data(this.#parts.store.codec)) === holder)
			await submit({ if: [{ key, revision: entry.revision }], do: [{ op: "delete", key }] });
	}

	/** Waits until a lock is let go of, runs out, or waiting is over. */
	async #freed(key: string, { entry }: Refused, end: number, signal: AbortSignal | undefined): Promise<void> {
		const { store, feed, reader } = this.#parts;
		const { promise, resolve } = Promise.withResolvers<void>();
		const unfollow = feed.follow({
			record: ({ changes }) => {
				if (changes.some((change) => change.key === key && change.entry === null)) resolve();
			},
			reset: () => resolve(),
			// The next attempt says why.
			ended: resolve,
		});
		// The deadline in the refusal wakes it, sweeper or none. It may have been renewed since: then it is refused again.
		const runsOut = (entry?.expiresAt ?? Number.POSITIVE_INFINITY) - store.now();
		const left = end - store.clock.monotonic();
		const watching = async (): Promise<void> => {
			await feed.whenLive({ timeout: Math.max(0, left) });
			// It may have been let go of before the feed was attached.
			const { entries } = await reader.read(feed.scope, [key]);
			if (entries[0]?.revision !== entry?.revision) resolve();
		};
		// Out of reach: the timer wakes it all the same.
		watching().catch(() => {});
		try {
			await this.#within(promise, Math.max(1, Math.min(runsOut + 1, left)), signal);
		} finally {
			unfollow();
		}
	}

	/** Waits for a promise, though no longer than so many ms; throws where the signal aborts. */
	async #within(promise: Promise<unknown>, ms: number, signal: AbortSignal | undefined): Promise<void> {
		const { store, feed } = this.#parts;
		const patience = { timeout: Math.max(0, ms), ...(signal && { signal }) };
		await store.within(promise, feed.scope, patience).catch(() => {});
		signal?.throwIfAborted();
	}

	#holder(data: unknown): string {
		return String((data as { holder?: unknown } | null)?.holder);
	}

	#holderOf({ entry }: Refused): { readonly holder: string; readonly expiresIn: number } {
		const { store } = this.#parts;
		return {
			holder: this.#holder(entry?.value.data(store.codec)),
			expiresIn: Math.max(0, (entry?.expiresAt ?? Number.POSITIVE_INFINITY) - store.now()),
		};
	}

	#held(name: string, refused: Refused): HoldfastError {
		const { feed } = this.#parts;
		const { holder, expiresIn } = this.#holderOf(refused);
		return scopeError(
			feed.scope,
			"lock-held",
			`lock ${JSON.stringify(name)} is held by ${holder} for up to ${Math.ceil(expiresIn)} ms more: wait longer, or try later`,
			{ holder, expiresIn },
		);
	}
}
