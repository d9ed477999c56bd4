/** A server of state for tests: the real handler behind Node's http, on a port of its own, that can be stopped and started again. */
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { createSecureServer, type Http2SecureServer, type Http2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Backend, StateManager } from "@holdfast/core";
import {
	createStateHandler,
	nodeHandler,
	type StateHandler,
	type StateHandlerOptions,
} from "@holdfast/core/server";
import { paths } from "@holdfast/core/wire";

/** Grants everything to whoever asks. */
export const admin: StateHandlerOptions = {
	authorize: () => ({ subject: "admin", can: () => "admin" }),
	namespace: "*",
};

let servers = 0;

/** A loopback address of a server's own: while it is down nobody else is given its port. Only Linux answers at all of them. */
function ownAddress(): string {
	if (process.platform !== "linux") return "127.0.0.1";
	const number = process.pid * 256 + (servers++ % 256);
	return [127, 1 + ((number >>> 16) % 254), (number >>> 8) & 255, number & 255].join(".");
}

/** What a server speaks HTTP/2 with: browsers do so over TLS alone. */
export interface Secure {
	readonly cert: Buffer;
	readonly key: Buffer;
}

/** A server over a store that outlives it. */
export class StateServer {
	/** Requests by their path. */
	readonly asked = new Map<string, number>();
	/** Streams that are open. */
	streams = 0;
	/** Where it listens. */
	readonly host = ownAddress();
	readonly #store: Backend | StateManager;
	readonly #options: StateHandlerOptions;
	readonly #pages: RequestListener | undefined;
	readonly #secure: Secure | undefined;
	readonly #sessions = new Set<Http2Session>();
	#port = 0;
	#server: Server | Http2SecureServer | undefined;
	#handler: StateHandler | undefined;

	private constructor(
		store: Backend | StateManager,
		options: StateHandlerOptions,
		pages: RequestListener | undefined,
		secure: Secure | undefined,
	) {
		this.#store = store;
		this.#options = options;
		this.#pages = pages;
		this.#secure = secure;
	}

	/** `pages` answers what is not below `/v1`; `secure`: over HTTP/2. */
	static async start(
		store: Backend | StateManager,
		options: StateHandlerOptions = admin,
		pages?: RequestListener,
		secure?: Secure,
	): Promise<StateServer> {
		const server = new StateServer(store, options, pages, secure);
		await server.run();
		return server;
	}

	get url(): string {
		return `${this.#secure === undefined ? "http" : "https"}://${this.host}:${this.#port}`;
	}

	get port(): number {
		return this.#port;
	}

	/** How many connections of HTTP/2 there are. */
	get sessions(): number {
		return this.#sessions.size;
	}

	/** How often a route was asked for. */
	count(route: string): number {
		return this.asked.get(`/v1/${route}`) ?? 0;
	}

	/** Ends the streams of a subject. */
	revoke(subject: string): void {
		this.#handler?.revoke(subject);
	}

	/** Listens, at the same address as before. */
	async run(): Promise<void> {
		this.#handler = createStateHandler(this.#store, this.#options);
		const answer = nodeHandler(this.#handler);
		const listener: RequestListener = (request, response) => {
			const path = request.url ?? "";
			if (!path.startsWith("/v1/")) {
				this.#pages?.(request, response);
				return;
			}
			this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
			if (path === paths.stream) {
				this.streams++;
				response.on("close", () => this.streams--);
			}
			answer(request, response);
		};
		this.#server =
			this.#secure === undefined ? createServer(listener) : this.#overHttp2(this.#secure, listener);
		this.#server.listen(this.#port, this.host);
		await once(this.#server, "listening");
		this.#port = (this.#server.address() as AddressInfo).port;
	}

	/** Ends as a process that is killed does: connections break in the middle of whatever it was. */
	async stop(): Promise<void> {
		const server = this.#server;
		if (server === undefined) return;
		this.#server = undefined;
		if ("closeAllConnections" in server) server.closeAllConnections();
		for (const session of this.#sessions) session.destroy();
		server.close();
		await once(server, "close");
		await this.#handler?.close();
	}

	#overHttp2(secure: Secure, listener: RequestListener): Http2SecureServer {
		// The compatible API: what listeners of both use is in both.
		const server = createSecureServer({ ...secure }, listener as never);
		server.on("session", (session) => {
			this.#sessions.add(session);
			session.on("close", () => this.#sessions.delete(session));
		});
		return server;
	}
}
