/** Reads: what one turn of the event loop asks goes to the store together, each scope once. */
import type { Failure, ReadAnswer, ScopeId, Soon } from "./backend.js";
import { type Duration, parseDuration } from "./duration.js";
import { isLater } from "./soon.js";
import { failureError, type Patience, type Store } from "./store.js";

/** How long a read may take, and how old its answer may be where a near cache gives it. */
export interface ReadPatience extends Patience {
	readonly maxAge?: Duration;
}

interface Waiter {
	readonly keys: readonly string[];
	resolve(answer: Promise<ReadAnswer>): void;
}

/** A manager's reads. */
export class Reader {
	readonly #store: Store;
	#waiting = new Map<ScopeId, Waiter[]>();

	constructor(store: Store) {
		this.#store = store;
	}

	/**
	 * Reads entries of one scope at one instant; at once where the store answers at once, or where `near` allows what a near cache knows. That does
	 * not know of our writes that are not answered yet.
	 */
	read(scope: ScopeId, keys: readonly string[], patience?: ReadPatience, near?: boolean): Soon<ReadAnswer> {
		const store = this.#store;
		store.assertOpen(scope);
		patience?.signal?.throwIfAborted();
		if (near) {
			const maxAge = patience?.maxAge;
			const known = store.backend.peek?.(
				{ scope, keys },
				maxAge === undefined ? maxAge : parseDuration(maxAge, "maxAge"),
			);
			if (known !== undefined) return known;
		}
		if (store.immediate) return this.ask(scope, keys, patience);
		const { promise, resolve } = Promise.withResolvers<ReadAnswer>();
		const waiters = this.#waiting.get(scope) ?? [];
		waiters.push({ keys, resolve });
		this.#waiting.set(scope, waiters);
		store.atTurn("reads", () => this.#flush());
		return this.#patiently(scope, promise, patience);
	}

	/** The same by a call of its own, also while the manager closes. */
	ask(scope: ScopeId, keys: readonly string[], patience?: Patience): Soon<ReadAnswer> {
		const answer = this.#store.askOne((backend) => backend.read([{ scope, keys }])[0]);
		if (!isLater(answer)) return this.#judge(answer, scope);
		const judged = answer.then((late) => this.#judge(late, scope));
		return this.#patiently(scope, judged, patience);
	}

	#patiently(
		scope: ScopeId,
		answer: Promise<ReadAnswer>,
		patience: Patience | undefined,
	): Promise<ReadAnswer> {
		return this.#store.within(answer, scope, patience, () => {
			const error = this.#store.timedOut(scope);
			this.#store.fail(error);
			return error;
		});
	}

	#judge(answer: ReadAnswer | Failure, scope: ScopeId): ReadAnswer {
		if (!("failed" in answer)) {
			this.#store.learn(answer.now);
			return answer;
		}
		const error = failureError(
			{ ...answer, failed: answer.failed === "unknown" ? "unavailable" : answer.failed },
			scope,
		);
		this.#store.fail(error);
		throw error;
	}

	#flush(): void {
		const gathered = [...this.#waiting];
		this.#waiting = new Map();
		const asks = gathered.map(([scope, waiters]) => ({
			scope,
			keys: [...new Set(waiters.flatMap(({ keys }) => keys))],
		}));
		const answers = this.#store.askAll((backend) => backend.read(asks), asks.length);
		for (const [i, { scope, keys: asked }] of asks.entries()) {
			const judged = Promise.resolve(answers[i] as Soon<ReadAnswer | Failure>).then((answer) =>
				this.#judge(answer, scope),
			);
			let places: ReadonlyMap<string, number>;
			for (const { keys, resolve } of (gathered[i] as (typeof gathered)[number])[1])
				resolve(
					// Most reads are of one key, which is all that is answered.
					keys.length < 2 && asked.length < 2
						? judged
						: judged.then((answer) => {
								places ??= new Map(asked.map((key, at) => [key, at]));
								return {
									...answer,
									entries: keys.map((key) => answer.entries[places.get(key) as number] ?? null),
								};
							}),
				);
		}
	}
}
