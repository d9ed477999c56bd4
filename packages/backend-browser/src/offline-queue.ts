/** A page without a network: deferred writes are kept on the device and sent later, reads answer from what was known last. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Cancel,
	type Cursor,
	createStateManager,
	decodeKey,
	type Failure,
	HoldfastError,
	jsonCodec,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	parseDuration,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
	type Soon,
	type StateManager,
	StateRules,
	type Unwatch,
	wholeNumber,
} from "@holdfast/core";
import type { LogoutOptions, OfflineOptions, OfflineQueue, RefusedWrite } from "./offline.js";
import { OfflineCommits } from "./offline-commits.js";
import { noneRefused } from "./offline-lines.js";
import { SendingLoop } from "./offline-loop.js";
import { Network } from "./offline-network.js";
import { OfflineReads } from "./offline-reads.js";
import { rowCodec } from "./offline-rows.js";
import { Sending } from "./offline-sending.js";
import { type Hear, OfflineUsers } from "./offline-users.js";
import { keysOf, nameOfScope, type Refusal, type WaitingWrite } from "./offline-write.js";
import type { RemoteBackend, RemoteInside } from "./remote-backend.js";
import type { RemoteStatus } from "./remote-status.js";

/**
 * Keeps a page's deferred writes in a store of the device until the server has them, and what the page knew last of the server's state. The
 * store is the queue's own from then on.
 *
 * @throws HoldfastError `invalid-argument` where an option is malformed.
 *
 * @example
 * ```ts
 * const queue = offlineQueue(indexedDb({ name: "outbox" }));
 * const manager = createStateManager({ backend: remote({ url: "/state", offline: queue }) });
 * await manager.shared.set("note", "written in a tunnel", { durability: "deferred" });
 * ```
 */
export const offlineQueue = (store: Backend, options: OfflineOptions = {}): OfflineQueue =>
	new LiveQueue(store, options);

class LiveQueue implements OfflineQueue, RemoteBackend {
	readonly name = "remote";
	refused: readonly RefusedWrite[] = [];
	readonly #store: Backend;
	readonly #options: OfflineOptions;
	readonly #grace: number;
	readonly #copyBytes: number;
	readonly #queueLimit: number;
	readonly #ends: Cancel[] = [];
	#manager!: StateManager;
	#remote!: RemoteInside;
	#users!: OfflineUsers;
	#reads!: OfflineReads;
	#commits!: OfflineCommits;
	#loop!: SendingLoop;
	/** What `refused` was made of. */
	#told = noneRefused;
	#closed = false;

	constructor(store: Backend, options: OfflineOptions) {
		const { copyBytes = 2 ** 23, grace = 2000, queueLimit = 10_000 } = options;
		this.#store = store;
		this.#options = options;
		this.#grace = parseDuration(grace, "grace");
		this.#copyBytes = wholeNumber("copyBytes", copyBytes, 0);
		this.#queueLimit = wholeNumber("queueLimit", queueLimit, 0);
	}

	get traits(): Backend["traits"] {
		return this.#remote.traits;
	}

	get status(): RemoteStatus {
		return this.#remote.status;
	}

	attach(remote: RemoteInside): RemoteBackend {
		if (this.#remote !== undefined)
			throw new HoldfastError("invalid-argument", "this queue belongs to another backend: make a new one");
		const { parts } = remote;
		const { page, status, clock, random } = parts;
		const { conflict, state, codec = jsonCodec } = this.#options;
		this.#remote = remote;
		this.#manager = createStateManager({
			backend: this.#store,
			namespace: "holdfast-offline",
			codec: rowCodec,
			// Nobody follows what is written over and over.
			scopes: { copy: { changes: { count: 0 } } },
			clock,
			random,
		});
		const network = new Network(parts, this.#grace);
		const sending = new Sending(parts, { resolve: conflict, rules: new StateRules(state), codec });
		this.#loop = new SendingLoop(parts, sending, () => this.#users.view?.writes);
		this.#users = new OfflineUsers({
			remote: parts,
			manager: this.#manager,
			copyBytes: this.#copyBytes,
			changed: () => this.#tell(),
			wake: () => this.#loop.wake(),
		});
		this.#reads = new OfflineReads(remote, this.#users, network);
		this.#commits = new OfflineCommits({
			remote,
			users: this.#users,
			network,
			loop: this.#loop,
			queueLimit: this.#queueLimit,
		});
		let online = status.online;
		this.#ends.push(
			status.subscribe(() => {
				const isBack = status.online && !online;
				online = status.online;
				if (isBack) this.#loop.wake();
			}),
			page.listen((news) => {
				if (news === "connected" || news === "shown" || news === "back") this.#loop.wake();
				if (news === "hidden" || news === "left") void this.#users.view?.copy.flush();
			}),
			// What its store fails with is told to who writes.
			this.#manager.on("error", () => {}),
		);
		return this;
	}

	async retry(id: string): Promise<boolean> {
		const found = (await this.#users.view?.writes.retry(id)) ?? false;
		this.#loop.wake();
		return found;
	}

	async discard(id: string): Promise<boolean> {
		const found = (await this.#users.view?.writes.discard(id)) ?? false;
		this.#loop.wake();
		return found;
	}

	async logout({ pending }: LogoutOptions = {}): Promise<void> {
		await this.#users.started;
		const view = await this.#users.known();
		if (view !== undefined) {
			const { writes, copy } = view;
			const { all } = writes.lines;
			const isWaiting = (): boolean => writes.lines.sendable.length > 0;
			if (pending === "send" && isWaiting() && !(await this.#commits.whenFree(isWaiting)))
				throw new HoldfastError("offline", "what waits could not be sent: nothing was removed");
			if (all.size > 0 && pending !== "keep" && pending !== "discard")
				throw new HoldfastError(
					"pending-writes",
					`${all.size} deferred writes wait or were refused: say what becomes of them by \`pending\``,
				);
			if (pending === "discard") await writes.giveUpAll();
			await copy.wipe();
		}
		await this.#users.leave();
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		return this.#reads.read(asks);
	}

	list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		return this.#reads.list(scope, range);
	}

	log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		return this.#reads.log(scope, after, query);
	}

	watch(scope: ScopeId, listener: Hear): Promise<Unwatch> {
		return this.#reads.watch(scope, listener);
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		return this.#commits.commit(batches);
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
		this.#commits.close();
		await this.#remote.close();
		for (const end of this.#ends) end();
		await this.#loop.close();
		await this.#users.close();
		await this.#manager.close();
	}

	#tell(): void {
		const { all, refused } = this.#users.view?.writes.lines ?? {
			all: new Map<string, WaitingWrite>(),
			refused: noneRefused,
		};
		if (refused !== this.#told) {
			this.#told = refused;
			this.refused = Object.freeze(
				refused.map((write): RefusedWrite => {
					const { id, scope, at } = write;
					const keys = keysOf(write).map(decodeKey);
					return { id, scope: nameOfScope(scope), keys, at, ...(write.refused as Refusal) };
				}),
			);
		}
		let oldest: number | null = null;
		for (const write of all.values())
			if (write.refused === undefined) {
				oldest = write.at;
				break;
			}
		this.#remote.parts.status.queued(all.size - refused.length, oldest);
		this.#commits.changed();
	}
}
