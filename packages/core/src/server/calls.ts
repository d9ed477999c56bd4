/** What pages ask, done: each call checked against the grant, then handed to the store. */
import type { Batch, BatchAnswer, Commit, CommitOutcome, Failure, ReadAnswer, Soon } from "../backend.js";
import { Lane } from "../committer.js";
import type { HoldfastError } from "../error.js";
import { compareKeys, parseScopeId, spanUnder } from "../key.js";
import type { ManagerParts } from "../live-manager.js";
import { type Store, scopeError } from "../store.js";
import { encodeListPage, encodeLogPage, encodeReadAnswer, encodeScopePage } from "../wire/answer.js";
import { encodeBatchAnswer } from "../wire/commit.js";
import { encodeFailure } from "../wire/failure.js";
import type {
	CommitRequest,
	DropRequest,
	Envelope,
	ListRequest,
	ListResponse,
	LogRequest,
	LogResponse,
	ReadRequest,
	ScopesRequest,
	ScopesResponse,
	WireBatch,
} from "../wire/messages.js";
import { ownOrigin } from "../wire/record.js";
import { Admission, type AdmissionParts, checkKey } from "./admission.js";
import { MergedReads } from "./merged-reads.js";
import { OnceOverMemory } from "./once-over-memory.js";
import { denied, includes, type Principal } from "./principal.js";
import { AnswerRoom, checkListings, noRoom } from "./request-bounds.js";
import { Several } from "./several.js";
import { Sliding } from "./sliding.js";
import type { WriterQuota } from "./writer-quota.js";

/** How much one page of a listing or a log may hold. */
const page = { limit: 1000, bytes: 2 ** 20 } as const;

/** How far ahead of the store's clock a batch's `until` may be, in ms. */
const longestLife = 120_000;

/** How far ahead of the store's clock a head may be said to be, in ms: a store's clock may have been set back. */
const headSlack = 3_600_000;

/** Of how many scopes of a request the store's clock is asked. */
const clockAsks = 8;

const isFailure = (answer: object): answer is Failure => "failed" in answer;

const refusal = (cause: HoldfastError): Failure => ({ failed: "refused", message: cause.message, cause });

/** A batch on its way: what each of its commits was refused for here. */
interface Admitted {
	readonly batch: Batch;
	readonly rejected: readonly (HoldfastError | undefined)[];
}

/** Calls of pages. */
export class Calls {
	readonly #parts: ManagerParts;
	readonly #admission: AdmissionParts;
	readonly #writers: WriterQuota;
	readonly #once: OnceOverMemory;
	readonly #sliding: Sliding;

	constructor(parts: ManagerParts, admission: AdmissionParts, writers: WriterQuota) {
		this.#parts = parts;
		this.#admission = admission;
		this.#writers = writers;
		this.#once = new OnceOverMemory(parts.store);
		this.#sliding = new Sliding(parts.store.clock);
	}

	/** `/v1/read`. */
	async read(principal: Principal, { reads }: ReadRequest): Promise<Several> {
		const asked = reads.map(({ s, keys }): HoldfastError | undefined =>
			this.#refused(() => {
				const access = principal.demand(s, "read");
				if (access !== "admin") for (const key of keys) checkKey(s, key, principal);
			}),
		);
		const merged = new MergedReads(reads.filter((_, i) => asked[i] === undefined));
		const { asks } = merged;
		const soon = asks.length === 0 ? [] : this.#store.askAll((backend) => backend.read(asks), asks.length);
		for (const { scope } of asks) this.#keep(scope);
		const answers = new Map(
			asks.map(({ scope }, i) => [scope, this.#inTime(soon[i] as Soon<ReadAnswer | Failure>, "unavailable")]),
		);
		const room = new AnswerRoom();
		return this.#several(
			"reads",
			reads.map(async (read, i) => {
				const error = asked[i];
				if (error !== undefined) return encodeReadAnswer(refusal(error));
				const answer = (await answers.get(read.s)) as ReadAnswer | Failure;
				if (isFailure(answer)) return encodeReadAnswer(answer);
				this.#store.learn(answer.now);
				const picked = merged.pick(answer, read);
				return encodeReadAnswer(room.takes(picked.entries) ? picked : refusal(noRoom(read.s)));
			}),
		);
	}

	/** `/v1/list`. */
	async list(principal: Principal, { s, range }: ListRequest): Promise<Omit<ListResponse, keyof Envelope>> {
		const access = principal.demand(s, "read");
		// What is reserved comes before the first key that an application can have.
		if (access !== "admin" && compareKeys(range.from, spanUnder("").from) < 0)
			throw scopeError(s, "denied", "what is reserved can't be listed: begin with the first application key");
		this.#keep(s);
		const limited = {
			...range,
			limit: Math.min(range.limit, page.limit),
			bytes: Math.min(range.bytes, page.bytes),
		};
		return encodeListPage(await this.#store.ask(s, (backend) => backend.list(s, limited)));
	}

	/** `/v1/log`. */
	async log(
		principal: Principal,
		{ s, after, query }: LogRequest,
	): Promise<Omit<LogResponse, keyof Envelope>> {
		principal.demand(s, "read");
		this.#keep(s);
		const limited = {
			...query,
			limit: Math.min(query.limit, page.limit),
			bytes: Math.min(query.bytes, page.bytes),
		};
		return encodeLogPage(await this.#store.ask(s, (backend) => backend.log(s, after, limited)));
	}

	/** `/v1/commit`. */
	async commit(principal: Principal, { batches }: CommitRequest): Promise<Several> {
		checkListings(batches.filter(({ s }) => !includes(principal.access(s), "admin")));
		await this.#learnClock(batches);
		const admitted = batches.map((batch) => this.#admit(principal, batch));
		const sent = admitted.filter((one) => "batch" in one);
		const answers = sent.length === 0 ? [] : this.#once.commit(sent.map(({ batch }) => batch));
		const room = new AnswerRoom();
		let next = 0;
		return this.#several(
			"batches",
			admitted.map(async (one) =>
				encodeBatchAnswer(
					"batch" in one
						? await this.#outcome(one, answers[next++] as Soon<BatchAnswer | Failure>, room)
						: one,
				),
			),
		);
	}

	/** `/v1/scopes`. */
	async scopes(
		principal: Principal,
		{ range }: ScopesRequest,
	): Promise<Omit<ScopesResponse, keyof Envelope>> {
		const limited = { ...range, limit: Math.min(range.limit, page.limit) };
		const found = await this.#store.ask(undefined, (backend) => backend.scopes(limited));
		const all = found.scopes.every(({ scope }) => includes(principal.access(scope), "admin"));
		// Left out, they would be told by the gaps between pages; and where there is none, nothing is said of whose they would be.
		if (!all || !includes(principal.access(range.prefix), "admin")) throw denied(range.prefix, "admin");
		return encodeScopePage(found);
	}

	/** `/v1/drop`. */
	async drop(principal: Principal, { s }: DropRequest): Promise<Record<never, never>> {
		principal.demand(s, "admin");
		await this.#store.ask(s, (backend) => backend.drop(s));
		return {};
	}

	get #store(): Store {
		return this.#parts.store;
	}

	#several(name: ConstructorParameters<typeof Several>[0], answers: readonly Promise<object>[]): Several {
		return new Several(
			name,
			answers.map((answer) =>
				answer.catch((error: unknown) => {
					this.#store.report(error, "an answer could not be made");
					return encodeFailure({ failed: "unknown", message: "the server failed, its log says why" });
				}),
			),
		);
	}

	#refused(check: () => void): HoldfastError | undefined {
		try {
			check();
			return undefined;
		} catch (error) {
			return error as HoldfastError;
		}
	}

	#admit(principal: Principal, sent: WireBatch): Admitted | Failure {
		const { s: scope, sequence, until, step } = sent;
		const access = principal.access(scope);
		const isAdmin = access === "admin";
		const now = this.#store.now();
		// To sweep what is due is to do what the store would do anyway.
		if (!includes(access, sent.commits.length === 0 ? "read" : "write"))
			return refusal(denied(scope, sent.commits.length === 0 ? "read" : "write"));
		const writer = ownOrigin(principal.tag, sent.writer);
		if (!isAdmin && until > now + longestLife)
			return { failed: "overdue", message: "the batch would live too long by the store's clock", now };
		if (!isAdmin && sent.commits.length > 0 && !this.#writers.admit(principal.subject, writer, until, now))
			return {
				failed: "busy",
				message: "this subject has too many writers at once: close pages, or wait half a minute",
				now,
			};
		const { keep: usual, idle } = this.#parts.kind(this.#kindOf(scope));
		const admission = new Admission(scope, principal, isAdmin, this.#admission);
		const judged = sent.commits.map((commit) => admission.admit(commit, writer));
		const commits = judged.map((one, i): Commit => {
			// In the place of what is refused goes what does nothing: sent again, the batch is still the same to the store.
			if ("code" in one) return { id: sent.commits[i]?.id as string, do: [] };
			return idle === undefined || isAdmin || one.do.length === 0
				? one
				: { ...one, do: [...one.do, { op: "touch", key: null, ttl: idle }] };
		});
		const floor = Math.min(sent.floor, Math.floor((now + headSlack) * 1000));
		const keep = isAdmin ? (sent.keep ?? usual) : usual;
		return {
			batch: { scope, writer, sequence, until, floor: isAdmin ? sent.floor : floor, step, commits, keep },
			rejected: judged.map((one) => ("code" in one ? one : undefined)),
		};
	}

	async #outcome(
		{ batch, rejected }: Admitted,
		soon: Soon<BatchAnswer | Failure>,
		room: AnswerRoom,
	): Promise<BatchAnswer | Failure> {
		const answer = await this.#inTime(soon, "unknown");
		if (isFailure(answer)) return answer;
		this.#store.learn(answer.now);
		const outcomes = answer.outcomes.map((outcome, index): CommitOutcome => {
			const isTold = outcome.ok || room.takes([outcome.entry]);
			const cause = rejected[index] ?? (isTold ? undefined : noRoom(batch.scope));
			// Sent before, when it was still let through, it may have been applied: then that is the truth.
			const isApplied = outcome.ok && outcome.changes + outcome.numbers.length > 0;
			return cause === undefined || isApplied
				? outcome
				: { ok: false, why: "rejected", index: 0, entry: null, cause };
		});
		return { ...answer, outcomes };
	}

	/** Until when a batch may be applied is said by the store's clock: asked where it is not known, or where a page says that it has moved. */
	async #learnClock(batches: readonly WireBatch[]): Promise<void> {
		const store = this.#store;
		const latest = batches.reduce((most, { until }) => Math.max(most, until), 0);
		if (batches.length === 0 || (store.offset !== undefined && latest <= store.now() + longestLife)) return;
		const scopes = [...new Set(batches.map(({ s }) => s))].slice(0, clockAsks);
		// Whichever answers first: a scope that is slow is not waited for.
		const asked = scopes.map((scope) => this.#parts.reader.read(scope, []));
		const { now } = await Promise.any(asked).catch((error: AggregateError) =>
			Promise.reject(error.errors[0]),
		);
		store.offset = undefined;
		store.learn(now);
	}

	/** A scope that slides is kept by reading it, too. */
	#keep(scope: string): void {
		const { idle, keep } = this.#parts.kind(this.#kindOf(scope));
		if (idle === undefined || !this.#sliding.isDue(scope, idle)) return;
		const id = crypto.randomUUID();
		const kept = (async () =>
			this.#parts.committer.submit(
				new Lane(scope, keep),
				{ id, do: [{ op: "touch", key: null, ttl: idle }] },
				0,
			))();
		kept.catch((error: unknown) => this.#store.report(error, "a scope could not be kept alive", scope));
	}

	#kindOf(scope: string): string {
		return parseScopeId(scope).kind;
	}

	async #inTime<T extends object>(
		soon: Soon<T | Failure>,
		failed: "unknown" | "unavailable",
	): Promise<T | Failure> {
		try {
			return await this.#store.within(soon, undefined);
		} catch (cause) {
			return { failed, message: "the store did not answer in time", cause };
		}
	}
}
