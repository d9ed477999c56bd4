/** Reads of a page with an offline queue: of the server, with what waits over its answers; without a network, of what was known last. */
import {
	type Cursor,
	type Failure,
	isHoldfastError,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type Unwatch,
} from "@holdfast/core";
import type { Asked } from "./offline-known.js";
import { type Network, noNetwork, refusedBy } from "./offline-network.js";
import type { Hear, OfflineUsers } from "./offline-users.js";
import type { RemoteInside } from "./remote-backend.js";

/** The reads of one backend. */
export class OfflineReads {
	readonly #remote: RemoteInside;
	readonly #users: OfflineUsers;
	readonly #network: Network;

	constructor(remote: RemoteInside, users: OfflineUsers, network: Network) {
		this.#remote = remote;
		this.#users = users;
		this.#network = network;
	}

	/** As a backend's. */
	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		return this.#network.isMute ? asks.map((one) => this.#readMute(one)) : this.#ask(asks);
	}

	/** As a backend's. */
	async list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		const last = async (): Promise<ListPage | undefined> => {
			if (!this.#network.isMute) return undefined;
			this.#network.probe(scope);
			return (await this.#users.known())?.lastListed(scope, range);
		};
		const known = await last();
		if (known !== undefined) return known;
		if (!this.#network.isConnected) throw noNetwork(scope);
		return this.#orKnown(this.#list(scope, range, last), last);
	}

	/** As a backend's. */
	async log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		const asked = this.#users.ask(scope);
		const page = await this.#remote.log(scope, after, query);
		if (query.of === "events" || query.newest === true) return page;
		return (await this.#users.known())?.logged(scope, after, asked, page) ?? page;
	}

	/** As a backend's. */
	async watch(scope: ScopeId, listener: Hear): Promise<Unwatch> {
		const { hear, leave } = this.#users.hear(scope, listener);
		const patiently = async (): Promise<Unwatch | undefined> => {
			const isKnown = this.#network.isMute && (await this.#lastKnown({ scope, keys: [] })) !== undefined;
			return isKnown ? this.#remote.watch(scope, hear, true) : undefined;
		};
		const attach = async (): Promise<Unwatch> => {
			const attaching = this.#remote.watch(scope, hear);
			return this.#orKnown(
				attaching.catch(async (error) => {
					const unwatch = await patiently();
					if (unwatch === undefined) throw error;
					return unwatch;
				}),
				patiently,
				(late) => late(),
			);
		};
		try {
			const unwatch = (await patiently()) ?? (await attach());
			return () => {
				leave();
				unwatch();
			};
		} catch (error) {
			leave();
			throw error;
		}
	}

	async #list(scope: ScopeId, range: KeyRange, last: () => Promise<ListPage | undefined>): Promise<ListPage> {
		try {
			const asked = this.#users.ask(scope);
			const page = await this.#remote.list(scope, range);
			return (await this.#users.known())?.listed(scope, range, asked, page) ?? page;
		} catch (error) {
			if (!isHoldfastError(error, "unavailable") || !this.#network.isAway) throw error;
			const known = await last();
			if (known === undefined) throw noNetwork(scope);
			return known;
		}
	}

	/** What the server answers; where it says nothing for the grace, what is known instead, if it is. `drop` is handed what comes too late. */
	#orKnown<T>(
		answering: Promise<T>,
		known: () => Promise<T | undefined>,
		drop: (late: T) => void = () => {},
	): Promise<T> {
		const { promise, resolve, reject } = Promise.withResolvers<T>();
		let taken = false;
		const take = (answer: T): void => {
			if (taken) drop(answer);
			taken = true;
			resolve(answer);
		};
		const cancel = this.#network.whenMute(() => {
			known().then(
				(last) => last !== undefined && take(last),
				() => {},
			);
		});
		answering.then(take, reject).finally(cancel);
		return promise;
	}

	async #lastKnown(ask: ReadAsk): Promise<ReadAnswer | undefined> {
		const view = await this.#users.known();
		const answer = await view?.lastKnown(ask);
		if (view !== undefined && answer !== undefined)
			this.#remote.parts.status.known(view.copy.of(ask.scope).at);
		return answer;
	}

	#ask(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const known = asks.map(({ scope }) => this.#users.ask(scope));
		const answers = this.#remote.read(asks.map((one) => this.#users.view?.ask(one) ?? one));
		return asks.map((one, i) =>
			this.#orKnown(this.#shown(one, known[i] as Asked, answers[i] as Promise<ReadAnswer | Failure>), () =>
				this.#lastKnown(one),
			),
		);
	}

	async #readMute(one: ReadAsk): Promise<ReadAnswer | Failure> {
		const known = await this.#lastKnown(one);
		if (known === undefined && this.#network.isConnected)
			return this.#ask([one])[0] as Promise<ReadAnswer | Failure>;
		this.#network.probe(one.scope);
		return known ?? refusedBy(noNetwork(one.scope));
	}

	/** The answer to a read, with what waits over it; what was known last where the server is out of reach. */
	async #shown(
		one: ReadAsk,
		asked: Asked,
		answering: Promise<ReadAnswer | Failure>,
	): Promise<ReadAnswer | Failure> {
		const answer = await answering;
		if (!("failed" in answer)) {
			this.#users.offset = answer.now - this.#remote.parts.clock.now();
			return (await this.#users.known())?.answered(one, asked, answer) ?? answer;
		}
		if (answer.failed !== "unavailable" || !this.#network.isAway) return answer;
		return (await this.#lastKnown(one)) ?? refusedBy(noNetwork(one.scope));
	}
}
