/** Requests to the server, and what their failing says: whether they can have been carried out. */
import { type Clock, HoldfastError, isHoldfastError } from "@holdfast/core";
import {
	codeOf,
	decodeError,
	type Envelope,
	type ErrorResponse,
	LineSplitter,
	linesType,
	paths,
	type Route,
	type StreamRequest,
	severalIn,
	userHeader,
	type WireBatchAnswer,
	type WireFailure,
	type WireReadAnswer,
} from "@holdfast/core/wire";
import type { Identity } from "./remote-identity.js";
import type { LiveStatus } from "./remote-status.js";

/** What requests are made of. */
export interface CallParts {
	readonly url: string;
	readonly headers: () => HeadersInit | Promise<HeadersInit>;
	readonly fetch: typeof fetch;
	readonly credentials: RequestCredentials;
	readonly clock: Clock;
	/** How long an answer may take, in ms. */
	readonly answerWithin: number;
	readonly identity: Identity;
	readonly status: LiveStatus;
}

/** Node, where no connection could be made: nothing was sent. A browser does not tell. */
const notConnected = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/;

function wasSent(cause: unknown): boolean {
	const { code, errors } = ((cause as Error).cause ?? {}) as { code?: string; errors?: readonly object[] };
	// A name with several addresses fails with one error each.
	const codes = errors?.map((error) => (error as { code?: string }).code) ?? [code];
	return !codes.every((one) => one !== undefined && notConnected.test(one));
}

/** Takes one of several answers: what it says, and which of what was asked it is for. */
type TakeAnswer<A> = (answer: A | WireFailure, index: number) => void;

const late = new HoldfastError("timeout", "the server took too long to answer");

const unanswered = (cause: unknown): HoldfastError =>
	new HoldfastError("outcome-unknown", "the server did not answer", { cause });

/** The lines of a response, each parsed as it comes. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
	const pieces = body.getReader();
	const decoder = new TextDecoder();
	const lines = new LineSplitter();
	try {
		for (;;) {
			const { done, value } = await pieces.read().catch((cause: unknown) => {
				throw unanswered(cause);
			});
			if (done) return;
			for (const line of lines.push(decoder.decode(value, { stream: true }))) yield JSON.parse(line);
		}
	} finally {
		pieces.cancel().catch(() => {});
	}
}

/** The requests of one backend. */
export class Calls {
	readonly #parts: CallParts;
	readonly #running = new Set<AbortController>();
	#closed = false;

	constructor(parts: CallParts) {
		this.#parts = parts;
	}

	/**
	 * Asks for what changes nothing: whether it was carried out is of no interest.
	 *
	 * @throws HoldfastError `unavailable`, or what the server said.
	 */
	ask<T extends Envelope>(route: Route, body: string): Promise<T> {
		return this.#again(() => this.post<T>(route, body));
	}

	/** Several of what {@link Calls.ask} asks for; each answer is handed over as soon as it is there, at least once. */
	askEach(body: string, count: number, take: TakeAnswer<WireReadAnswer>): Promise<void> {
		return this.#again(() => this.#each("read", body, count, take));
	}

	/**
	 * Asks the server once and waits for its answer.
	 *
	 * @throws HoldfastError `unavailable` where it was certainly not carried out, `outcome-unknown` where that can't be told, or what the server said.
	 */
	post<T extends Envelope>(route: Route, body: string): Promise<T> {
		return this.#exchange(route, body, {}, async (response, learn) => {
			const answer = await this.#answer<T>(response);
			learn(answer);
			return answer;
		});
	}

	/** Several of what {@link Calls.post} asks for; each answer is handed over as soon as it is there. */
	postEach(body: string, count: number, take: TakeAnswer<WireBatchAnswer>): Promise<void> {
		return this.#each("commit", body, count, take);
	}

	/**
	 * Opens a stream; `controller` ends it.
	 *
	 * @throws HoldfastError as {@link Calls.post} does.
	 */
	async stream(request: StreamRequest, controller: AbortController): Promise<ReadableStream<Uint8Array>> {
		const response = await this.#send("stream", JSON.stringify(request), controller);
		const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
		if (response.ok && isStream && response.body !== null) return response.body;
		this.#running.delete(controller);
		await this.#answer(response);
		throw new HoldfastError("failed", "the server answered with something else than a stream");
	}

	/** A stream that was opened has ended. */
	ended(controller: AbortController): void {
		this.#running.delete(controller);
	}

	/** Gives up what runs. */
	close(): void {
		this.#closed = true;
		for (const controller of this.#running) controller.abort();
	}

	async #again<T>(once: () => Promise<T>): Promise<T> {
		try {
			return await once().catch((error: unknown) => {
				// A connection that was kept open may have ended before the request arrived: Node does not try another one. And a server that closes
				// has others beside it, or a balancer before it that will have noticed.
				if (
					isHoldfastError(error, "closed") ||
					(isHoldfastError(error, "outcome-unknown") && error.cause !== late)
				)
					return once();
				throw error;
			});
		} catch (error) {
			throw isHoldfastError(error, "outcome-unknown")
				? new HoldfastError("unavailable", error.message, { cause: error.cause })
				: error;
		}
	}

	#each<A>(route: keyof typeof severalIn, body: string, count: number, take: TakeAnswer<A>): Promise<void> {
		const accept: HeadersInit = count > 1 ? { accept: `${linesType}, application/json` } : {};
		return this.#exchange(route, body, accept, async (response, learn) => {
			let left = count;
			const isLines = response.headers.get("content-type")?.startsWith(linesType);
			if (!response.ok || !isLines || response.body === null) {
				const answer = await this.#answer<Envelope & Record<string, readonly (A | WireFailure)[]>>(response);
				learn(answer);
				for (const [i, one] of (answer[severalIn[route]] ?? []).entries()) {
					take(one, i);
					left--;
				}
			} else {
				let envelope: Envelope | undefined;
				for await (const line of linesOf(response.body)) {
					envelope ??= line as Envelope;
					learn(envelope);
					if (line === envelope) continue;
					const [i, answer] = line as [number, A | WireFailure];
					take(answer, i);
					left--;
				}
			}
			if (left > 0) throw unanswered(new Error("the answer broke off"));
		});
	}

	/** Sends a request and has its answer read, in time; `learn` is told whose it is. */
	async #exchange<T>(
		route: Route,
		body: string,
		more: HeadersInit,
		read: (response: Response, learn: (envelope: Envelope) => void) => Promise<T>,
	): Promise<T> {
		const { identity } = this.#parts;
		const { epoch } = identity;
		const controller = new AbortController();
		const tooLate = this.#parts.clock.after(this.#parts.answerWithin, () => controller.abort(late));
		try {
			return await read(await this.#send(route, body, controller, more), (envelope) => {
				if (identity.epoch === epoch) identity.learn(envelope);
				// Shown to whom we were: not for whom we are. What became of a commit is for who made it.
				else if (route !== "commit") throw identityChanged();
			});
		} finally {
			tooLate();
			this.#running.delete(controller);
		}
	}

	async #send(
		route: Route,
		body: string,
		controller: AbortController,
		more: HeadersInit = {},
	): Promise<Response> {
		const { url, fetch, headers, credentials, identity, status } = this.#parts;
		if (this.#closed) throw new HoldfastError("unavailable", "the backend is closed");
		if (identity.left) throw loggedOut();
		this.#running.add(controller);
		// As whom it is asked, before anything is waited for: should somebody else log in meanwhile, the server refuses it.
		const { user } = identity;
		let sent: Headers;
		try {
			sent = new Headers(await headers());
		} catch (cause) {
			throw new HoldfastError("unavailable", "the headers could not be made: nothing was sent", { cause });
		}
		for (const [name, value] of new Headers(more)) sent.set(name, value);
		sent.set("content-type", "application/json");
		if (user !== undefined) sent.set(userHeader, encodeURIComponent(user));
		const { signal } = controller;
		try {
			signal.throwIfAborted();
		} catch (cause) {
			throw new HoldfastError("unavailable", "it was given up before it was sent", { cause });
		}
		try {
			const response = await fetch(url + paths[route], {
				method: "POST",
				headers: sent,
				body,
				signal,
				credentials,
			});
			status.heard();
			return response;
		} catch (cause) {
			// Who gives it up says nothing about the server.
			if (!signal.aborted || signal.reason === late) status.failed();
			if (wasSent(cause)) throw unanswered(cause);
			throw new HoldfastError("unavailable", "the server is out of reach: nothing was sent", { cause });
		}
	}

	async #answer<T extends Envelope>(response: Response): Promise<T> {
		let body: T | ErrorResponse;
		try {
			body = (await response.json()) as T | ErrorResponse;
		} catch (cause) {
			// What stands between answered for the server: a proxy without it, or a page to log in at.
			if (response.ok || response.status >= 500) throw unanswered(cause);
			throw new HoldfastError(codeOf(response.status), `the server answered ${response.status}`, { cause });
		}
		if (response.ok) return body as T;
		const told = (body as Partial<ErrorResponse>).error;
		if (told === undefined) throw unanswered(new Error(`the server answered ${response.status}`));
		const error = decodeError(told);
		if (error.code === "identity-changed") this.#parts.identity.changed();
		// An error that the server has no word for may have come after the work.
		throw error.code === "failed" && response.status >= 500 ? unanswered(error) : error;
	}
}

const loggedOut = (): HoldfastError =>
	new HoldfastError("unauthenticated", "the user has logged out of this device: load the page anew");

const identityChanged = (): HoldfastError =>
	new HoldfastError("identity-changed", "another user logged in meanwhile: nothing was handed over");
