/** Commits of a page with an offline queue: deferred ones are kept on the device, the others are sent once those before them are. */
import {
	type Batch,
	type BatchAnswer,
	type Commit,
	type CommitOutcome,
	type Failure,
	HoldfastError,
	isHoldfastError,
	type KeyCondition,
	type ScopeId,
} from "@holdfast/core";
import type { SendingLoop } from "./offline-loop.js";
import { type Network, noNetwork, offlineError, refusedBy } from "./offline-network.js";
import type { OfflineUsers } from "./offline-users.js";
import type { OfflineView } from "./offline-view.js";
import { nameOfScope } from "./offline-write.js";
import type { RemoteInside } from "./remote-backend.js";

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

/** What commits are made with. */
export interface CommitsParts {
	readonly remote: RemoteInside;
	readonly users: OfflineUsers;
	readonly network: Network;
	readonly loop: SendingLoop;
	/** How many writes may wait. */
	readonly queueLimit: number;
}

/** The commits of one backend. */
export class OfflineCommits {
	readonly #remote: RemoteInside;
	readonly #users: OfflineUsers;
	readonly #network: Network;
	readonly #loop: SendingLoop;
	readonly #queueLimit: number;
	readonly #waiters = new Set<() => void>();
	#closed = false;

	constructor({ remote, users, network, loop, queueLimit }: CommitsParts) {
		this.#remote = remote;
		this.#users = users;
		this.#network = network;
		this.#loop = loop;
		this.#queueLimit = queueLimit;
	}

	/** As a backend's. */
	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		return batches.map((batch) =>
			batch.commits[0]?.deferred === true ? this.#keep(batch) : this.#confirm(batch),
		);
	}

	/** Waits until what waits is sent; answers whether it was. */
	async whenFree(isWaiting: () => boolean): Promise<boolean> {
		const { clock, answerWithin, status } = this.#remote.parts;
		this.#loop.wake();
		const { promise, resolve } = Promise.withResolvers<void>();
		const look = (): void => {
			if (!isWaiting() || this.#network.isAway || this.#closed) resolve();
		};
		look();
		const end = clock.after(answerWithin, resolve);
		const deafen = status.subscribe(look);
		this.#waiters.add(look);
		await promise;
		end();
		deafen();
		this.#waiters.delete(look);
		return !isWaiting();
	}

	/** What waits has changed. */
	changed(): void {
		for (const look of [...this.#waiters]) look();
	}

	/** Keeps nothing any more, and lets go of who waits. */
	close(): void {
		this.#closed = true;
		this.changed();
	}

	async #keep(batch: Batch): Promise<BatchAnswer | Failure> {
		const { clock } = this.#remote.parts;
		const outcomes: CommitOutcome[] = [];
		// An update depends on what is kept before it: it is kept by itself.
		for (let i = 0; i < batch.commits.length; ) {
			const isUpdate = batch.commits[i]?.if !== undefined;
			const next = batch.commits.findIndex((commit, at) => at > i && (isUpdate || commit.if !== undefined));
			const commits = batch.commits.slice(i, next < 0 ? undefined : next);
			outcomes.push(...(await this.#keepSome({ ...batch, commits })));
			i += commits.length;
		}
		this.#loop.wake();
		return { head: 0, now: clock.now() + this.#users.offset, next: null, outcomes };
	}

	async #keepSome(batch: Batch): Promise<CommitOutcome[]> {
		const { scope, commits, keep } = batch;
		const fit = commits.filter((commit) => unfit(commit, scope) === undefined);
		let failure: CommitOutcome | undefined;
		try {
			if (this.#closed) throw new HoldfastError("closed", "the backend is closed");
			if (fit.length > 0) {
				const view = await this.#mine(scope);
				const waiting = view.writes.lines.all.size;
				if (waiting + fit.length > this.#queueLimit)
					throw new HoldfastError("full", `${waiting} deferred writes wait already: nothing was written`, {
						scope: nameOfScope(scope),
					});
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
			if (commits.length > 1 && isHoldfastError(cause, "too-large")) {
				const half = commits.length >> 1;
				const [before, after] = [commits.slice(0, half), commits.slice(half)];
				return [
					...(await this.#keepSome({ ...batch, commits: before })),
					...(await this.#keepSome({ ...batch, commits: after })),
				];
			}
			// Never as a failure that core would ask again about: it could have been kept, and sent.
			failure = rejected(cause);
		}
		return commits.map((commit) => {
			const cause = unfit(commit, scope);
			return cause === undefined ? (failure ?? keptOutcome(commit)) : rejected(cause);
		});
	}

	/** Who writes now; asks the server where nobody is known. */
	async #mine(scope: ScopeId): Promise<OfflineView> {
		const { reads } = this.#remote.parts;
		await this.#users.started;
		if (this.#users.user === undefined && this.#network.isConnected)
			await reads.read([{ scope, keys: [] }])[0];
		const { user } = this.#users;
		if (user === undefined)
			throw offlineError(scope, "nobody has logged in here yet, so that it can't be kept for anybody");
		return this.#users.of(user);
	}

	async #confirm(batch: Batch): Promise<BatchAnswer | Failure> {
		const { scope, commits } = batch;
		if (this.#network.isAway) {
			this.#network.probe(scope);
			return refusedBy(noNetwork(scope));
		}
		const isWaiting = (): boolean => this.#isWaiting(scope);
		if (isWaiting() && !(await this.whenFree(isWaiting)))
			return refusedBy(offlineError(scope, "deferred writes of this scope were not sent yet"));
		const { view } = this.#users;
		const judgeable = commits.map((commit) => view?.judgeable(scope, commit) ?? commit);
		const asked = this.#users.ask(scope);
		const [sent] = this.#remote.commit([{ ...batch, commits: judgeable }]);
		const answer = (await sent) as BatchAnswer | Failure;
		if (view !== undefined && view === this.#users.view && !("failed" in answer))
			for (const [i, outcome] of answer.outcomes.entries())
				if (outcome.ok) view.committed(scope, commits[i] as Commit, asked, outcome);
		return answer;
	}

	/** Whether a deferred write to a scope is yet to be sent, so that a later one would overtake it. */
	#isWaiting(scope: ScopeId): boolean {
		const first = this.#users.view?.writes.lines.of(scope).first;
		return first !== undefined && first.refused === undefined;
	}
}
