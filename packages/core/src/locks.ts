/** Taking a scope's locks: an entry that is absent is free, and waiters watch their lock alone. */
import type { CommitOutcome, Refused, Soon, Value } from "./backend.js";
import type { Draft } from "./drafting.js";
import { type Duration, parseDuration, parseTtl } from "./duration.js";
import { type HoldfastError, isHoldfastError } from "./error.js";
import type { Feed } from "./feed.js";
import { reservedKey } from "./key.js";
import { HeldLease, type LeaseParts } from "./lease.js";
import { Lines } from "./lines.js";
import type { LockAttempt, LockOptions, LockRequest } from "./lock.js";
import type { Reader } from "./reader.js";
import type { Reading } from "./reading.js";
import { isLater } from "./soon.js";
import { refusalError, scopeError } from "./store.js";
import { givenValue } from "./value.js";

/** What locks work with. */
export interface LockParts extends LeaseParts {
	readonly reader: Reader;
	readonly reading: Reading;
	readonly feed: Feed;
}

const defaultTtl = 15_000;
const defaultWait = 10_000;

type Attempt = HeldLease | Refused;

/** What an attempt asks for. */
interface Asked {
	readonly name: string;
	readonly key: string;
	readonly ttl: number;
	readonly value: Value;
	readonly draft: Draft;
}

/** The locks of one scope. */
export class Locks {
	readonly #parts: LockParts;
	// Waiters of this process stand in a line: one of them asks, the others wait for it.
	readonly #lines = new Lines();
	#taken = 0;
	// What was asked for last: who asks for the same again gets the same.
	#asked: Asked | undefined;

	constructor(parts: LockParts) {
		this.#parts = parts;
	}

	/** Takes a lock if it is free. */
	async try(name: string, options: LockRequest = {}): Promise<LockAttempt> {
		const attempt = await this.#attempt(name, options);
		if ("token" in attempt) return { acquired: true, lease: attempt };
		return { acquired: false, ...this.#holderOf(attempt) };
	}

	/** Takes a lock, waiting for it within bounds; at once where it is free and the store answers at once. */
	take(name: string, options: LockOptions = {}): Soon<HeldLease> {
		const wait = this.#parts.reading.locate(name, () => parseDuration(options.wait ?? defaultWait, "wait"));
		const first = this.#lines.isFree(name) ? this.#attempt(name, options) : undefined;
		return first !== undefined && "token" in first ? first : this.#wait(name, options, wait, first);
	}

	async #wait(
		name: string,
		options: LockOptions,
		wait: number,
		first: Soon<Attempt> | undefined,
	): Promise<HeldLease> {
		const { clock } = this.#parts.store;
		const end = clock.monotonic() + wait;
		const { promise: turn, done } = this.#lines.join(name);
		try {
			if (turn !== undefined) await this.#within(turn, end - clock.monotonic(), options.signal);
			for (let asked = first; ; asked = undefined) {
				const attempt = await (asked ?? this.#attempt(name, options));
				if ("token" in attempt) return attempt;
				if (clock.monotonic() >= end) throw this.#held(name, attempt);
				await this.#freed(reservedKey("lock", name), attempt, end, options.signal);
			}
		} finally {
			done();
		}
	}

	#attempt(name: string, options: LockRequest): Soon<Attempt> {
		const { store, submit } = this.#parts;
		const asked = this.#ask(name, options.ttl);
		const at = store.clock.monotonic();
		const outcome = submit(asked.draft, options);
		if (!isLater(outcome)) return this.#judge(asked, outcome, at, options, at);
		// Its answer may be lost: nothing else must look like it.
		this.#asked = undefined;
		return outcome.then(
			(late) => this.#judge(asked, late, at, options),
			(error: unknown) => {
				// It may be ours without our knowing: nobody else should wait for it until it expires.
				const sent = isHoldfastError(error, "outcome-unknown") || options.signal?.aborted === true;
				if (sent) this.#giveBack(asked.key, asked.value);
				throw error;
			},
		);
	}

	#ask(name: string, lives: Duration = defaultTtl): Asked {
		const last = this.#asked;
		if (last?.name === name && last.ttl === lives) return last;
		const { store, reading } = this.#parts;
		const { origin } = store;
		const [ttl, key] = reading.locate(name, () => [parseTtl(lives), reservedKey("lock", name)] as const);
		const value = last?.value ?? givenValue({ holder: `${origin}.${++this.#taken}` });
		// In the order of other drafts, so that V8 sees one shape.
		const draft: Draft = { do: [{ op: "put", key, value, ttl }], origin, if: [{ key, revision: 0 }] };
		this.#asked = { name, key, ttl, value, draft };
		return this.#asked;
	}

	#judge(
		asked: Asked,
		outcome: CommitOutcome,
		at: number,
		options: LockRequest,
		now = this.#parts.store.clock.monotonic(),
	): Soon<Attempt> {
		const { name, key, ttl, value } = asked;
		if (!outcome.ok) {
			if (outcome.why === "condition") return outcome;
			throw refusalError(this.#parts.feed.scope, outcome);
		}
		const lease = new HeldLease(name, { key, revision: outcome.revision }, ttl, at, this.#parts);
		if (lease.remainingAt(now) > 0) return lease;
		// The answer took longer than the lease lives: a lease that has run out is never handed out.
		this.#giveBack(key, value);
		return this.#attempt(name, options);
	}

	#giveBack(key: string, value: Value): void {
		void this.#returned(key, this.#holder(value)).catch(() => {});
	}

	async #returned(key: string, holder: string): Promise<void> {
		const { reader, feed, submit } = this.#parts;
		// Overtakes the attempt, should that still be on its way: what is read after it stays so.
		await submit({ do: [] });
		const { entries } = await reader.read(feed.scope, [key]);
		const [entry] = entries;
		if (entry && this.#holder(entry.value) === holder)
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

	#holder(value: Value | undefined): string {
		const data = value?.data(this.#parts.store.codec);
		return String((data as { holder?: unknown } | null | undefined)?.holder);
	}

	#holderOf({ entry }: Refused): { readonly holder: string; readonly expiresIn: number } {
		const { store } = this.#parts;
		return {
			holder: this.#holder(entry?.value),
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
