/**
 * Group commit: what one turn of the event loop asks of a scope, and what comes while its last batch is in flight, goes to the store
 * as one batch. One batch of a scope is in flight at a time; many scopes share a call; a lost answer is asked for again, byte for byte.
 */
import type {
	Batch,
	BatchAnswer,
	Commit,
	CommitOutcome,
	Failure,
	Retention,
	ScopeId,
	Soon,
} from "./backend.js";
import type { Cancel } from "./clock.js";
import type { HoldfastError } from "./error.js";
import type { Reader } from "./reader.js";
import type { Judged } from "./reducer.js";
import { isLater } from "./soon.js";
import { failureCodes, failureError, type Patience, type Store, scopeError, scopeLabel } from "./store.js";

/** How long a batch may be applied after it was made, in ms. */
const batchLife = 30_000;

/**
 * How long a store over a network may be out of reach before that is told, in ms: what a restart of it takes. A caller waits no longer, though its
 * patience might last: it has others to answer. Once an outage has lasted as long, every further commit is told at once.
 */
const outage = 2000;

/** The longest pause before it is asked again, in ms. */
const longestPause = 250;

/**
 * A store that takes longer than this, in ms, to say that it is out of reach has waited itself, for as long as its user wants: that is told at once,
 * since another such attempt may not be over when a caller's patience is, and then nobody could say what came of it.
 */
const saidAtOnce = 100;

const batchMutations = 1000;
const batchBytes = 2 * 2 ** 20;

interface Waiting {
	readonly commit: Commit;
	readonly bytes: number;
	/** Begins to wait: from now on patience may end. */
	begin(): void;
	resolve(outcome: CommitOutcome): void;
	reject(error: unknown): void;
	settled: boolean;
	/** When it was first handed over, by the monotonic clock, and why it was set back last: certainly not applied. */
	asked?: number;
	unavailable?: HoldfastError;
}

interface Flight {
	readonly batch: Batch;
	readonly waiting: readonly Waiting[];
	/** When it was handed over, by the monotonic clock. */
	readonly asked: number;
	/** Whether an answer was lost, so that it may have been applied. */
	unknown?: boolean;
	attempts: number;
	/** Ends the wait before it is sent again. */
	retry?: Cancel;
	ended?: boolean;
}

const unknownOutcome = (scope: ScopeId, cause?: unknown): HoldfastError =>
	scopeError(scope, "outcome-unknown", "the commit was sent and never answered: read before writing again", {
		cause,
	});

const unsent = (scope: ScopeId): HoldfastError =>
	scopeError(scope, "timeout", "the commit was not sent in time; nothing was written");

/** One scope's queue of commits. */
export class Lane {
	readonly scope: ScopeId;
	readonly keep: Retention;
	/** The highest head seen. */
	floor = 0;
	/** Called with each answer. */
	answered: ((answer: BatchAnswer) => void) | undefined;
	queue: Waiting[] = [];
	flight: Flight | undefined;

	constructor(scope: ScopeId, keep: Retention) {
		this.scope = scope;
		this.keep = keep;
	}

	/** Whether nothing waits and nothing is in flight. */
	get idle(): boolean {
		return this.flight === undefined && this.queue.length === 0;
	}

	/** Begins the patience of all who wait: the answer is not there at once. */
	begin(): void {
		for (const waiting of [...(this.flight?.waiting ?? []), ...this.queue]) waiting.begin();
	}

	/** Notes a head. */
	seen(head: number): void {
		if (head > this.floor) this.floor = head;
	}
}

/** A manager's commits. */
export class Committer {
	readonly #store: Store;
	readonly #reader: Reader;
	readonly #queueLimit: number;
	/** Lanes that have commits waiting or in flight. */
	readonly #busy = new Set<Lane>();
	readonly #ready = new Set<Lane>();
	/** Lanes that wait for a store that was out of reach, and what ends that. */
	readonly #heldBack = new Set<Lane>();
	#again: Cancel | undefined;
	#sequence = 0;
	#commits = 0;
	#idle: (() => void) | undefined;
	/** What was sent last: V8 forgets a shape with the last object that has it, and all that it compiled for that. */
	readonly #lasting: unknown[] = [];

	constructor(store: Store, reader: Reader, queueLimit: number) {
		this.#store = store;
		this.#reader = reader;
		this.#queueLimit = queueLimit;
	}

	/** How many commits wait or are in flight, by scope. */
	get pending(): { readonly scope: string; readonly commits: number }[] {
		return Array.from(this.#busy, ({ scope, queue, flight }) => ({
			scope: scopeLabel(scope),
			commits: queue.length + (flight?.waiting.length ?? 0),
		}));
	}

	/** Has a store where gathering gains nothing commit at once, if it can. */
	now(lane: Lane, draft: Omit<Commit, "id">, patience?: Patience): CommitOutcome | undefined {
		const { backend, offset, immediate } = this.#store;
		if (backend.commitNow === undefined || !immediate) return undefined;
		patience?.signal?.throwIfAborted();
		if (offset === undefined) void this.#learnClock(lane.scope);
		return this.#commitNow(lane, draft);
	}

	#commitNow(lane: Lane, draft: Omit<Commit, "id">): CommitOutcome | undefined {
		const outcome = this.#store.backend.commitNow?.(lane, draft, this.#step());
		if (outcome?.ok === true) lane.seen(outcome.revision);
		return outcome;
	}

	/** Hands a commit over; `bytes` is about what its values take. */
	submit(lane: Lane, draft: Judged, bytes: number, patience?: Patience): Promise<CommitOutcome> {
		patience?.signal?.throwIfAborted();
		const { origin } = this.#store;
		const commit: Commit = { id: `${origin}.${++this.#commits}`, origin, ...draft };
		if (lane.queue.length >= this.#queueLimit)
			throw scopeError(
				lane.scope,
				"busy",
				`${lane.queue.length} commits of this scope wait already: slow down`,
			);
		const { promise, waiting } = this.#wait(lane, commit, bytes, patience);
		lane.queue.push(waiting);
		this.#busy.add(lane);
		if (lane.flight === undefined) this.#schedule(lane);
		else waiting.begin();
		return promise;
	}

	/** Has the store expire what is due in a scope; answers its next deadline. */
	async sweep(lane: Lane): Promise<BatchAnswer> {
		const batch = this.#batch(lane, []);
		const answer = await this.#store.ask(
			lane.scope,
			(backend) => backend.commit([batch])[0] as Soon<BatchAnswer | Failure>,
		);
		if ("failed" in answer) throw failureError(answer, lane.scope);
		this.#learn(lane, answer);
		return answer;
	}

	/** Resolves when nothing waits and nothing is in flight. */
	async flush(): Promise<void> {
		while (this.#busy.size > 0) {
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#idle = resolve;
			await promise;
		}
	}

	/** Rejects what still waits: the manager closes. */
	abandon(): void {
		this.#again?.();
		this.#heldBack.clear();
		for (const lane of [...this.#busy]) {
			for (const { reject } of lane.queue.splice(0)) reject(unsent(lane.scope));
			for (const { reject } of lane.flight?.waiting ?? []) reject(unknownOutcome(lane.scope));
			if (lane.flight !== undefined) this.#end(lane, lane.flight);
			this.#rest(lane);
		}
	}

	#wait(lane: Lane, commit: Commit, bytes: number, patience: Patience | undefined) {
		const { promise, resolve, reject } = Promise.withResolvers<CommitOutcome>();
		let forget: Cancel | undefined;
		const settled = (): void => {
			waiting.settled = true;
			forget?.();
		};
		const waiting: Waiting = {
			commit,
			bytes,
			begin: () => {
				forget ??= this.#store.patiently(patience, (signal) => this.#giveUp(lane, waiting, signal));
			},
			resolve(outcome) {
				settled();
				resolve(outcome);
			},
			reject(error) {
				settled();
				reject(error);
			},
			settled: false,
		};
		// A store within the process answers at the end of the turn: a timer for each of its commits would cost as much as judging it.
		if (patience?.signal !== undefined || patience?.timeout !== undefined) waiting.begin();
		return { promise, waiting };
	}

	#giveUp(lane: Lane, waiting: Waiting, signal: AbortSignal | undefined): void {
		const queued = lane.queue.indexOf(waiting);
		if (queued >= 0) lane.queue.splice(queued, 1);
		if (signal !== undefined) waiting.reject(signal.reason);
		else {
			const error = queued < 0 ? unknownOutcome(lane.scope) : (waiting.unavailable ?? unsent(lane.scope));
			this.#store.fail(error);
			waiting.reject(error);
		}
		// Nobody waits for this flight any more: the next batch, of a higher sequence, overtakes it for good.
		const { flight } = lane;
		if (flight?.waiting.every(({ settled }) => settled)) this.#end(lane, flight);
		this.#rest(lane);
	}

	#schedule(lane: Lane): void {
		if (this.#heldBack.has(lane)) return;
		this.#ready.add(lane);
		if (this.#store.immediate) void this.#send();
		else this.#store.atTurn("commits", () => void this.#send());
	}

	async #send(): Promise<void> {
		const [first] = this.#ready;
		if (first === undefined) return;
		const asked = this.#store.clock.monotonic();
		try {
			// What may be kept for later does not wait for a store out of reach: its clock comes with the answer.
			const isDeferred = [...this.#ready].some(({ queue }) => queue.some(({ commit }) => commit.deferred));
			const learned = isDeferred ? undefined : this.#learnClock(first.scope);
			if (isLater(learned)) {
				for (const lane of this.#ready) lane.begin();
				await learned;
			}
		} catch (error) {
			const lanes = [...this.#ready];
			this.#ready.clear();
			for (const lane of lanes) {
				this.#setBack(lane, lane.queue.splice(0), error as HoldfastError, asked);
				this.#rest(lane);
			}
			return;
		}
		const lanes = [...this.#ready].filter(({ queue, flight }) => queue.length > 0 && flight === undefined);
		this.#ready.clear();
		if (lanes.length === 0 || (lanes.length === 1 && this.#alone(lanes[0] as Lane))) return;
		const packs = lanes.map((lane) => {
			const waiting = this.#pack(lane);
			const commits = waiting.map(({ commit }) => commit);
			return { lane, waiting, batch: this.#batch(lane, commits) };
		});
		const answers = this.#call(packs.map(({ batch }) => batch));
		for (const [i, { lane, batch, waiting }] of packs.entries())
			this.#land(lane, { batch, waiting, asked, attempts: 0 }, answers[i] as Soon<BatchAnswer | Failure>);
	}

	/** Tells those who have waited long enough for a store out of reach, and has the others wait a little: nothing of theirs was applied. */
	#setBack(lane: Lane, waiting: readonly Waiting[], error: HoldfastError, asked: number): void {
		const { backend, clock, random, failingSince } = this.#store;
		const now = clock.monotonic();
		const mayPass =
			error.code === "unavailable" && backend.traits.reach === "network" && now - asked < saidAtOnce;
		const kept = waiting.filter((one) => {
			if (one.settled) return false;
			one.asked ??= asked;
			one.unavailable = error;
			const waitsOn = mayPass && now - Math.min(one.asked, failingSince) < outage;
			if (waitsOn) one.begin();
			else one.reject(error);
			return waitsOn;
		});
		if (kept.length === 0) return;
		lane.queue = [...kept, ...lane.queue];
		this.#heldBack.add(lane);
		// As long again as the first has waited: all that is held back asks together, so that an outage is not made worse.
		const pause =
			Math.min(longestPause, Math.max(20, now - (kept[0]?.asked as number))) * (0.5 + random() / 2);
		this.#again ??= clock.after(pause, () => {
			this.#again = undefined;
			const lanes = [...this.#heldBack].filter(({ queue }) => queue.length > 0);
			this.#heldBack.clear();
			for (const one of lanes) this.#schedule(one);
		});
	}

	/** Has a store that can do so commit at once what came alone: nobody has to be remembered for an answer that can't be lost. */
	#alone(lane: Lane): boolean {
		const [waiting, second] = lane.queue;
		// An outage is over once a batch is answered.
		if (waiting === undefined || second !== undefined || this.#store.failure !== undefined) return false;
		// Listeners are told meanwhile, and may commit in turn.
		lane.queue.pop();
		const outcome = this.#commitNow(lane, waiting.commit);
		if (outcome === undefined) {
			lane.queue.unshift(waiting);
			return false;
		}
		waiting.resolve(outcome);
		this.#rest(lane);
		return true;
	}

	#pack({ queue }: Lane): Waiting[] {
		let mutations = 0;
		let bytes = 0;
		const end = queue.findIndex((waiting, i) => {
			mutations += waiting.commit.do.length;
			bytes += waiting.bytes;
			// What may be answered from elsewhere is a batch of its own: the others would wait for it.
			const isAlike = waiting.commit.deferred === queue[0]?.commit.deferred;
			return i > 0 && (!isAlike || mutations > batchMutations || bytes > batchBytes);
		});
		return queue.splice(0, end < 0 ? queue.length : end);
	}

	#batch(lane: Lane, commits: readonly Commit[]): Batch {
		return {
			scope: lane.scope,
			writer: this.#store.origin,
			sequence: ++this.#sequence,
			until: this.#store.now() + batchLife,
			floor: lane.floor,
			step: this.#step(),
			commits,
			keep: lane.keep,
		};
	}

	#step(): number {
		return 1 + Math.floor(this.#store.random() * 4096);
	}

	#call(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[] {
		return this.#store.askAll((backend) => backend.commit(batches), batches.length);
	}

	#land(lane: Lane, flight: Flight, answer: Soon<BatchAnswer | Failure>): void {
		lane.flight = flight;
		if (!isLater(answer)) {
			this.#landed(lane, flight, answer);
			return;
		}
		lane.begin();
		void answer.then((late) => this.#landed(lane, flight, late));
	}

	#resend(lane: Lane, flight: Flight): void {
		this.#land(lane, flight, this.#call([flight.batch])[0] as Soon<BatchAnswer | Failure>);
	}

	#landed(lane: Lane, flight: Flight, answer: BatchAnswer | Failure): void {
		if (flight.ended) return;
		if (!("failed" in answer)) {
			this.#learn(lane, answer);
			for (const [i, { resolve }] of flight.waiting.entries()) resolve(answer.outcomes[i] as CommitOutcome);
			this.#end(lane, flight);
			return;
		}
		if (answer.now !== undefined) {
			// Of an embedded store as well: its clock stands still where ours was set back.
			this.#store.offset = undefined;
			this.#store.learn(answer.now);
		}
		if (answer.failed === "unknown") flight.unknown = true;
		// Certainly not applied, because the store's clock was not what we thought: another batch, of another time.
		if (answer.failed === "overdue" && !flight.unknown && answer.now !== undefined && flight.attempts === 0) {
			const { sequence, until } = this.#batch(lane, []);
			this.#resend(lane, { ...flight, batch: { ...flight.batch, sequence, until }, attempts: 1 });
			return;
		}
		const retriable = answer.failed !== "overdue" && answer.failed in failureCodes;
		if (flight.unknown && retriable && this.#store.now() < flight.batch.until) {
			const pause = Math.min(1000, 20 * 2 ** flight.attempts++) * (0.5 + this.#store.random() / 2);
			lane.begin();
			flight.retry = this.#store.clock.after(pause, () => this.#resend(lane, flight));
			return;
		}
		const error = flight.unknown ? unknownOutcome(lane.scope, answer) : failureError(answer, lane.scope);
		if (error.code !== "busy") this.#store.fail(error);
		this.#setBack(lane, flight.waiting, error, flight.asked);
		this.#end(lane, flight);
	}

	#learn(lane: Lane, answer: BatchAnswer): void {
		this.#store.learn(answer.now);
		lane.seen(answer.head);
		lane.answered?.(answer);
	}

	/** Until when a batch may be applied is said by the store's clock: it is learned by a first read. */
	#learnClock(scope: ScopeId): Soon<unknown> {
		return this.#store.offset === undefined ? this.#reader.ask(scope, []) : undefined;
	}

	#end(lane: Lane, flight: Flight): void {
		flight.ended = true;
		this.#lasting[0] = flight;
		flight.retry?.();
		if (lane.flight === flight) lane.flight = undefined;
		if (lane.queue.length > 0) this.#schedule(lane);
		else this.#rest(lane);
	}

	#rest(lane: Lane): void {
		if (!lane.idle) return;
		this.#busy.delete(lane);
		if (this.#busy.size === 0) this.#idle?.();
	}
}
