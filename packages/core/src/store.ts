/** What all parts of a manager share: its backend, the store's clock as far as known, time-outs and health. */
import type {
	Backend,
	Codec,
	Cursor,
	Failure,
	LogPage,
	LogQuery,
	Refused,
	ScopeId,
	Soon,
} from "./backend.js";
import type { Cancel, Clock } from "./clock.js";
import { type Duration, parseDuration } from "./duration.js";
import { type ErrorCode, type ErrorDetails, HoldfastError, isHoldfastError } from "./error.js";
import { parseScopeId } from "./key.js";
import { isLater } from "./soon.js";

/** How long a call may take, and what gives it up. */
export interface Patience {
	readonly timeout?: Duration;
	readonly signal?: AbortSignal;
}

/** Calls back when a signal aborts, at once where it has; answers what ends the listening. */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): Cancel {
	if (signal?.aborted === true) callback();
	else signal?.addEventListener("abort", callback);
	return () => signal?.removeEventListener("abort", callback);
}

/** A scope as errors name it: `user/ada`. */
export function scopeLabel(scope: ScopeId): string {
	const { kind, id } = parseScopeId(scope);
	return id === undefined ? kind : `${kind}/${id}`;
}

/** An error about a scope, or about none. */
export const scopeError = (
	scope: ScopeId | undefined,
	code: ErrorCode,
	message: string,
	details?: ErrorDetails,
): HoldfastError =>
	new HoldfastError(code, message, { scope: scope === undefined ? scope : scopeLabel(scope), ...details });

/** The failures that have a code of their own. All but `overdue` may be over when the same is sent again. */
export const failureCodes: Partial<Record<Failure["failed"], ErrorCode>> = {
	unavailable: "unavailable",
	blocked: "store-blocked",
	busy: "busy",
	unknown: "outcome-unknown",
	overdue: "timeout",
};

/** The error that a store's failure is to the application. */
export const failureError = ({ failed, message, cause }: Failure, scope: ScopeId): HoldfastError =>
	failed === "refused" && isHoldfastError(cause)
		? cause
		: scopeError(scope, failureCodes[failed] ?? "failed", message, { cause });

const refusals: Record<Refused["why"], readonly [ErrorCode, string]> = {
	condition: ["conflict", "the entry is not as expected: read it again"],
	absent: ["conflict", "there is no such entry to extend"],
	bound: ["out-of-bounds", "the sum would pass its bound"],
	type: ["not-a-number", "only a finite number can be added to"],
	full: ["full", "the store is full: delete something"],
	sealed: ["sealed", "the scope is sealed: see note"],
	rejected: ["failed", "it was not let through"],
};

/** The error that a refused commit is to the application. */
export function refusalError(
	scope: ScopeId,
	{ why, index, entry, note, cause }: Pick<Refused, "why"> & ErrorDetails,
	key?: string,
): HoldfastError {
	if (isHoldfastError(cause)) return cause;
	const [code, message] = refusals[why];
	return scopeError(scope, code, message, { key, index, entry, note });
}

const lost = (cause: unknown): Failure => ({
	failed: "unknown",
	message: "the store broke off, see cause",
	cause,
});

/** How much one page may hold, of a listing or a log. */
export const pageBounds = { limit: 500, bytes: 2 ** 20 } as const;

type Turn = "commits" | "reads";

const nextTurn: (callback: () => void) => void =
	(globalThis as { setImmediate?: (callback: () => void) => void }).setImmediate ?? queueMicrotask;

/** A manager's backend with what is known about it. */
export class Store {
	readonly backend: Backend;
	readonly clock: Clock;
	readonly codec: Codec;
	readonly random: () => number;
	/** This manager among all that write to the store: 128 random bits, never persisted. */
	readonly origin: string;
	readonly timeout: number;
	/** The store's clock minus ours in ms; `undefined` before the first answer. */
	offset: number | undefined;
	/** What failed last; `undefined` while it answers. */
	failure: HoldfastError | undefined;
	/** When the first of the failures came since it last answered, by the monotonic clock. */
	failingSince = 0;
	used = false;
	closed = false;
	readonly #report: (error: HoldfastError) => void;
	readonly #changed: () => void;
	#turns: Partial<Record<Turn, () => void>> = {};
	#turning = false;

	constructor(
		backend: Backend,
		{ clock, codec, random, timeout }: Pick<Store, "clock" | "codec" | "random" | "timeout">,
		report: (error: HoldfastError) => void,
		changed: () => void,
	) {
		this.backend = backend;
		this.clock = clock;
		this.codec = codec;
		this.random = random;
		this.timeout = timeout;
		this.origin = crypto.randomUUID().replaceAll("-", "");
		this.#report = report;
		this.#changed = changed;
	}

	/** Whether calls cost no more than a function's, so that gathering them gains nothing. */
	get immediate(): boolean {
		return this.backend.traits.reach === "process";
	}

	/** The store's clock, as of its last answer. */
	now(): number {
		return this.clock.now() + (this.offset ?? 0);
	}

	/** Notes that the store answered, and its clock. */
	learn(now: number): void {
		// An embedded store's clock is ours, or as good: to look at it each time costs more than it tells.
		if (this.offset === undefined || !this.immediate) this.offset = now - this.clock.now();
		this.used = true;
		if (this.failure === undefined) return;
		this.failure = undefined;
		this.#changed();
	}

	/** Notes that the store failed. */
	fail(error: HoldfastError): void {
		this.used = true;
		const first = this.failure === undefined;
		this.failure = error;
		if (!first) return;
		this.failingSince = this.clock.monotonic();
		this.#changed();
	}

	/** Reports what no call can: to `manager.on("error")`. */
	report(error: unknown, message: string, scope?: ScopeId, key?: string): void {
		this.#report(
			isHoldfastError(error) ? error : scopeError(scope, "failed", message, { key, cause: error }),
		);
	}

	/** Runs a callback once all that this turn of the event loop asks for is known; commits go before reads. */
	atTurn(turn: Turn, callback: () => void): void {
		this.#turns[turn] = callback;
		if (this.#turning) return;
		this.#turning = true;
		nextTurn(() => {
			this.#turning = false;
			const { commits, reads } = this.#turns;
			this.#turns = {};
			commits?.();
			reads?.();
		});
	}

	/** The same for one, without gathering anything. */
	askOne<T>(call: (backend: Backend) => Soon<T | Failure> | undefined): Soon<T | Failure> {
		try {
			const answer = call(this.backend) as Soon<T | Failure>;
			return isLater(answer) ? answer.catch(lost) : answer;
		} catch (error) {
			return lost(error);
		}
	}

	/** Asks for reads or commits: what a backend throws, against its contract, is a failure like others. */
	askAll<T>(call: (backend: Backend) => Soon<T | Failure>[], count: number): Soon<T | Failure>[] {
		try {
			return call(this.backend).map((answer) => (isLater(answer) ? answer.catch(lost) : answer));
		} catch (error) {
			return new Array(count).fill(lost(error));
		}
	}

	/** Refuses to start anything after a close. */
	assertOpen(scope?: ScopeId): void {
		if (this.closed) throw scopeError(scope, "closed", "the manager is closed: make a new one");
	}

	/** The error of a call that the store did not answer. */
	timedOut(scope: ScopeId | undefined): HoldfastError {
		return scopeError(scope, "timeout", "the store did not answer in time: check manager.health");
	}

	/** The error of what was waited for when it was stopped. */
	stopped(scope: ScopeId): HoldfastError {
		return scopeError(scope, "closed", "it was stopped before it was ready");
	}

	/** Waits for an answer as long as patience lasts; `giveUp` makes the error of a time-out. */
	async within<T>(
		answer: Soon<T>,
		scope: ScopeId | undefined,
		patience?: Patience,
		giveUp = () => this.timedOut(scope),
	): Promise<T> {
		if (!isLater(answer)) {
			patience?.signal?.throwIfAborted();
			return answer;
		}
		let forget: Cancel | undefined;
		return new Promise<T>((resolve, reject) => {
			answer.then(resolve, reject);
			forget = this.patiently(patience, (signal) => reject(signal === undefined ? giveUp() : signal.reason));
		}).finally(() => forget?.());
	}

	/** Calls back when patience ends: with the signal where that aborts, with nothing at the time-out. */
	patiently(patience: Patience | undefined, ended: (signal?: AbortSignal) => void): Cancel {
		const { timeout, signal } = patience ?? {};
		const ms = timeout === undefined ? this.timeout : parseDuration(timeout, "timeout");
		const timer = this.clock.after(ms, () => ended());
		const deafen = onAbort(signal, () => ended(signal));
		return () => {
			timer();
			deafen();
		};
	}

	/** Lets time pass that keeps no process alive. */
	pause(ms: number): Promise<void> {
		return new Promise((resolve) => void this.clock.after(ms, resolve, true));
	}

	/** Asks the backend for anything but reads and commits; what it rejects with becomes one of our errors. */
	async ask<T>(
		scope: ScopeId | undefined,
		call: (backend: Backend) => Soon<T>,
		patience?: Patience,
	): Promise<T> {
		this.assertOpen(scope);
		patience?.signal?.throwIfAborted();
		try {
			return await this.within(call(this.backend), scope, patience);
		} catch (error) {
			if (patience?.signal?.aborted === true && error === patience.signal.reason) throw error;
			const known = isHoldfastError(error)
				? error
				: scopeError(scope, "failed", "the store refused the call, see cause", { cause: error });
			if (/^(timeout|unavailable|store-blocked)$/.test(known.code)) this.fail(known);
			throw known;
		}
	}

	/** Asks for a page of something, which says the store's clock too. */
	async page<P extends { readonly now: number }>(
		scope: ScopeId | undefined,
		call: (backend: Backend) => Soon<P>,
		patience?: Patience,
	): Promise<P> {
		const page = await this.ask(scope, call, patience);
		this.learn(page.now);
		return page;
	}

	/** A page of a scope's log after a cursor. */
	log(scope: ScopeId, after: Cursor, of: LogQuery["of"], patience?: Patience): Promise<LogPage> {
		return this.page(scope, (backend) => backend.log(scope, after, { of, ...pageBounds }), patience);
	}
}
