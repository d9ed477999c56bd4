/** A page without a network: deferred writes are kept on the device and sent later, reads answer from what was known last. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Cancel,
	type Codec,
	type Commit,
	type CommitOutcome,
	type Cursor,
	createStateManager,
	decodeKey,
	type ErrorCode,
	type Failure,
	HoldfastError,
	isHoldfastError,
	jsonCodec,
	type KeyCondition,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	type ReadAnswer,
	type ReadAsk,
	resumes,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
	type Signal,
	type Soon,
	type StateDefinition,
	type StateManager,
	StateRules,
	type StateShape,
	type Unwatch,
} from "@holdfast/core";
import { queueKey } from "@holdfast/core/wire";
import { OfflineCopy } from "./offline-copy.js";
import { type Resolve, Sending } from "./offline-sending.js";
import { SendingTurn } from "./offline-turn.js";
import { OfflineView } from "./offline-view.js";
import { keysOf, nameOfScope, OfflineWrites, type WaitingWrite } from "./offline-writes.js";
import type { RemoteBackend, RemoteInside, RemoteParts } from "./remote-backend.js";
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

/** Options of a log-out. */
export interface LogoutOptions {
	/**
	 * What becomes of writes that wait, or were refused. `send`: they are sent first. `keep`: they stay on the device, and go on when this user is
	 * back. `discard`: they are given up, but for what is on its way already.
	 */
	readonly pending?: "send" | "keep" | "discard";
}

/** Options of {@link offlineQueue}. */
export interface OfflineOptions {
	/**
	 * Settles a deferred `update` of what is not there any more once it is sent. Without it, such an update is refused as `conflict`.
	 *
	 * @example
	 * ```ts
	 * conflict: ({ mine, theirs, base }) => (theirs === undefined ? mine : mergeText(base, mine, theirs)),
	 * ```
	 */
	readonly conflict?: Resolve;
	/** The state definition, as the manager has it: `conflict` is told values of its present version. */
	readonly state?: StateDefinition<StateShape>;
	/** The manager's codec. Default: JSON. */
	readonly codec?: Codec;
	/** About how many bytes of what was known last are kept for a start without a network; 0: none. Default 8 MiB. */
	readonly copyBytes?: number;
}

/** What a page without a network keeps; made by {@link offlineQueue}. */
export interface OfflineQueue {
	/** The present user's writes that were refused for good; the same array until they change. `status.subscribe` of the backend tells when. */
	readonly refused: readonly RefusedWrite[];
	/** Has a refused write sent again, before those that wait behind it. Answers whether there was one. */
	retry(id: string): Promise<boolean>;
	/** Gives a refused write up, with the updates that were made of it, so that those behind it are sent. Answers whether there was one. */
	discard(id: string): Promise<boolean>;
	/**
	 * Removes what this device keeps of the present user's state, and forgets who it was. Call it before the log-out at the server.
	 *
	 * @throws HoldfastError `pending-writes` where something waits or was refused, and nothing is said of what becomes of it; `offline` where it
	 * was to be sent, and can't be. Nothing is removed then.
	 */
	logout(options?: LogoutOptions): Promise<void>;
	/**
	 * For `remote`, which calls it once.
	 *
	 * @internal
	 */
	attach(remote: RemoteInside): RemoteBackend;
}

type Hear = (signal: Signal) => void;

/**
 * Keeps a page's deferred writes in a store of the device until the server has them, and what the page knew last of the server's state. The
 * store is the queue's own from then on.
 *
 * @example
 * ```ts
 * const queue = offlineQueue(browser({ name: "outbox" }));
 * const manager = createStateManager({ backend: remote({ url: "/state", offline: queue }) });
 * await manager.shared.set("note", "written in a tunnel", { durability: "deferred" });
 * ```
 */
export const offlineQueue = (store: Backend, options: OfflineOptions = {}): OfflineQueue =>
	new LiveQueue(store, options);

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

const rejected = (cause: unknown): CommitOutcome => ({
	ok: false,
	why: "rejected",
	index: 0,
	entry: null,
	cause,
});

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

class LiveQueue implements OfflineQueue, RemoteBackend {
	readonly name = "remote";
	refused: readonly RefusedWrite[] = [];
	readonly #store: Backend;
	readonly #options: OfflineOptions;
	readonly #opened = new Map<string, Promise<OfflineView>>();
	readonly #waiters = new Set<() => void>();
	readonly #ends: Cancel[] = [];
	/** Who hears of a scope: mirrors among them. */
	readonly #heard = new Map<ScopeId, Set<Hear>>();
	/** What was told before it was known to whom. */
	#untaken: (() => void)[] = [];
	#manager!: StateManager;
	#remote!: RemoteInside;
	#parts!: RemoteParts;
	#sending!: Sending;
	#turn!: SendingTurn;
	#started!: Promise<void>;
	/** Whom this device was last known by: who writes before the server has answered. */
	#last: string | undefined;
	#view: OfflineView | undefined;
	#opening: Promise<unknown> | undefined;
	#running: Promise<void> | undefined;
	#again = false;
	#pause = pauses.first as number;
	#retry: Cancel | undefined;
	#probing = false;
	#offset = 0;
	#closed = false;

	constructor(store: Backend, options: OfflineOptions) {
		this.#store = store;
		this.#options = options;
	}

	get traits(): Backend["traits"] {
		return this.#remote.traits;
	}

	get status(): LiveStatus {
		return this.#parts.status;
	}

	attach(remote: RemoteInside): RemoteBackend {
		if (this.#remote !== undefined)
			throw new HoldfastError("invalid-argument", "this queue belongs to another backend: make a new one");
		const { parts } = remote;
		const { page, status, identity, clock, random, answerWithin } = parts;
		const { conflict, state, codec = jsonCodec } = this.#options;
		this.#remote = remote;
		this.#parts = parts;
		this.#sending = new Sending(parts, { resolve: conflict, rules: new StateRules(state), codec });
		this.#turn = new SendingTurn(page, clock, answerWithin);
		this.#manager = createStateManager({
			backend: this.#store,
			namespace: "holdfast-offline",
			// Nobody follows what is written over and over.
			scopes: { copy: { changes: { count: 0 } } },
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
				if (news === "hidden" || news === "left") void this.#view?.copy.flush();
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
		const found = (await this.#view?.writes.retry(id)) ?? false;
		this.#send();
		return found;
	}

	async discard(id: string): Promise<boolean> {
		const found = (await this.#view?.writes.discard(id)) ?? false;
		this.#send();
		return found;
	}

	async logout({ pending }: LogoutOptions = {}): Promise<void> {
		await this.#started;
		const view = await this.#known();
		if (view !== undefined) {
			const { writes, copy } = view;
			const isWaiting = (): boolean => writes.sendable.length > 0;
			if (pending === "send" && isWaiting() && !(await this.#whenFree(isWaiting)))
				throw new HoldfastError("offline", "what waits could not be sent: nothing was removed");
			if (writes.all.length > 0 && pending !== "keep" && pending !== "discard")
				throw new HoldfastError(
					"pending-writes",
					`${writes.all.length} deferred writes wait or were refused: say what becomes of them by \`pending\``,
				);
			if (pending === "discard") await writes.giveUp();
			await copy.wipe();
		}
		this.#last = undefined;
		if (this.#parts.shared) await this.#manager.shared.delete(this.#lastKey);
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		return this.#isOffline ? asks.map((one) => this.#readOffline(one)) : this.#ask(asks);
	}

	async list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		const listed = async (): Promise<ListPage | undefined> => {
			if (!this.#isOffline) return undefined;
			this.#probe(scope);
			return (await this.#known())?.lastListed(scope, range);
		};
		const last = await listed();
		if (last !== undefined) return last;
		if (!this.#parts.page.connected) throw noNetwork(scope).cause;
		try {
			const page = await this.#remote.list(scope, range);
			return (await this.#known())?.listed(scope, range, page) ?? page;
		} catch (error) {
			if (!isHoldfastError(error, "unavailable") || !this.#isOffline) throw error;
			const kept = await listed();
			if (kept === undefined) throw noNetwork(scope).cause;
			return kept;
		}
	}

	async log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		const page = await this.#remote.log(scope, after, query);
		const view = await this.#known();
		if (view === undefined || query.of === "events" || query.newest === true) return page;
		if (!resumes(page, after, "changes")) {
			view.copy.of(scope).lost(after);
			return page;
		}
		return { ...page, records: view.records(scope, page.records) };
	}

	async watch(scope: ScopeId, listener: Hear): Promise<Unwatch> {
		const { identity } = this.#parts;
		const hear = (signal: Signal): void => {
			if (signal.type !== "records") listener(signal);
			else if (this.#view?.writes.user === this.#user && this.#view !== undefined)
				listener({ ...signal, records: this.#view.records(scope, signal.records) });
			else {
				const { epoch } = identity;
				this.#untaken.push(() => epoch === identity.epoch && this.#view?.records(scope, signal.records));
				listener(signal);
			}
		};
		const listeners = this.#heard.get(scope) ?? new Set();
		this.#heard.set(scope, listeners.add(hear));
		const leave = (): void => {
			listeners.delete(hear);
			if (listeners.size === 0) this.#heard.delete(scope);
		};
		const isKnown = async (): Promise<boolean> =>
			this.#isOffline && (await this.#lastKnown({ scope, keys: [] })) !== undefined;
		try {
			const known = await isKnown();
			const unwatch = await this.#remote.watch(scope, hear, known).catch(async (error) => {
				if (known || !(await isKnown())) throw error;
				return this.#remote.watch(scope, hear, true);
			});
			return () => {
				leave();
				unwatch();
			};
		} catch (error) {
			leave();
			throw error;
		}
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		return batches.map((batch) =>
			batch.commits[0]?.deferred === true ? this.#keep(batch) : this.#confirm(batch),
		);
	}

	scopes(range: ScopeRange): Soon<ScopePage> {
		return this.#remote.scopes(range);
	}

	drop(scope: ScopeId): Soon<void> {
		return this.#remote.drop(scope);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		await this.#remote.close();
		this.#retry?.();
		for (const end of this.#ends) end();
		this.#tell();
		await this.#running;
		this.#turn.close();
		for (const opening of this.#opened.values()) {
			const view = await opening.catch(() => undefined);
			await view?.copy.flush();
			view?.writes.close();
		}
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
		const opening = this.#show(user);
		this.#opening = opening;
		try {
			await opening;
			await this.#view?.copy.reopen();
			if (this.#parts.shared) await this.#manager.shared.set(this.#lastKey, user);
		} catch {
			// The next write tells.
		}
		if (this.#opening === opening) this.#opening = undefined;
		this.#send();
	}

	async #show(user: string): Promise<void> {
		// Another user's are neither shown nor sent while his are opened.
		if (this.#view?.writes.user !== user) this.#view = undefined;
		const view = await this.#of(user);
		if (user === this.#user) {
			this.#view = view;
			for (const take of this.#untaken.splice(0)) take();
		}
		this.#tell();
	}

	get #user(): string | undefined {
		const { identity } = this.#parts;
		return identity.user ?? (identity.epoch === 0 ? this.#last : undefined);
	}

	/** What is kept of a user, opened once. */
	#of(user: string): Promise<OfflineView> {
		const known = this.#opened.get(user);
		if (known !== undefined) return known;
		const opening = this.#open(user);
		this.#opened.set(user, opening);
		opening.catch(() => this.#opened.delete(user));
		return opening;
	}

	async #open(user: string): Promise<OfflineView> {
		const { url, clock, identity, reads } = this.#parts;
		const { copyBytes = 2 ** 23 } = this.#options;
		const id = `${url} ${user}`;
		let view: OfflineView | undefined;
		const observer = {
			changed: () => this.#tell(),
			touched: (scope: ScopeId, keys: ReadonlySet<string>) => {
				if (view !== undefined && view === this.#view) view.show(scope, keys, this.#heard.get(scope) ?? []);
			},
			stored: (write: WaitingWrite, revision: Cursor) => view?.stored(write.scope, write, revision),
		};
		const writes = await OfflineWrites.open(user, this.#manager.user(id), observer, () => clock.now());
		view = new OfflineView({
			writes,
			copy: new OfflineCopy(this.#manager.scope("copy", id), clock, copyBytes),
			now: () => clock.now() + this.#offset,
			offset: () => this.#offset,
			counter: () => (identity.origin === undefined ? undefined : queueKey(identity.origin, writes.name)),
			read: (ask) => reads.read([ask])[0] as Promise<ReadAnswer | Failure>,
		});
		return view;
	}

	/** What is kept of who uses the page now; waits while it is opened. */
	async #known(): Promise<OfflineView | undefined> {
		await this.#started.catch(() => {});
		await this.#opening?.catch(() => {});
		return this.#view?.writes.user === this.#user ? this.#view : undefined;
	}

	async #lastKnown(ask: ReadAsk): Promise<ReadAnswer | undefined> {
		const view = await this.#known();
		const answer = await view?.lastKnown(ask);
		if (view !== undefined && answer !== undefined) this.#parts.status.known(view.copy.of(ask.scope).at);
		return answer;
	}

	#ask(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const answers = this.#remote.read(asks.map((one) => this.#view?.ask(one) ?? one));
		return asks.map((one, i) => this.#shown(one, answers[i] as Promise<ReadAnswer | Failure>));
	}

	async #readOffline(one: ReadAsk): Promise<ReadAnswer | Failure> {
		const known = await this.#lastKnown(one);
		if (known === undefined && this.#parts.page.connected)
			return this.#ask([one])[0] as Promise<ReadAnswer | Failure>;
		this.#probe(one.scope);
		return known ?? noNetwork(one.scope);
	}

	/** The answer to a read, with what waits over it; what was known last where the server is out of reach. */
	async #shown(asked: ReadAsk, answering: Promise<ReadAnswer | Failure>): Promise<ReadAnswer | Failure> {
		const answer = await answering;
		if (!("failed" in answer)) {
			this.#offset = answer.now - this.#parts.clock.now();
			return (await this.#known())?.answered(asked, answer) ?? answer;
		}
		if (answer.failed !== "unavailable" || !this.#isOffline) return answer;
		return (await this.#lastKnown(asked)) ?? noNetwork(asked.scope);
	}

	/** Who writes now; asks the server where nobody is known. */
	async #mine(scope: ScopeId): Promise<OfflineView> {
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
		const outcomes: CommitOutcome[] = [];
		// An update depends on what is kept before it: it is kept by itself.
		for (let i = 0; i < batch.commits.length; ) {
			const isUpdate = batch.commits[i]?.if !== undefined;
			const next = batch.commits.findIndex((commit, at) => at > i && (isUpdate || commit.if !== undefined));
			const commits = batch.commits.slice(i, next < 0 ? undefined : next);
			outcomes.push(...(await this.#keepSome({ ...batch, commits })));
			i += commits.length;
		}
		this.#send();
		return { head: 0, now: clock.now() + this.#offset, next: null, outcomes };
	}

	async #keepSome({ scope, commits, keep }: Batch): Promise<CommitOutcome[]> {
		const fit = commits.filter((commit) => unfit(commit, scope) === undefined);
		let failure: CommitOutcome | undefined;
		try {
			if (this.#closed) throw new HoldfastError("closed", "the backend is closed");
			if (fit.length > 0) {
				const view = await this.#mine(scope);
				const [condition] = (fit[0]?.if ?? []) as readonly KeyCondition[];
				if (condition === undefined) await view.writes.add(scope, fit, keep);
				else if (!(await view.keepUpdate(scope, fit[0] as Commit, keep)))
					failure = {
						ok: false,
						why: "condition",
						index: 0,
						entry: view.entry(scope, condition.key) ?? null,
					};
			}
		} catch (cause) {
			// Never as a failure that core would ask again about: it could have been kept, and sent.
			failure = rejected(cause);
		}
		return commits.map((commit) => {
			const cause = unfit(commit, scope);
			return cause === undefined ? (failure ?? keptOutcome(commit)) : rejected(cause);
		});
	}

	async #confirm(batch: Batch): Promise<BatchAnswer | Failure> {
		const { scope, commits } = batch;
		if (this.#isOffline) {
			this.#probe(scope);
			return noNetwork(scope);
		}
		const isWaiting = (): boolean => this.#isWaiting(scope);
		if (isWaiting() && !(await this.#whenFree(isWaiting)))
			return refused(offlineError(scope, "deferred writes of this scope were not sent yet"));
		const view = this.#view;
		const judgeable = commits.map((commit) => view?.judgeable(scope, commit) ?? commit);
		const [sent] = this.#remote.commit([{ ...batch, commits: judgeable }]);
		const answer = (await sent) as BatchAnswer | Failure;
		if (view !== undefined && view === this.#view && !("failed" in answer))
			for (const [i, outcome] of answer.outcomes.entries())
				if (outcome.ok) view.committed(scope, commits[i] as Commit, outcome);
		return answer;
	}

	/** Whether a deferred write to a scope is yet to be sent, so that a later one would overtake it. */
	#isWaiting(scope: ScopeId): boolean {
		const first = this.#view?.writes.first(scope);
		return first !== undefined && first.refused === undefined;
	}

	/** Waits until what waits is sent; answers whether it was. */
	async #whenFree(isWaiting: () => boolean): Promise<boolean> {
		const { clock, answerWithin } = this.#parts;
		this.#send();
		const { promise, resolve } = Promise.withResolvers<void>();
		const look = (): void => {
			if (!isWaiting() || this.#isOffline || this.#closed) resolve();
		};
		look();
		const end = clock.after(answerWithin, resolve);
		const deafen = this.#parts.status.subscribe(look);
		this.#waiters.add(look);
		await promise;
		end();
		deafen();
		this.#waiters.delete(look);
		return !isWaiting();
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
		const all = this.#view?.writes.all ?? [];
		const waiting = all.filter((write) => write.refused === undefined);
		const told = all.flatMap((write): RefusedWrite[] => {
			const { id, scope, at, refused } = write;
			if (refused === undefined) return [];
			const keys = keysOf(write).map(decodeKey);
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
		const writes = this.#view?.writes;
		const scope = writes?.sendable[0];
		if (writes === undefined || scope === undefined) return true;
		if (!page.connected) return false;
		// Who asks has to be known first: what one user wrote is never sent as another.
		if (identity.user === undefined) await reads.read([{ scope, keys: [] }])[0];
		if (identity.user !== writes.user) return identity.user !== undefined;
		// Where another tab sends, this one looks again later, for it may be closed meanwhile.
		return this.#turn.take(`holdfast:queue:${url} ${writes.user}`, (mine) =>
			this.#sending.send(writes, mine),
		);
	}
}
