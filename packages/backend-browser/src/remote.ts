/** A server's scopes as a backend: the contract over HTTP, so that a page uses them as its own. */
import {
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
import type { OfflineQueue } from "./offline.js";
import type { RemoteBackend, RemoteInside, RemoteParts } from "./remote-backend.js";
import { Calls } from "./remote-calls.js";
import { Commits } from "./remote-commits.js";
import { Identity } from "./remote-identity.js";
import { Link } from "./remote-link.js";
import { type Page, thisPage } from "./remote-page.js";
import { Reads } from "./remote-reads.js";
import { LiveStatus } from "./remote-status.js";

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
	/**
	 * Called when another user has logged in, or this one has logged out of the device: what was known of the last one's state is gone, also from mirrors.
	 */
	readonly onIdentityChange?: () => void;
	/** Time, for tests. Default: the machine's. */
	readonly clock?: Clock;
	/** Random numbers from 0 up to 1, for tests. Default `Math.random`. */
	readonly random?: () => number;
	/** What the page tells about itself, for tests. Default: this page. */
	readonly page?: Page;
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
export const remote = (options: RemoteOptions): RemoteBackend => {
	const made = new LiveRemote(options);
	return options.offline?.attach(made) ?? made;
};

function absolute(url: string | URL): string {
	const { href } = globalThis.location ?? {};
	if (!URL.canParse(url, href))
		throw new HoldfastError(
			"invalid-argument",
			`url is ${JSON.stringify(String(url))}: give an absolute one outside of a page`,
		);
	return new URL(url, href).href.replace(/\/$/, "");
}

class LiveRemote implements RemoteInside {
	readonly name = "remote";
	readonly traits = { reach: "network", durable: true } as const;
	readonly status: LiveStatus;
	readonly parts: RemoteParts;
	readonly #link: Link;

	constructor(options: RemoteOptions) {
		const { headers, credentials = "same-origin", clock = systemClock } = options;
		const { random = Math.random, page = thisPage } = options;
		const url = absolute(options.url);
		const answerWithin = parseDuration(options.answerWithin ?? 10_000, "answerWithin");
		const shared = headers === undefined;
		this.status = new LiveStatus(clock);
		const { status } = this;
		const identity = new Identity(page, url, shared, () => {
			this.#link.forget(new HoldfastError("identity-changed", "another user has logged in"));
			options.onIdentityChange?.();
		});
		const calls = new Calls({
			url,
			headers: headers ?? (() => ({})),
			// Looked up at each call, since what instruments a page replaces it; and a browser refuses to call it as a method.
			fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
			credentials,
			clock,
			answerWithin,
			identity,
			status,
		});
		const reads = new Reads(calls, (scope) => this.#link.watches.granted(scope));
		const commits = new Commits({ calls, reads, clock, page, identity, status });
		this.parts = { url, calls, reads, commits, clock, random, page, identity, status, answerWithin, shared };
		this.#link = new Link(this.parts);
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		return this.parts.reads.read(asks);
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		return this.parts.commits.commit(batches);
	}

	async list(scope: ScopeId, range: KeyRange): Promise<ListPage> {
		const body = JSON.stringify({ s: scope, range });
		return decodeListPage(await this.parts.calls.ask<ListResponse>("list", body));
	}

	async log(scope: ScopeId, after: Cursor, query: LogQuery): Promise<LogPage> {
		const body = JSON.stringify({ s: scope, after, query });
		const answer = await this.parts.calls.ask<LogResponse>("log", body);
		this.#link.watches.granted(scope);
		return decodeLogPage(answer);
	}

	async watch(scope: ScopeId, listener: (signal: Signal) => void, patient?: boolean): Promise<Unwatch> {
		if (this.#link.watches.isDenied(scope)) {
			// A stream is for all scopes: it is not opened anew for one that is still denied.
			const answer = await (this.read([{ scope, keys: [] }])[0] as Promise<ReadAnswer | Failure>);
			if ("failed" in answer)
				throw isHoldfastError(answer.cause) ? answer.cause : new HoldfastError("unavailable", answer.message);
		}
		return this.#link.watch(scope, listener, patient);
	}

	async scopes(range: ScopeRange): Promise<ScopePage> {
		const body = JSON.stringify({ range });
		return decodeScopePage(await this.parts.calls.ask<ScopesResponse>("scopes", body));
	}

	async drop(scope: ScopeId): Promise<void> {
		await this.parts.calls.post<DropResponse>("drop", JSON.stringify({ s: scope }));
	}

	async close(): Promise<void> {
		this.#link.close();
		this.parts.calls.close();
		this.parts.identity.close();
	}
}
