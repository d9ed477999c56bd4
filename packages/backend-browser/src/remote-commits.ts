/**
 * Commits: what is asked for in one turn of the event loop is one request, each scope is answered for itself, and one that was not answered
 * is told as such.
 */
import {
	type Batch,
	type BatchAnswer,
	type Clock,
	type Failure,
	HoldfastError,
	isHoldfastError,
} from "@holdfast/core";
import { decodeBatchAnswer, encodeBatch, severalLimit } from "@holdfast/core/wire";
import type { Calls } from "./remote-calls.js";
import { failureOf } from "./remote-failure.js";
import type { Identity } from "./remote-identity.js";
import type { Page } from "./remote-page.js";
import type { Reads } from "./remote-reads.js";
import type { LiveStatus } from "./remote-status.js";

/** How many characters of batches one request may hold; a batch alone may be larger. */
const requestLimit = 2 ** 20;

/** How many unanswered batches are remembered. */
const unansweredLimit = 10_000;

/** What commits are made with. */
export interface CommitParts {
	readonly calls: Calls;
	readonly reads: Reads;
	readonly clock: Clock;
	readonly page: Page;
	readonly identity: Identity;
	readonly status: LiveStatus;
}

interface Waiting {
	readonly batch: Batch;
	readonly text: string;
	readonly since: number;
	/** Meant by who was logged in then: nobody else is to have written it. */
	readonly epoch: number;
	resolve(answer: BatchAnswer | Failure): void;
}

const nameOf = ({ scope, writer, sequence }: Batch): string => `${scope} ${writer} ${sequence}`;

/** The commits of one backend. */
export class Commits {
	readonly #parts: CommitParts;
	/** What waits to be written: not a batch without commits, which only sweeps. */
	readonly #writing = new Set<Waiting>();
	#unwritten = 0;
	/** As whom a batch was sent whose answer was lost: as somebody else it would be another one, and could be applied twice. */
	readonly #unanswered = new Map<string, number>();
	#gathered: Waiting[] = [];

	constructor(parts: CommitParts) {
		this.#parts = parts;
	}

	/** Batches of many scopes in, one answer each out. */
	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		return batches.map((batch) => this.add(batch));
	}

	/** One batch; `isNews`: whether its commits are yet to be counted among what waits for an answer. */
	add(batch: Batch, isNews = batch.commits.length > 0): Promise<BatchAnswer | Failure> {
		const { promise, resolve } = Promise.withResolvers<BatchAnswer | Failure>();
		const waiting: Waiting = {
			batch,
			// The same batch is the same bytes, however often it is sent.
			text: JSON.stringify(encodeBatch(batch)),
			since: this.#parts.clock.now(),
			epoch: this.#parts.identity.epoch,
			resolve: (answer) => {
				if (this.#writing.delete(waiting)) this.#count(-batch.commits.length);
				resolve(answer);
			},
		};
		if (isNews) {
			this.#writing.add(waiting);
			this.#count(batch.commits.length);
		}
		if (this.#gathered.push(waiting) === 1) queueMicrotask(() => this.#flush());
		return promise;
	}

	#count(more: number): void {
		const [first] = this.#writing;
		this.#unwritten += more;
		this.#parts.status.waits(this.#unwritten, first?.since ?? null);
	}

	#flush(): void {
		const gathered = this.#gathered;
		this.#gathered = [];
		let pack: Waiting[] = [];
		let size = 0;
		for (const waiting of gathered) {
			size += waiting.text.length;
			if (pack.length === severalLimit || (pack.length > 0 && size > requestLimit)) {
				void this.#send(pack);
				pack = [];
				size = waiting.text.length;
			}
			pack.push(waiting);
		}
		void this.#send(pack);
	}

	async #send(pack: readonly Waiting[]): Promise<void> {
		const unreachable = await this.#probe(pack);
		const sent = pack.filter((waiting) => {
			const before = this.#unanswered.get(nameOf(waiting.batch));
			const { epoch } = waiting;
			const failure =
				unreachable ??
				(epoch === this.#parts.identity.epoch && (before === undefined || before === epoch)
					? undefined
					: failureOf(new HoldfastError("identity-changed", "another user has logged in: it was not sent")));
			if (failure !== undefined) waiting.resolve(failure);
			return failure === undefined;
		});
		if (sent.length === 0) return;
		const settle = ({ batch, epoch, resolve }: Waiting, answer: BatchAnswer | Failure): void => {
			this.#remember(batch, answer, epoch);
			resolve(answer);
		};
		const left = new Set(sent);
		try {
			const body = `{"batches":[${sent.map(({ text }) => text).join()}]}`;
			await this.#parts.calls.postEach(body, sent.length, (told, i) => {
				const waiting = sent[i] as Waiting;
				settle(waiting, decodeBatchAnswer(told));
				left.delete(waiting);
			});
		} catch (error) {
			if (sent.length > 1 && isHoldfastError(error, "too-large")) {
				// Each for itself may not be: nothing of it was looked at.
				const half = sent.length >> 1;
				await Promise.all([this.#send(sent.slice(0, half)), this.#send(sent.slice(half))]);
			} else for (const waiting of left) settle(waiting, failureOf(error));
		}
	}

	/**
	 * A browser does not tell whether a request that failed had been sent. So while the server is out of reach, a read goes first: where that
	 * fails, nothing was handed over, and the commit is refused as `unavailable` rather than left unknown.
	 */
	async #probe([first]: readonly Waiting[]): Promise<Failure | undefined> {
		const { status, page, reads } = this.#parts;
		if (first === undefined || (status.online && page.connected)) return undefined;
		const [answer] = reads.read([{ scope: first.batch.scope, keys: [] }]);
		const answered = await answer;
		return answered !== undefined && "failed" in answered && answered.failed === "unavailable"
			? answered
			: undefined;
	}

	#remember(batch: Batch, answer: BatchAnswer | Failure, epoch: number): void {
		const name = nameOf(batch);
		if (!("failed" in answer)) this.#unanswered.delete(name);
		if (!("failed" in answer) || answer.failed !== "unknown") return;
		this.#unanswered.delete(name);
		this.#unanswered.set(name, epoch);
		if (this.#unanswered.size > unansweredLimit)
			this.#unanswered.delete(this.#unanswered.keys().next().value as string);
	}
}
