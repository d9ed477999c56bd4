/** A server's scopes as a backend: the contract over HTTP, so that a page uses them as its own. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Clock,
	type Cursor,
	type Duration,
	type Failure,
	HoldfastError,
	isHoldfastError,
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
	type Signal,
	systemClock,
	type Unwatch,
} from "@holdfast/core";
import {
	type DropResponse,
	decodeListPage,
	decodeLogPage,
	decodeScopePage,
	type ListResponse,
	type LogResponse,
	type ScopesResponse,
} from "@holdfast/core/wire";
import type { AttachedQueue, OfflineQueue } from "./offline.js";
import { Calls } from "./remote-calls.js";
import { Commits } from "./remote-commits.js";
import { Identity } from "./remote-identity.js";
import { Link } from "./remote-link.js";
import { type Page, thisPage } from "./remote-page.js";
import { Reads } from "./remote-reads.js";
import { LiveStatus, type RemoteStatus } from "./remote-status.js";

/** Options of {@link remote}. */
export interface RemoteOptions {
	/** Where the server's handler is mounted: absolute, or relative to the page. */
	readonly url: string | URL;
	/**
	 * The headers of each request, such as a token: called anew every time. A page with a session cookie needs none; with headers, each tab may
	 * be a user of its own.
	 */
	readonly headers?: () => HeadersInit | Promise<HeadersInit>;
	/** Whether cookies go along to a server of another origin, which has to trust this one: `include`. Default `same-origin`. */
	readonly credentials?: RequestCredentials;
	/** Keeps deferred writes while there is no network, see `offlineQueue`. Default: nothing is kept. */
	readonly offline?: OfflineQueue;
	/** Another `fetch`. Default: the global one. */
	readonly fetch?: typeof fetch;
	/** How long the server may take to answer. Default 10 s. */
	readonly answerWithin?: Duration;
	/** Called when another user has logged in: what was known of the last one's state is gone, also from mirrors. */
	readonly onIdentityChange?: () => void;
	/** Time, for tests. Default: the machine's. */
	readonly clock?: Clock;
	/** Random numbers from 0 up to 1, for tests. Default `Math.random`. */
	readonly random?: () => number;
	/** What the page tells about itself, for tests. Default: this page. */
	readonly page?: Page;
}

/** What {@link remote} makes. */
export interface RemoteBackend extends Backend {
	/** How the connection is. */
	readonly status: RemoteStatus;
}

/**
 * The scopes of a server, see `@holdfast/core/server`, for a page, a worker or another server. Nothing connects before the first use.
 *
 * @throws HoldfastError `invalid-argument` where the URL can't be one.
 *
 * @example
 * ```ts
 * const manager = createStateManager({ backend: remote({ url: "/state" }) });
 * const positions = manager.shared.mirror("positions/*");
 * ```
 */
export const remote = (options: RemoteOptions): RemoteBackend => new LiveRemote(options);

function absolute(url: string | URL): string {
	const { href } = globalThis.location ?? {};
	if (!URL.canParse(url, href))
		throw new HoldfastError(
			"invalid-argument",
			`the url ${JSON.stringify(String(url))} is none: give an absolute one outside of a page`,
		);
	return new URL(url, href).href.replace(/\/$/, "");
}

class LiveRemote implements RemoteBackend {
	readonly name = "remote";
	readonly traits = { reach: "network", durable: true } as const;
	readonly status: LiveStatus;
	readonly #identity: Identity;
	readonly #calls: Calls;
	readonly #link: Link;
	readonly #reads: Reads;
	readonly #commits: Commits;
	readonly #offline: AttachedQueue | undefined;

	constructor(options: RemoteOptions) {
		const { headers, clock = systemClock, random = Math.random, page = thisPage } = options;
		const url = absolute(options.url);
		const answerWithin = parseDuration(options.answerWithin ?? 10_000, "answerWithin");
		this.status = new LiveStatus(clock);
		const { status } = this;
		this.#identity = new Identity(page, url, headers === undefined, () => {
			this.#link.forget(new HoldfastError("identity-changed", "another user has logged in"));
			options.onIdentityChange?.();
		});
		const identity = this.#identity;
		this.#calls = new Calls({
			url,
			headers: headers ?? (() => ({})),
			// Looked up at each call, since what instruments a page replaces it; and a browser refuses to call it as a method.
			fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
			credentials: options.credentials ?? "same-origin",
			clock,
			answerWithin,
			identity,
			status,
		});
		const calls = this.#calls;
		this.#link = new Link({ url, calls, clock, random, page, identity, status, answerWithin });
		this.#reads = new Reads(calls, (scope) => this.#link.granted(scope));
		this.#commits = new Commits({ calls, reads: this.#reads, clock, page, identity, status });
		this.#offline = options.offline?.attach({
			url,
			calls,
			reads: this.#reads,
			clock,
			page,
			identity,
			status,
			random,
			shared: headers === undefined,
			answerWithin,
		});
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const ask = (asked: readonly ReadAsk[]) => this.#reads.read(asked);
		return this.#offline?.read(asks, ask) ?? ask(asks);
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		const send = (sent: readonly Batch[]) => this.#commits.commit(sent);
		return this.#offline?.commit(batches, send) ?? send(batches);
	}

	async list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		const ask = async (): Promise<ListPage> => {
			const body = JSON.stringify({ s: scope, range });
			return decodeListPage(await this.#calls.ask<ListResponse>("list", body));
		};
		return this.#offline?.list(scope, range, ask) ?? ask();
	}

	async log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		const ask = async (): Promise<LogPage> => {
			const body = JSON.stringify({ s: scope, after, query });
			const answer = await this.#calls.ask<LogResponse>("log", body);
			this.#link.granted(scope);
			return decodeLogPage(answer);
		};
		return this.#offline?.log(scope, after, query, ask) ?? ask();
	}

	async watch(scope: ScopeId, listener: (signal: Signal) => void): Promise<Unwatch> {
		if (this.#link.isDenied(scope)) {
			// A stream is for all scopes: it is not opened anew for one that is still denied.
			const answer = await (this.#reads.read([{ scope, keys: [] }])[0] as Promise<ReadAnswer | Failure>);
			if ("failed" in answer)
				throw isHoldfastError(answer.cause) ? answer.cause : new HoldfastError("unavailable", answer.message);
		}
		const attach = (hear: typeof listener, patient?: boolean) => this.#link.watch(scope, hear, patient);
		return this.#offline?.watch(scope, listener, attach) ?? attach(listener);
	}

	async scopes(range: ScopeRange): Promise<ScopePage> {
		const body = JSON.stringify({ range });
		return decodeScopePage(await this.#calls.ask<ScopesResponse>("scopes", body));
	}

	async drop(scope: ScopeId): Promise<void> {
		await this.#calls.post<DropResponse>("drop", JSON.stringify({ s: scope }));
	}

	async close(): Promise<void> {
		this.#link.close();
		this.#calls.close();
		this.#identity.close();
		await this.#offline?.close();
	}
}
