/** One stream of events from the server, read with fetch: EventSource can't set headers. */
import { type Cancel, type Clock, HoldfastError, isHoldfastError, type ScopeId } from "@holdfast/core";
import { EventSplitter, type StreamMessage, type StreamRequest } from "@holdfast/core/wire";
import type { Calls } from "./remote-calls.js";

/** How many characters may come without completing an event: a server that never ends one must not fill the page's memory. */
const largestEvent = 32 * 2 ** 20;

/** How many heartbeats may be missed. */
const silentBeats = 2.5;

/** Who reads a stream. */
export interface StreamReader {
	message(stream: Stream, message: StreamMessage): void;
	/** It said nothing for two and a half heartbeats, or nothing at all. */
	silent(stream: Stream): void;
	/** It is over, and why, unless it said so. Not called after an abort. */
	ended(stream: Stream, error: HoldfastError | undefined): void;
}

/** What a stream is opened with. */
export interface StreamParts {
	readonly calls: Calls;
	readonly clock: Clock;
	/** How long its first word may take, in ms. */
	readonly answerWithin: number;
}

/** A stream, from the request on. */
export class Stream {
	/** The scopes that it has not answered for. */
	readonly unanswered: Set<ScopeId>;
	/** Whether it tells what there is and ends. */
	readonly once: boolean;
	/** What is heard of another while this one is opened can't be relied on. */
	readonly check: boolean;
	/** The server's last word. */
	bye: { readonly retry: number } | undefined;
	readonly #parts: StreamParts;
	readonly #reader: StreamReader;
	readonly #controller = new AbortController();
	#heardAt: number;
	#quietFor: number;
	#watch: Cancel | undefined;

	constructor(request: StreamRequest, check: boolean, reader: StreamReader, parts: StreamParts) {
		this.unanswered = new Set(request.subs.map(({ s }) => s));
		this.once = request.once === true;
		this.check = check;
		this.#parts = parts;
		this.#reader = reader;
		this.#heardAt = parts.clock.monotonic();
		this.#quietFor = parts.answerWithin;
		this.#watchSilence(this.#quietFor);
		void this.#run(request);
	}

	/** Ends it; its reader hears nothing any more. */
	abort(): void {
		this.#watch?.();
		this.#controller.abort();
	}

	/** Whether a heartbeat is due, or more than that. */
	get isQuiet(): boolean {
		return this.#quiet * silentBeats > this.#quietFor;
	}

	get #quiet(): number {
		return this.#parts.clock.monotonic() - this.#heardAt;
	}

	async #run(request: StreamRequest): Promise<void> {
		const { calls } = this.#parts;
		const { signal } = this.#controller;
		let failure: HoldfastError | undefined;
		try {
			const body = await calls.stream(request, this.#controller);
			await this.#read(body.getReader());
		} catch (error) {
			failure = isHoldfastError(error)
				? error
				: new HoldfastError("unavailable", "the stream broke off", { cause: error });
		}
		calls.ended(this.#controller);
		this.#watch?.();
		if (!signal.aborted) this.#reader.ended(this, failure);
	}

	async #read(pieces: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
		const { signal } = this.#controller;
		const decoder = new TextDecoder();
		let open = 0;
		const splitter = new EventSplitter((message) => {
			open = 0;
			if (message.t === "hello") this.#quietFor = message.heartbeat * silentBeats;
			if (!signal.aborted) this.#reader.message(this, message);
		});
		for (;;) {
			const { done, value } = await pieces.read();
			if (done || signal.aborted) return;
			this.#heardAt = this.#parts.clock.monotonic();
			const text = decoder.decode(value, { stream: true });
			open += text.length;
			if (open > largestEvent) throw new RangeError("an event of the stream has no end");
			splitter.push(text);
		}
	}

	#watchSilence(ms: number): void {
		this.#watch = this.#parts.clock.after(
			ms,
			() => {
				const left = this.#quietFor - this.#quiet;
				if (left <= 0) this.#reader.silent(this);
				this.#watchSilence(left > 0 ? left : this.#quietFor);
			},
			true,
		);
	}
}
