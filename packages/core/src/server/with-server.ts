/** For tests: a handler behind Node's http on a free port, and pages that talk to it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test as base, vi } from "vitest";
import { createStateManager, type ManagerOptions } from "../manager.js";
import { memory } from "../memory.js";
import { EventSplitter } from "../wire/event-stream.js";
import { paths, type Route, type StreamMessage, type WireMutation } from "../wire/messages.js";
import { createStateHandler, type StateHandler, type StateHandlerOptions } from "./handler.js";
import { nodeHandler } from "./node-handler.js";
import type { Grant } from "./principal.js";

// Real sockets, on machines that have other things to do.
vi.setConfig({ testTimeout: 60_000 });

/** Of each user their own scope, of `shared` and `room` what everybody may: so says a header that stands for a login. */
export const byBearer = (request: Request): Grant | null => {
	const [, user] = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
	if (user === undefined) return null;
	return {
		subject: user,
		can({ kind, id }) {
			if (user === "root") return "admin";
			if (kind === "shared") return user === "guest" ? "read" : "write";
			return kind === "user" && id === user ? "write" : "none";
		},
	};
};

/** A stream as a page hears it. */
export class Heard {
	readonly messages: StreamMessage[] = [];
	readonly headers: Headers;
	/** Resolves when the stream has ended, whichever way. */
	readonly ended: Promise<void>;
	readonly #controller: AbortController;

	constructor(response: Response, controller: AbortController) {
		this.headers = response.headers;
		this.#controller = controller;
		this.ended = this.#hear(response.body as ReadableStream<Uint8Array>).catch(() => {});
	}

	/** Waits for a message. */
	async told<T extends StreamMessage["t"]>(
		type: T,
		fits: (message: Extract<StreamMessage, { t: T }>) => boolean = () => true,
	): Promise<Extract<StreamMessage, { t: T }>> {
		return vi.waitFor(
			() => {
				for (const message of this.messages)
					if (message.t === type && fits(message as never)) return message as never;
				throw new Error(`no ${type} among ${JSON.stringify(this.messages.map(({ t }) => t))}`);
			},
			{ timeout: 20_000, interval: 5 },
		);
	}

	/** All records of a scope, as they came. */
	records(scope: string): readonly number[] {
		return this.messages.flatMap((message) =>
			message.t === "r" && message.s === scope ? message.records.map(({ r }) => r) : [],
		);
	}

	stop(): void {
		this.#controller.abort();
	}

	async #hear(body: ReadableStream<Uint8Array>): Promise<void> {
		const splitter = new EventSplitter((message) => this.messages.push(message));
		const decoder = new TextDecoder();
		for await (const bytes of body as unknown as AsyncIterable<Uint8Array>)
			splitter.push(decoder.decode(bytes, { stream: true }));
	}
}

/** A page of one user. */
export class Page {
	readonly #url: string;
	readonly #headers: Record<string, string>;
	readonly #writer = crypto.randomUUID();
	#sequence = 0;

	constructor(url: string, user: string | undefined) {
		this.#url = url;
		this.#headers = user === undefined ? {} : { authorization: `Bearer ${user}` };
	}

	/** Sends anything. */
	send(route: Route, body: string, headers: Record<string, string> = {}): Promise<Response> {
		return fetch(this.#url + paths[route], {
			method: "POST",
			headers: { "content-type": "application/json", ...this.#headers, ...headers },
			body,
		});
	}

	/** Asks; answers the status and what was said. */
	// biome-ignore lint/suspicious/noExplicitAny: what a server says to an attacker has no type
	async ask(route: Route, body: unknown, headers: Record<string, string> = {}): Promise<any> {
		const response = await this.send(route, JSON.stringify(body), headers);
		return { status: response.status, ...(await response.json()) };
	}

	/** A batch of one commit. */
	batch(s: string, mutations: readonly WireMutation[], more: object = {}) {
		return {
			s,
			writer: this.#writer,
			sequence: ++this.#sequence,
			until: Date.now() + 30_000,
			floor: 0,
			step: 1,
			commits: [{ id: `${this.#writer}.${this.#sequence}`, do: mutations, ...more }],
		};
	}

	/** Commits, and answers how that one commit ended, or the failure. */
	// biome-ignore lint/suspicious/noExplicitAny: see above
	async commit(s: string, mutations: readonly unknown[], more: object = {}): Promise<any> {
		const answer = await this.ask("commit", { batches: [this.batch(s, mutations as never, more)] });
		const [batch] = answer.batches ?? [answer];
		return batch.outcomes?.[0] ?? batch;
	}

	/** Writes one value. */
	put(s: string, key: string, data: unknown) {
		return this.commit(s, [{ op: "put", key, value: JSON.stringify(data), ttl: null }]);
	}

	/** Opens a stream. */
	async stream(
		subs: readonly { s: string; c?: number }[],
		more: { once?: boolean } = {},
		headers: Record<string, string> = {},
	): Promise<Heard> {
		const controller = new AbortController();
		const response = await fetch(this.#url + paths.stream, {
			method: "POST",
			headers: { "content-type": "application/json", ...this.#headers, ...headers },
			body: JSON.stringify({ subs, ...more }),
			signal: controller.signal,
		});
		if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
		return new Heard(response, controller);
	}
}

/** Listens on a free port of this machine. */
export async function listen(server: Server): Promise<string> {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Ends a server with all its connections. */
export async function shut(server: Server): Promise<void> {
	server.closeAllConnections();
	await new Promise((resolve) => server.close(resolve));
}

/** A manager with a handler on a port. */
export interface Served {
	readonly url: string;
	// biome-ignore lint/suspicious/noExplicitAny: of any state definition
	readonly manager: any;
	readonly handler: StateHandler;
	readonly server: Server;
	page(user?: string): Page;
}

/** What a served manager is made of. */
export interface Serving {
	readonly manager?: Partial<ManagerOptions>;
	readonly handler?: Partial<StateHandlerOptions>;
}

/** Tests with a function that serves a manager, and ends it after the test. */
export const test = base.extend<{ serve: (serving?: Serving) => Promise<Served> }>({
	// biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern
	serve: async ({}, use) => {
		const ends: (() => Promise<unknown>)[] = [];
		await use(async ({ manager: given, handler: options } = {}) => {
			const manager = createStateManager({ backend: memory(), namespace: "app", ...given });
			const handler = createStateHandler(manager, { authorize: byBearer, ...options });
			// An idle connection that ends just as the next request is sent would be nobody's fault: a loaded machine may take long between two.
			const server = createServer({ keepAliveTimeout: 0 }, nodeHandler(handler));
			const url = await listen(server);
			ends.push(
				() => handler.close(),
				() => shut(server),
				() => manager.close(),
			);
			return { url, manager, handler, server, page: (user) => new Page(url, user) };
		});
		for (const end of ends) await end();
	},
});
