/** The server side of the bridge: a manager's scopes over HTTP, for pages that are trusted with nothing. */
import type { Backend } from "../backend.js";
import type { Duration } from "../duration.js";
import type { LiveManager } from "../live-manager.js";
import type { StateManager } from "../manager.js";
import type { StateShape, UntypedState } from "../state.js";
import { Bridge } from "./bridge.js";
import type { Grant } from "./principal.js";
import type { OpenSink } from "./sink.js";

/** The bounds of what pages may ask. */
export interface HandlerLimits {
	/** The most bytes of a request. Default 5 MiB: a commit at its limit fits in whatever way it is written. */
	readonly bodyBytes?: number;
	/** How long a request's body may take to come; then it is answered as 408 and nothing is done. Default `"30s"`. */
	readonly bodyWithin?: Duration;
	/**
	 * The most bytes that wait for a client that reads slowly, before its stream ends with `bye slow`. A record that is larger is let through by
	 * itself. Default 1 MiB.
	 */
	readonly bufferBytes?: number;
	/** The most scopes of one stream. Default 10,000. */
	readonly subscriptions?: number;
	/** The most streams of one subject on this server; the oldest gives way. Default 64. */
	readonly streams?: number;
	/** The most writers (managers in pages) of one subject within half a minute; more are `busy`. Default 64. */
	readonly writers?: number;
	/** The longest that a page's entry may live where neither its field nor its kind of scope has a ttl. Default: for ever. */
	readonly ttl?: Duration;
	/** The longest lease of a page's lock. Default `"1m"`. */
	readonly lockTtl?: Duration;
}

/** Options of {@link createStateHandler}. */
export interface StateHandlerOptions {
	/**
	 * Says who asks and what they may do; `null` where that is nobody. It sees the request without its body, and without a cookie that
	 * another site may have had sent along. Asked at every request, and again while a stream lives.
	 */
	authorize(request: Request): Grant | null | undefined | Promise<Grant | null | undefined>;
	/** Origins of pages beside the server's own whose cookies are believed, and who may read the answers: `https://app.example.com`. */
	readonly origins?: readonly string[];
	/**
	 * The namespace that is served where a backend is given; `"*"`: all, and `can` looks at which. Default `default`. With a manager it is
	 * the manager's.
	 */
	readonly namespace?: string;
	/** Between two heartbeats of a stream. Default `"20s"`. */
	readonly heartbeat?: Duration;
	/** How long a stream lives, give or take a tenth, before it is opened anew. Default `"15m"`. */
	readonly lifetime?: Duration;
	/**
	 * How often `authorize` is asked again while a stream lives, give or take a fifth; a stream ends where it does not answer within 10 s. Default
	 * `"1m"`.
	 */
	readonly regrant?: Duration;
	readonly limits?: HandlerLimits;
}

/** Answers the requests of pages; made by {@link createStateHandler}. */
export interface StateHandler {
	(request: Request): Promise<Response>;
	/**
	 * The same for an adapter that writes a stream by itself: `undefined` once it has opened the sink. `response.body` of all other answers is
	 * short.
	 */
	serve(request: Request, open: OpenSink): Promise<Response | undefined>;
	/**
	 * Ends a subject's streams on this server, because what is granted has changed, either way. Its pages ask again at once, also for what they
	 * were denied, and are told what `authorize` says then.
	 */
	revoke(subject: string): void;
	/** Ends all streams and refuses what comes; a manager that was given stays open. */
	close(): Promise<void>;
	[Symbol.asyncDispose](): Promise<void>;
}

/**
 * Makes a handler of a manager's scopes: a web-standard function for any server, by {@link nodeHandler} for Node's.
 *
 * Nothing is granted but by `authorize`. What a page writes is validated by the manager's own schema, bounded by its limits and timed by
 * the store's clock; the server supplies retention, origin and, in the metadata, the user.
 *
 * @throws HoldfastError `invalid-argument` where an option is malformed.
 *
 * @example
 * ```ts
 * const handler = createStateHandler(manager, {
 *   async authorize(request) {
 *     const user = await userOf(request);
 *     if (user === undefined) return null;
 *     return {
 *       subject: user,
 *       can({ kind, id }) {
 *         if (kind === "shared") return "read";
 *         return kind === "user" && id === user ? "write" : "none";
 *       },
 *     };
 *   },
 * });
 * app.all("/state/*", (c) => handler(c.req.raw)); // hono
 * ```
 */
export function createStateHandler<Shape extends StateShape = UntypedState>(
	source: StateManager<Shape> | Backend,
	options: StateHandlerOptions,
): StateHandler {
	const bridge = new Bridge(source as unknown as LiveManager | Backend, options);
	const handler = (request: Request): Promise<Response> => bridge.answer(request);
	const close = (): Promise<void> => bridge.close();
	return Object.assign(handler, {
		serve: (request: Request, open: OpenSink) => bridge.serve(request, open),
		revoke: (subject: string) => bridge.revoke(subject),
		close,
		[Symbol.asyncDispose]: close,
	});
}
