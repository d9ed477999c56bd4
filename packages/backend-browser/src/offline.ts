/** A page without a network: deferred writes are kept on the device and sent later; everything else refuses at once. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Cancel,
	type Commit,
	type CommitOutcome,
	createStateManager,
	decodeKey,
	type ErrorCode,
	type Failure,
	HoldfastError,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type StateManager,
} from "@holdfast/core";
import { Sending, type SendingParts } from "./offline-sending.js";
import { nameOfScope, OfflineWrites } from "./offline-writes.js";
import type { Page } from "./remote-page.js";
import type { LiveStatus } from "./remote-status.js";

/** A deferred write that the server refused for good. It stays, and later writes to its scope wait behind it, until it is decided on. */
export interface RefusedWrite {
	readonly id: string;
	/** As errors name it: `user/ada`. */
	readonly scope: string;
	/** The keys that it would have written. */
	readonly keys: readonly string[];
	/** When it was made, in ms since 1970 by the device's clock. */
	readonly at: number;
	/** Why it was refused. */
	readonly code: ErrorCode;
	readonly message: string;
}

/** What a page without a network keeps; made by {@link offlineQueue}. */
export interface OfflineQueue {
	/** The present user's writes that were refused for good; the same array until they change. `status.subscribe` of the backend tells when. */
	readonly refused: readonly RefusedWrite[];
	/** Has a refused write sent again, before those that wait behind it. Answers whether there was one. */
	retry(id: string): Promise<boolean>;
	/** Gives a refused write up, so that those behind it are sent. Answers whether there was one. */
	discard(id: string): Promise<boolean>;
	/**
	 * For `remote`, which calls it once.
	 *
	 * @internal
	 */
	attach(parts: OfflineParts): AttachedQueue;
}

/** What a queue works with. */
interface OfflineParts extends SendingParts {
	readonly url: string;
	readonly page: Page;
	readonly status: LiveStatus;
	/** Whether all tabs are the same user, so that the last one known is the one who writes before the server has answered. */
	readonly shared: boolean;
	/** How long a confirmed write waits for the deferred ones before it, in ms. */
	readonly answerWithin: number;
}

/** A queue between a manager and its remote backend. */
export interface AttachedQueue {
	read(
		asks: readonly ReadAsk[],
		ask: (asks: readonly ReadAsk[]) => Promise<ReadAnswer | Failure>[],
	): Promise<ReadAnswer | Failure>[];
	commit(
		batches: readonly Batch[],
		send: (batches: readonly Batch[]) => Promise<BatchAnswer | Failure>[],
	): Promise<BatchAnswer | Failure>[];
	close(): Promise<void>;
}

/**
 * Keeps a page's deferred writes in a store of the device until the server has them. The store is the queue's own from then on.
 *
 * @example
 * ```ts
 * const queue = offlineQueue(browser({ name: "outbox" }));
 * const manager = createStateManager({ backend: remote({ url: "/state", offline: queue }) });
 * await manager.shared.set("note", "written in a tunnel", { durability: "deferred" });
 * ```
 */
export const offlineQueue = (store: Backend): OfflineQueue => new LiveQueue(store);

/** The pause before another attempt, in ms: the first, and the longest. */
const pauses = { first: 500, longest: 20_000 } as const;

const refused = (cause: unknown): Failure => ({
	failed: "refused",
	message: (cause as Error).message,
	cause,
});

const offlineError = (scope: ScopeId, message: string): HoldfastError =>
	new HoldfastError("offline", message, { scope: nameOfScope(scope) });

const noNetwork = (scope: ScopeId): Failure =>
	refused(offlineError(scope, "there is no network: nothing was written or read"));

/** Why a commit can't be kept for later. */
function unfit({ do: mutations }: Commit, scope: ScopeId): HoldfastError | undefined {
	const bounded = mutations.find(
		(mutation) => mutation.op === "add" && (mutation.min ?? mutation.max ?? mutation.base) !== undefined,
	);
	if (bounded === undefined) return undefined;
	return new HoldfastError(
		"invalid-argument",
		"whether a bound holds is known by the server only: write it confirmed",
		{ scope: nameOfScope(scope) },
	);
}

/** What a kept commit is answered with: nobody knows yet what its sums will be. */
function keptOutcome({ do: mutations }: Commit): CommitOutcome {
	const numbers = mutations.filter(({ op }) => op === "add").map(() => Number.NaN);
	return { ok: true, revision: 0, changes: mutations.length, numbers };
}

class LiveQueue implements OfflineQueue, AttachedQueue {
	refused: readonly RefusedWrite[] = [];
	readonly #store: Backend;
	readonly #opened = new Map<string, Promise<OfflineWrites>>();
	readonly #waiters = new Set<() => void>();
	readonly #ends: Cancel[] = [];
	#manager!: StateManager;
	#parts!: OfflineParts;
	#sending!: Sending;
	#started!: Promise<void>;
	/** Whom this device was last known by: who writes before the server has answered. */
	#last: string | undefined;
	#writes: OfflineWrites | undefined;
	#running: Promise<void> | undefined;
	#again = false;
	#pause = pauses.first as number;
	#retry: Cancel | undefined;
	#probing = false;
	#offset = 0;
	#closed = false;

	constructor(store: Backend) {
		this.#store = store;
	}

	attach(parts: OfflineParts): AttachedQueue {
		if (this.#parts !== undefined)
			throw new HoldfastError("invalid-argument", "this queue belongs to another backend: make a new one");
		const { page, status, identity, clock, random } = parts;
		this.#parts = parts;
		this.#sending = new Sending(parts);
		this.#manager = createStateManager({
			backend: this.#store,
			namespace: "holdfast-offline",
			clock,
			random,
		});
		let online = status.online;
		this.#ends.push(
			status.subscribe(() => {
				const isBack = status.online && !online;
				online = status.online;
				if (isBack) this.#send();
			}),
			page.listen((news) => {
				if (news === "connected" || news === "shown" || news === "back") this.#send();
			}),
			// What its store fails with is told to who writes.
			this.#manager.on("error", () => {}),
		);
		identity.learned = (user) => void this.#be(user);
		this.#started = this.#start();
		this.#started.catch(() => {});
		return this;
	}

	async retry(id: string): Promise<boolean> {
		const found = (await this.#writes?.retry(id)) ?? false;
		this.#send();
		return found;
	}

	async discard(id: string): Promise<boolean> {
		const found = (await this.#writes?.discard(id)) ?? false;
		this.#send();
		return found;
	}

	read(
		asks: readonly ReadAsk[],
		ask: (asks: readonly ReadAsk[]) => Promise<ReadAnswer | Failure>[],
	): Promise<ReadAnswer | Failure>[] {
		const { page, status, clock } = this.#parts;
		if (!page.connected) return asks.map(async ({ scope }) => noNetwork(scope));
		return ask(asks).map(async (answering, i) => {
			const answer = await answering;
			if (!("failed" in answer)) this.#offset = answer.now - clock.now();
			else if (answer.failed === "unavailable" && !status.online)
				return noNetwork((asks[i] as ReadAsk).scope);
			return answer;
		});
	}

	commit(
		batches: readonly Batch[],
		send: (batches: readonly Batch[]) => Promise<BatchAnswer | Failure>[],
	): Promise<BatchAnswer | Failure>[] {
		return batches.map((batch) =>
			batch.commits[0]?.deferred === true ? this.#keep(batch) : this.#confirm(batch, send),
		);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#retry?.();
		for (const end of this.#ends) end();
		this.#tell();
		await this.#running;
		for (const opening of this.#opened.values()) (await opening.catch(() => undefined))?.close();
		await this.#manager.close();
	}

	get #isOffline(): boolean {
		const { page, status } = this.#parts;
		return !page.connected || !status.online;
	}

	get #lastKey(): string {
		return `user/${encodeURIComponent(this.#parts.url)}`;
	}

	async #start(): Promise<void> {
		const { identity, shared } = this.#parts;
		if (shared) this.#last = (await this.#manager.shared.get(this.#lastKey)) as string | undefined;
		if (identity.user === undefined && identity.epoch === 0 && this.#last !== undefined) {
			await this.#show(this.#last);
			this.#send();
		}
	}

	/** The server said whom it takes the page for. */
	async #be(user: string): Promise<void> {
		this.#last = user;
		try {
			await this.#show(user);
			if (this.#parts.shared) await this.#manager.shared.set(this.#lastKey, user);
		} catch {
			// The next write tells.
		}
		this.#send();
	}

	async #show(user: string): Promise<void> {
		// Another user's are neither shown nor sent while his are opened.
		if (this.#writes?.user !== user) this.#writes = undefined;
		const writes = await this.#of(user);
		if (user === this.#user) this.#writes = writes;
		this.#tell();
	}

	get #user(): string | undefined {
		const { identity } = this.#parts;
		return identity.user ?? (identity.epoch === 0 ? this.#last : undefined);
	}

	/** A user's writes, opened once. */
	#of(user: string): Promise<OfflineWrites> {
		const known = this.#opened.get(user);
		if (known !== undefined) return known;
		const scope = this.#manager.user(`${this.#parts.url} ${user}`);
		const opening = OfflineWrites.open(user, scope, () => this.#tell());
		this.#opened.set(user, opening);
		opening.catch(() => this.#opened.delete(user));
		return opening;
	}

	/** Who writes now; asks the server where nobody is known. */
	async #mine(scope: ScopeId): Promise<OfflineWrites> {
		const { page, reads } = this.#parts;
		await this.#started;
		if (this.#user === undefined && page.connected) await reads.read([{ scope, keys: [] }])[0];
		const user = this.#user;
		if (user === undefined)
			throw offlineError(scope, "nobody has logged in here yet, so that it can't be kept for anybody");
		return this.#of(user);
	}

	async #keep(batch: Batch): Promise<BatchAnswer | Failure> {
		const { clock } = this.#parts;
		const outcomes = batch.commits.map((commit): CommitOutcome => {
			const cause = unfit(commit, batch.scope);
			return cause === undefined
				? keptOutcome(commit)
				: { ok: false, why: "rejected", index: 0, entry: null, cause };
		});
		const commits = batch.commits.filter((_, i) => outcomes[i]?.ok);
		try {
			if (this.#closed) throw new HoldfastError("closed", "the backend is closed");
			if (commits.length > 0) {
				const writes = await this.#mine(batch.scope);
				await writes.add({ ...batch, commits }, clock.now());
				this.#send();
			}
		} catch (cause) {
			// Never as an outcome that core would ask for again: it could have been kept, and sent.
			return refused(cause);
		}
		return { head: 0, now: clock.now() + this.#offset, next: null, outcomes };
	}

	async #confirm(
		batch: Batch,
		send: (batches: readonly Batch[]) => Promise<BatchAnswer | Failure>[],
	): Promise<BatchAnswer | Failure> {
		const { scope } = batch;
		if (this.#isOffline) {
			this.#probe(scope);
			return noNetwork(scope);
		}
		if (this.#isWaiting(scope) && !(await this.#whenFree(scope)))
			return refused(offlineError(scope, "deferred writes of this scope were not sent yet"));
		return send([batch])[0] as Promise<BatchAnswer | Failure>;
	}

	/** Whether a deferred write to a scope is yet to be sent, so that a later one would overtake it. */
	#isWaiting(scope: ScopeId): boolean {
		const first = this.#writes?.first(scope);
		return first !== undefined && first.refused === undefined;
	}

	async #whenFree(scope: ScopeId): Promise<boolean> {
		const { clock, answerWithin } = this.#parts;
		this.#send();
		const { promise, resolve } = Promise.withResolvers<void>();
		const look = (): void => {
			if (!this.#isWaiting(scope) || this.#isOffline || this.#closed) resolve();
		};
		const end = clock.after(answerWithin, resolve);
		const deafen = this.#parts.status.subscribe(look);
		this.#waiters.add(look);
		await promise;
		end();
		deafen();
		this.#waiters.delete(look);
		return !this.#isWaiting(scope);
	}

	/** Finds out, once at a time, whether the server is back. */
	#probe(scope: ScopeId): void {
		const { page, reads } = this.#parts;
		if (this.#probing || !page.connected) return;
		this.#probing = true;
		void reads.read([{ scope, keys: [] }])[0]?.then(() => {
			this.#probing = false;
		});
	}

	#tell(): void {
		const all = this.#writes?.all ?? [];
		const waiting = all.filter((write) => write.refused === undefined);
		const told = all.flatMap(({ id, scope, commit, at, refused }): RefusedWrite[] => {
			if (refused === undefined) return [];
			const keys = commit.do.flatMap((one) => ("key" in one && one.key !== null ? [decodeKey(one.key)] : []));
			return [{ id, scope: nameOfScope(scope), keys, at, ...refused }];
		});
		if (JSON.stringify(told) !== JSON.stringify(this.refused)) this.refused = Object.freeze(told);
		this.#parts.status.queued(waiting.length, waiting[0]?.at ?? null);
		for (const look of [...this.#waiters]) look();
	}

	/** Sends what waits, now; one run at a time. */
	#send(): void {
		this.#again = true;
		this.#running ??= this.#run().finally(() => {
			this.#running = undefined;
			if (this.#again) this.#send();
		});
	}

	async #run(): Promise<void> {
		this.#retry?.();
		this.#retry = undefined;
		while (this.#again && !this.#closed) {
			this.#again = false;
			let done = false;
			try {
				done = await this.#sendOnce();
			} catch {
				// The device's store failed: what was sent is found out by what the server has counted.
			}
			if (done) this.#pause = pauses.first;
			else if (!this.#again && !this.#closed) this.#sendLater();
		}
		if (this.#closed) this.#again = false;
	}

	#sendLater(): void {
		const { clock, random } = this.#parts;
		const ms = this.#pause * (0.5 + random() / 2);
		this.#pause = Math.min(pauses.longest, this.#pause * 2);
		this.#retry = clock.after(ms, () => this.#send(), true);
	}

	async #sendOnce(): Promise<boolean> {
		const { identity, page, reads, url } = this.#parts;
		const writes = this.#writes;
		const scope = writes?.sendable[0];
		if (writes === undefined || scope === undefined) return true;
		if (!page.connected) return false;
		// Who asks has to be known first: what one user wrote is never sent as another.
		if (identity.user === undefined) await reads.read([{ scope, keys: [] }])[0];
		if (identity.user !== writes.user) return identity.user !== undefined;
		const { locks } = page;
		if (locks === undefined) return this.#sending.send(writes);
		// Another tab sends: this one looks again later, for it may be closed meanwhile.
		return locks.request(`holdfast:queue:${url} ${writes.user}`, { ifAvailable: true }, (lock) =>
			lock === null ? false : this.#sending.send(writes),
		);
	}
}
