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
	resumes,
	type ScopeId,
	type Unwatch,
} from "@holdfast/core";
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
		return this.#network.isAway ? asks.map((one) => this.#readAway(one)) : this.#ask(asks);
	}

	/** As a backend's. */
	async list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		const last = await this.#lastListed(scope, range);
		if (last !== undefined) return last;
		if (!this.#network.isConnected) throw noNetwork(scope);
		try {
			const page = await this.#remote.list(scope, range);
			return (await this.#users.known())?.listed(scope, range, page) ?? page;
		} catch (error) {
			if (!isHoldfastError(error, "unavailable") || !this.#network.isAway) throw error;
			const kept = await this.#lastListed(scope, range);
			if (kept === undefined) throw noNetwork(scope);
			return kept;
		}
	}

	/** As a backend's. */
	async log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		const page = await this.#remote.log(scope, after, query);
		const view = await this.#users.known();
		if (view === undefined || query.of === "events" || query.newest === true) return page;
		if (!resumes(page, after, "changes")) {
			view.copy.of(scope).lost(after);
			return page;
		}
		return { ...page, records: view.records(scope, page.records) };
	}

	/** As a backend's. */
	async watch(scope: ScopeId, listener: Hear): Promise<Unwatch> {
		const { hear, leave } = this.#users.hear(scope, listener);
		const isKnown = async (): Promise<boolean> =>
			this.#network.isAway && (await this.#lastKnown({ scope, keys: [] })) !== undefined;
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

	async #lastListed(scope: ScopeId, range: KeyRange): Promise<ListPage | undefined> {
		if (!this.#network.isAway) return undefined;
		this.#network.probe(scope);
		return (await this.#users.known())?.lastListed(scope, range);
	}

	async #lastKnown(ask: ReadAsk): Promise<ReadAnswer | undefined> {
		const view = await this.#users.known();
		const answer = await view?.lastKnown(ask);
		if (view !== undefined && answer !== undefined)
			this.#remote.parts.status.known(view.copy.of(ask.scope).at);
		return answer;
	}

	#ask(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const answers = this.#remote.read(asks.map((one) => this.#users.view?.ask(one) ?? one));
		return asks.map((one, i) => this.#shown(one, answers[i] as Promise<ReadAnswer | Failure>));
	}

	async #readAway(one: ReadAsk): Promise<ReadAnswer | Failure> {
		const known = await this.#lastKnown(one);
		if (known === undefined && this.#network.isConnected)
			return this.#ask([one])[0] as Promise<ReadAnswer | Failure>;
		this.#network.probe(one.scope);
		return known ?? refusedBy(noNetwork(one.scope));
	}

	/** The answer to a read, with what waits over it; what was known last where the server is out of reach. */
	async #shown(asked: ReadAsk, answering: Promise<ReadAnswer | Failure>): Promise<ReadAnswer | Failure> {
		const answer = await answering;
		if (!("failed" in answer)) {
			this.#users.offset = answer.now - this.#remote.parts.clock.now();
			return (await this.#users.known())?.answered(asked, answer) ?? answer;
		}
		if (answer.failed !== "unavailable" || !this.#network.isAway) return answer;
		return (await this.#lastKnown(asked)) ?? refusedBy(noNetwork(asked.scope));
	}
}
