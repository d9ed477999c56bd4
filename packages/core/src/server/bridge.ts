/** Requests of pages: whose they are, which call they make, and the streams that are open. */
import type { Backend } from "../backend.js";
import type { Cancel } from "../clock.js";
import { parseTtl } from "../duration.js";
import { HoldfastError, isHoldfastError } from "../error.js";
import { LiveManager, type ManagerParts, managerParts } from "../live-manager.js";
import { wholeNumber } from "../whole-number.js";
import { formatEvent } from "../wire/event-stream.js";
import { encodeError, statusOf } from "../wire/failure.js";
import {
	type ByeReason,
	type Envelope,
	linesType,
	type Route,
	type StreamRequest,
	userHeader,
} from "../wire/messages.js";
import { type BodyBounds, readJson, tooSlow } from "./body.js";
import { Calls } from "./calls.js";
import { askable, corsHeaders } from "./cross-site.js";
import type { StateHandlerOptions } from "./handler.js";
import { Hub } from "./hub.js";
import { PageStream } from "./page-stream.js";
import { checkGrant, Principal, tagOf } from "./principal.js";
import { Pulse } from "./pulse.js";
import { requests } from "./requests.js";
import { Several } from "./several.js";
import { type OpenSink, webSink } from "./sink.js";
import { WriterQuota } from "./writer-quota.js";

const encoder = new TextEncoder();

const always = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

// No middleware may compress it (RFC 9111, 5.2.2.6), and no proxy may wait for more of it.
const unbuffered = { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" };

const streamHeaders = { ...always, ...unbuffered, "content-type": "text/event-stream; charset=utf-8" };

/** How long a client stays away at least, in ms. */
const pauses: Record<ByeReason, number> = {
	lifetime: 20,
	once: 20,
	revoked: 50,
	slow: 100,
	closing: 500,
	crowded: 5000,
};

const isManager = (source: LiveManager | Backend): source is LiveManager => managerParts in source;

const routeOf = (pathname: string): Route | undefined => {
	const name = /\/v1\/([a-z]+)$/.exec(pathname)?.[1] ?? "";
	return Object.hasOwn(requests, name) ? (name as Route) : undefined;
};

const wantsLines = ({ headers }: Request): boolean => headers.get("accept")?.includes(linesType) === true;

const count = (name: string, given: number | undefined, usual: number): number =>
	wholeNumber(`limits.${name}`, given ?? usual, 1);

/** A handler at work. */
export class Bridge {
	readonly #parts: ManagerParts;
	/** Made here for a backend that was given, so that it is closed with the handler. */
	readonly #own: LiveManager | undefined;
	readonly #authorize: StateHandlerOptions["authorize"];
	readonly #origins: ReadonlySet<string>;
	readonly #namespace: string | undefined;
	readonly #times: { readonly heartbeat: number; readonly lifetime: number; readonly regrant: number };
	readonly #limits: BodyBounds & { readonly [L in "bufferBytes" | "subscriptions" | "streams"]: number };
	readonly #calls: Calls;
	readonly #pulse: Pulse;
	readonly #hubs = new Map<string, Hub>();
	/** The open streams of each subject, the oldest first. */
	readonly #streams = new Map<string, Set<PageStream>>();
	#beat: Cancel | undefined;
	#isClosed = false;

	constructor(source: LiveManager | Backend, options: StateHandlerOptions) {
		const { namespace, limits = {} } = options;
		if (typeof options.authorize !== "function")
			throw new HoldfastError("invalid-argument", "give authorize: nothing is granted without it");
		this.#authorize = options.authorize;
		this.#times = {
			heartbeat: parseTtl(options.heartbeat ?? "20s", "heartbeat"),
			lifetime: parseTtl(options.lifetime ?? "15m", "lifetime"),
			regrant: parseTtl(options.regrant ?? "1m", "regrant"),
		};
		this.#limits = {
			bodyBytes: count("bodyBytes", limits.bodyBytes, 5 * 2 ** 20),
			bodyWithin: parseTtl(limits.bodyWithin ?? "30s", "limits.bodyWithin"),
			bufferBytes: count("bufferBytes", limits.bufferBytes, 2 ** 20),
			subscriptions: count("subscriptions", limits.subscriptions, 10_000),
			streams: count("streams", limits.streams, 64),
		};
		const quota = new WriterQuota(count("writers", limits.writers, 64));
		const lockTtl = parseTtl(limits.lockTtl ?? "1m", "limits.lockTtl");
		const ttl = limits.ttl === undefined ? null : parseTtl(limits.ttl, "limits.ttl");
		this.#origins = new Set(options.origins ?? []);
		if (isManager(source)) {
			if (namespace !== undefined)
				throw new HoldfastError("invalid-argument", "leave namespace out: the manager has its own");
			this.#parts = source[managerParts];
			this.#namespace = this.#parts.namespace;
		} else {
			const all = namespace === "*";
			this.#own = new LiveManager({
				backend: source,
				...(namespace !== undefined && !all && { namespace }),
			});
			this.#parts = this.#own[managerParts];
			this.#namespace = all ? undefined : this.#parts.namespace;
		}
		const { state, kind, bounds, store } = this.#parts;
		this.#calls = new Calls(this.#parts, { state, kind, bounds, codec: store.codec, lockTtl, ttl }, quota);
		this.#pulse = new Pulse(store.clock);
	}

	/** Answers a request; a stream as a web stream. */
	async answer(request: Request): Promise<Response> {
		let response: Response | undefined;
		const after = (ms: number, callback: () => void) => this.#parts.store.clock.after(ms, callback, true);
		const other = await this.serve(request, (headers, events) => {
			const { sink, body } = webSink(events, after);
			response = new Response(body, { headers });
			return sink;
		});
		return other ?? (response as Response);
	}

	/** Answers a request, but opens a sink for a stream. */
	async serve(request: Request, open: OpenSink): Promise<Response | undefined> {
		const cors = corsHeaders(request, this.#origins);
		const { method } = request;
		try {
			if (method === "OPTIONS") return new Response(null, { status: 204, headers: { ...always, ...cors } });
			const route = routeOf(new URL(request.url).pathname);
			if (route === undefined) return this.#plain(404, "there is no such route", cors);
			if (method !== "POST" && !(method === "GET" && route === "stream"))
				return this.#plain(405, "use POST", { ...cors, allow: route === "stream" ? "GET, POST" : "POST" });
			if (this.#isClosed) throw new HoldfastError("closed", "this server is closing: try another");
			const { clock } = this.#parts.store;
			const stale = clock.monotonic() + this.#times.regrant;
			let principal = await this.#principal(request);
			if (method === "GET") {
				this.#open(request, principal, fromQuery(request), open, cors);
				return undefined;
			}
			const body = requests[route](await readJson(request, this.#limits, clock), "request");
			// Who sends the body slowly may have logged out since.
			if (clock.monotonic() >= stale || (principal.expires ?? Number.POSITIVE_INFINITY) <= clock.now())
				principal = await this.#principal(request);
			if (route === "stream") {
				this.#open(request, principal, body as StreamRequest, open, cors);
				return undefined;
			}
			const answer = await this.#calls[route](principal, body as never);
			const envelope: Envelope = { user: principal.subject, origin: principal.tag };
			const headers = { ...always, ...cors };
			if (!(answer instanceof Several)) return Response.json({ ...envelope, ...answer }, { headers });
			const { store } = this.#parts;
			if (!wantsLines(request) || (await answer.areTogether((ms) => store.pause(ms))))
				return Response.json({ ...envelope, ...(await answer.all()) }, { headers });
			const sink = open(
				{ ...headers, ...unbuffered, "content-type": linesType },
				{ closed: () => {}, drained: () => {} },
			);
			await answer.write(envelope, sink);
			return undefined;
		} catch (error) {
			return this.#failed(error, cors);
		}
	}

	/** Ends the streams of a subject. */
	revoke(subject: string): void {
		for (const stream of [...(this.#streams.get(subject) ?? [])]) stream.bye("revoked");
	}

	/** Ends everything. */
	async close(): Promise<void> {
		this.#isClosed = true;
		for (const streams of [...this.#streams.values()])
			for (const stream of [...streams]) stream.bye("closing");
		for (const hub of [...this.#hubs.values()]) hub.stop();
		this.#pulse.stop();
		this.#beat?.();
		await this.#own?.close();
	}

	async #principal(request: Request): Promise<Principal> {
		const principal = await this.#ask(askable(request, this.#origins));
		const believed = request.headers.get(userHeader);
		if (believed !== null && believed !== encodeURIComponent(principal.subject))
			throw new HoldfastError(
				"identity-changed",
				"the page believes to be somebody else: let it load its state anew; nothing was written",
			);
		return principal;
	}

	async #ask(request: Request): Promise<Principal> {
		const grant = checkGrant(await this.#authorize(request));
		if (grant.expires !== undefined && grant.expires <= this.#parts.store.clock.now())
			throw new HoldfastError("unauthenticated", "the grant has ended: log in");
		return new Principal(grant, await tagOf(grant.subject), this.#namespace);
	}

	#open(
		request: Request,
		principal: Principal,
		wanted: StreamRequest,
		open: OpenSink,
		cors: Readonly<Record<string, string>>,
	): void {
		const { subscriptions, streams: most, bufferBytes } = this.#limits;
		if (wanted.subs.length > subscriptions)
			throw new HoldfastError(
				"too-large",
				`a stream tells ${subscriptions} scopes at most, not ${wanted.subs.length}`,
			);
		// While authorize was asked, the handler may have been closed.
		if (this.#isClosed) throw new HoldfastError("closed", "this server is closing: try another");
		const { store } = this.#parts;
		// The body is read already: what is asked again is asked of the headers.
		const again = askable(request, this.#origins);
		const streams = this.#streams.get(principal.subject) ?? new Set();
		this.#streams.set(principal.subject, streams);
		const stream = new PageStream(principal, {
			store,
			hub: (scope) => this.#hub(scope),
			bufferBytes,
			...this.#times,
			lifetime: this.#times.lifetime * (0.9 + store.random() * 0.2),
			authorize: async () => {
				try {
					return await this.#ask(again.clone());
				} catch (error) {
					if (!isHoldfastError(error)) store.report(error, "authorize failed");
					return undefined;
				}
			},
			// Those who were sent away together should not come back together.
			retry: (why) => Math.round(pauses[why] * (1 + 3 * store.random())),
			ended: (ended) => {
				streams.delete(ended);
				if (streams.size === 0 && this.#streams.get(ended.subject) === streams)
					this.#streams.delete(ended.subject);
			},
		});
		const [oldest] = streams;
		if (streams.size >= most) oldest?.bye("crowded");
		streams.add(stream);
		const sink = open(
			{ ...streamHeaders, ...cors },
			{ closed: () => stream.stop(), drained: () => stream.drained() },
		);
		stream.start(sink, wanted);
		this.#beatLater();
	}

	/** One heartbeat for all, encoded once. */
	#beatLater(): void {
		const { clock } = this.#parts.store;
		this.#beat ??= clock.after(
			this.#times.heartbeat,
			() => {
				this.#beat = undefined;
				if (this.#streams.size === 0) return;
				const bytes = encoder.encode(formatEvent({ t: "hb", now: this.#parts.store.now() }));
				for (const streams of [...this.#streams.values()])
					for (const stream of [...streams]) stream.send(bytes);
				this.#beatLater();
			},
			true,
		);
	}

	#hub(scope: string): Hub {
		const known = this.#hubs.get(scope);
		if (known !== undefined) return known;
		const hub = new Hub(scope, this.#parts, this.#pulse, () => {
			if (this.#hubs.get(scope) === hub) this.#hubs.delete(scope);
		});
		this.#hubs.set(scope, hub);
		hub.start();
		return hub;
	}

	#failed(error: unknown, cors: Readonly<Record<string, string>>): Response {
		if (!isHoldfastError(error)) {
			// What went wrong inside is for the server's own log.
			this.#parts.store.report(error, "a request failed");
			return this.#plain(500, "the server failed, its log says why", cors);
		}
		const headers: Record<string, string> = { ...always, ...cors };
		// RFC 9110 demands a challenge; there is none that a browser should answer by a dialog.
		if (error.code === "unauthenticated") headers["www-authenticate"] = "Holdfast";
		if (error.code === "busy" || error.code === "closed") headers["retry-after"] = "1";
		return Response.json(
			{ error: encodeError(error) },
			{ status: error === tooSlow ? 408 : statusOf(error.code), headers },
		);
	}

	#plain(status: number, message: string, headers: Readonly<Record<string, string>>): Response {
		const code = status === 500 ? "failed" : "invalid-argument";
		return Response.json({ error: { code, message } }, { status, headers: { ...always, ...headers } });
	}
}

/** A stream of one scope, as curl and EventSource ask for it. */
function fromQuery({ url, headers }: Request): StreamRequest {
	const { searchParams } = new URL(url);
	const cursor = headers.get("last-event-id") ?? searchParams.get("c");
	const c = cursor === null || !/^\d{1,16}$/.test(cursor) ? undefined : Number(cursor);
	const sub = { s: searchParams.get("s"), ...(c !== undefined && { c }) };
	return requests.stream({ subs: [sub] }, "request");
}
