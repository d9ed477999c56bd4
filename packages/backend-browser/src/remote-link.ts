/**
 * What a page hears of its scopes: one stream for all of them, a new one from the same cursors where scopes come or go or the old one
 * broke. The server keeps nothing of a stream that another one needs, so any server will do.
 */
import { type Cancel, HoldfastError, type ScopeId, type Signal, type Unwatch } from "@holdfast/core";
import { decodeError, type StreamMessage, unpackRecords } from "@holdfast/core/wire";
import type { Identity } from "./remote-identity.js";
import type { Page, PageNews } from "./remote-page.js";
import { Slot } from "./remote-slot.js";
import type { LiveStatus } from "./remote-status.js";
import { Stream, type StreamParts, type StreamReader } from "./remote-stream.js";
import { unreached, Watches, watchEnded } from "./remote-watches.js";

/** How long scopes that come and go are gathered before a stream is opened, in ms. */
const gatherFor = 20;

/** How often a page without a stream of its own asks, in ms. */
const pollEvery = 2000;

/** How long a hidden page keeps its stream, in ms. */
const hiddenFor = 60_000;

/** How long a stream may be away before who listens is told, in ms: most are back at once. */
const graceFor = 1000;

/** The first and the longest pause before another try, in ms. */
const pauses = { first: 100, longest: 20_000 } as const;

/** What a link works with. */
export interface LinkParts extends StreamParts {
	readonly url: string;
	readonly random: () => number;
	readonly page: Page;
	readonly identity: Identity;
	readonly status: LiveStatus;
}

/** The streams of one backend: at most one that is heard, and one that is being opened to take its place. */
export class Link implements StreamReader {
	readonly #parts: LinkParts;
	/** What is watched. */
	readonly watches: Watches;
	readonly #slot: Slot;
	#current: Stream | undefined;
	#next: Stream | undefined;
	/** Whether scopes have come or gone, or a gap was found, since a stream was last asked for. */
	#wanted = false;
	#opening = false;
	#timer: Cancel | undefined;
	#grace: Cancel | undefined;
	#hiding: Cancel | undefined;
	#resting = false;
	/** Whether a stream, or the last poll, told all that is watched. */
	#live = false;
	#failures = 0;
	#deaf: (() => void) | undefined;
	#closed = false;

	constructor(parts: LinkParts) {
		this.#parts = parts;
		this.watches = new Watches({
			...parts,
			changed: () => this.#change(),
		});
		this.#slot = new Slot(parts.page, parts.url);
	}

	/** Attaches a listener; resolves once the server tells what happens in the scope, where it is `patient` at once. */
	async watch(scope: ScopeId, listener: (signal: Signal) => void, patient = false): Promise<Unwatch> {
		if (this.#closed) throw watchEnded();
		this.#deaf ??= this.#listen();
		if (this.#resting) this.#wake();
		if (!this.#live) this.#parts.status.watched(false);
		return this.watches.add(scope, listener, patient);
	}

	/** The page is somebody else's: what was told was not for these eyes. */
	forget(error: HoldfastError): void {
		this.#end();
		this.watches.forget(error);
		this.#change();
	}

	/** Ends it all. */
	close(): void {
		this.#closed = true;
		this.#deaf?.();
		this.#hiding?.();
		this.#end();
		this.watches.close();
	}

	/** What is told is not what is wanted: a stream is opened soon, with whatever else is wanted by then. */
	#change(): void {
		if (this.#closed || this.#resting || this.#wanted) return;
		this.#wanted = true;
		// One that is being opened is waited for: scopes that come and go without end would never be told otherwise.
		if (this.#next === undefined && !this.#opening && this.#failures === 0)
			this.#openIn(this.#current === undefined && this.#timer === undefined ? 0 : gatherFor);
	}

	#openIn(ms: number, check = false): void {
		this.#timer?.();
		this.#timer = this.#parts.clock.after(ms, () => void this.#open(check));
	}

	async #open(check: boolean): Promise<void> {
		this.#timer?.();
		this.#timer = undefined;
		if (this.#opening || this.#closed || this.#resting) return;
		this.#opening = true;
		const slot = await this.#slot.take().catch(() => false);
		this.#opening = false;
		if (this.#closed || this.#resting) {
			this.#slot.release();
			return;
		}
		this.#wanted = false;
		this.#next?.abort();
		this.#next = undefined;
		if (this.watches.size === 0) {
			this.#end();
			return;
		}
		const subs = this.watches.subscriptions;
		this.#next = new Stream(slot ? { subs } : { subs, once: true }, check, this, this.#parts);
	}

	/** A stream says something. */
	message(stream: Stream, message: StreamMessage): void {
		const { status, identity } = this.#parts;
		status.heard();
		switch (message.t) {
			case "hello":
				identity.learn(message);
				return;
			case "bye":
				stream.bye = message;
				return;
			case "hb":
				return;
		}
		const watched = this.watches.get(message.s);
		if (message.t === "r") {
			watched?.take(unpackRecords(message.records));
			return;
		}
		if (message.t === "denied") this.watches.deny(message.s, decodeError(message.error));
		else {
			this.watches.told(message.s);
			watched?.[message.t](message.c);
		}
		stream.unanswered.delete(message.s);
		if (stream.unanswered.size === 0 && stream === this.#next) this.#promote(stream);
	}

	/** All scopes are told by the new stream: the old one has done its work. */
	#promote(stream: Stream): void {
		this.#current?.abort();
		this.#current = stream;
		this.#next = undefined;
		this.#failures = 0;
		this.#grace?.();
		this.#grace = undefined;
		this.#live = true;
		this.#parts.status.watched(true);
		if (this.#parts.page.hidden) this.#hide();
		if (this.#wanted) this.#openIn(gatherFor);
	}

	/** A stream says nothing. */
	silent(stream: Stream): void {
		if (stream === this.#next) {
			stream.abort();
			this.ended(stream, unreached());
		} else if (stream === this.#current) this.#check();
	}

	/** It may be that nothing comes any more: another stream finds out. */
	#check(): void {
		if (this.#current !== undefined && this.#next === undefined) void this.#open(true);
	}

	/** A stream is over. */
	ended(stream: Stream, error: HoldfastError | undefined): void {
		const { bye } = stream;
		if (stream === this.#next) this.#next = undefined;
		if (stream === this.#current || stream.check) {
			this.#current?.abort();
			this.#current = undefined;
		}
		if (stream.once && bye !== undefined) this.#openIn(this.#wanted ? gatherFor : pollEvery);
		else if (bye !== undefined) {
			if (this.#next === undefined) this.#openIn(bye.retry);
		} else {
			const failure = error ?? new HoldfastError("unavailable", "the server ended the stream");
			for (const scope of stream.unanswered) this.watches.get(scope)?.fail(failure);
			if (this.#next === undefined && !this.#opening) this.#retry();
		}
		if (this.#current === undefined && !(stream.once && bye !== undefined)) this.#waitThenTell();
	}

	#retry(): void {
		const { random } = this.#parts;
		const pause = Math.min(pauses.longest, pauses.first * 2 ** this.#failures++);
		if (this.watches.size > 0) this.#openIn(pause * (0.5 + random() / 2));
		else this.#failures = 0;
	}

	#waitThenTell(): void {
		this.#grace ??= this.#parts.clock.after(
			graceFor,
			() => {
				this.#parts.status.failed();
				this.#lost();
			},
			true,
		);
	}

	#lost(): void {
		this.#grace?.();
		this.#grace = undefined;
		this.#live = false;
		if (this.watches.size > 0) this.#parts.status.watched(false);
		this.watches.lost();
	}

	/** Lets go of the streams and of what is to open others. */
	#end(): void {
		for (const stream of [this.#current, this.#next]) stream?.abort();
		this.#current = undefined;
		this.#next = undefined;
		this.#wanted = false;
		this.#failures = 0;
		this.#timer?.();
		this.#timer = undefined;
		this.#grace?.();
		this.#grace = undefined;
		this.#slot.release();
		this.#live = false;
		this.#parts.status.watched(this.watches.size === 0);
	}

	#listen(): () => void {
		const { page, status } = this.#parts;
		let { online } = status;
		const deafen = page.listen((news) => this.#hear(news));
		const leave = status.subscribe(() => {
			const isBack = status.online && !online;
			online = status.online;
			// Another request was answered.
			if (isBack && this.#next === undefined) this.#hasten();
		});
		return () => {
			deafen();
			leave();
		};
	}

	/** The server may be reached again: what waits for its next try does not, and should that be too early, not for long. */
	#hasten(): void {
		if (this.#current !== undefined || this.watches.size === 0) return;
		this.#failures = 0;
		void this.#open(false);
	}

	#hear(news: PageNews): void {
		switch (news) {
			case "hidden":
				this.#hide();
				return;
			case "left":
				this.#rest();
				return;
			case "disconnected":
				this.#check();
				return;
			case "shown":
				this.#hiding?.();
				this.#hiding = undefined;
				break;
		}
		if (this.#resting) this.#wake();
		// Timers stood still, or the network was away: whether the stream still lives is not known.
		else if (this.#current !== undefined) {
			if (news === "connected" || this.#current.isQuiet) this.#check();
		}
		// A try that was begun without a network may hang for long.
		else if (news === "connected" || this.#next === undefined) this.#hasten();
	}

	#hide(): void {
		this.#hiding ??= this.#parts.clock.after(
			hiddenFor,
			() => {
				this.#hiding = undefined;
				if (this.#parts.page.hidden) this.#rest();
			},
			true,
		);
	}

	/** A page that nobody sees holds no connection; its cursors stay. */
	#rest(): void {
		if (this.watches.size === 0) return;
		this.#end();
		this.#resting = true;
		this.#lost();
	}

	#wake(): void {
		this.#resting = false;
		this.#change();
	}
}
