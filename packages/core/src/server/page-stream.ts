/** One open stream: the scopes of one page, until it goes, is too slow, or its grant ends. */
import type { Cursor, ScopeId } from "../backend.js";
import type { Cancel } from "../clock.js";
import type { Store } from "../store.js";
import { formatEvent } from "../wire/event-stream.js";
import { encodeError } from "../wire/failure.js";
import type { ByeReason, StreamMessage, StreamRequest } from "../wire/messages.js";
import type { Hub } from "./hub.js";
import { join } from "./joining.js";
import { denied, includes, type Principal } from "./principal.js";
import type { StreamSink } from "./sink.js";

/** How long a client may take to hear the end, in ms, before it is cut off: as long again as a slow link takes for what waits. */
const grace = 5000;

/** How much a slow link takes, in bytes a ms: who is cut off before a large record is whole comes back for it again and again. */
const slowLink = 32;

/** How long `authorize` may take to confirm a grant, in ms. */
const confirmWithin = 10_000;

/** The most bytes that a client which is behind is sent at once. */
const mostBytes = 262_144;

/** What a stream works with. */
export interface StreamParts {
	readonly store: Store;
	/** The hub of a scope; watch it in the same turn. */
	hub(scope: ScopeId): Hub;
	/** The most bytes that may wait for the client. */
	readonly bufferBytes: number;
	/** How long it lives, in ms. */
	readonly lifetime: number;
	/** How often its grant is asked for anew, in ms. */
	readonly regrant: number;
	/** Between heartbeats, in ms. */
	readonly heartbeat: number;
	/** Asks who it is now; `undefined` where the grant is gone. */
	authorize(): Promise<Principal | undefined>;
	/** How long the client shall stay away, in ms. */
	retry(why: ByeReason): number;
	ended(stream: PageStream): void;
}

interface Told {
	readonly stop: () => void;
	/** The cursor that it was told up to, if it were to be told by another stream. */
	readonly cursor: () => Cursor | undefined;
	isLive: boolean;
	isOver: boolean;
}

const encoder = new TextEncoder();

const encode = (message: StreamMessage): Uint8Array => encoder.encode(formatEvent(message));

/** A stream at work. */
export class PageStream {
	readonly subject: string;
	readonly #parts: StreamParts;
	readonly #scopes = new Map<ScopeId, Told>();
	/** What was asked for and is not granted, from its cursors: it is told as soon as it is granted. */
	readonly #denied = new Map<ScopeId, Cursor | undefined>();
	#principal: Principal;
	#sink: StreamSink | undefined;
	#isOver = false;
	#lifetime: Cancel | undefined;
	#expiry: Cancel | undefined;
	#regranting: Cancel | undefined;
	readonly #waiting: (() => void)[] = [];
	/** How many scopes are reading a page of their log. */
	#reading = 0;
	#unanswered = new Set<ScopeId>();
	#once = false;
	/** How many of the bytes that wait are not held against the client, at most. */
	#excused = 0;

	constructor(principal: Principal, parts: StreamParts) {
		this.subject = principal.subject;
		this.#principal = principal;
		this.#parts = parts;
	}

	/** Starts telling. */
	start(sink: StreamSink, { subs, once = false }: StreamRequest): void {
		this.#sink = sink;
		const { store, lifetime, heartbeat } = this.#parts;
		const { subject: user, tag: origin } = this.#principal;
		this.#tell({ t: "hello", user, origin, now: store.now(), heartbeat });
		this.#lifetime = this.#after(lifetime, () => this.bye("lifetime"));
		this.#granted();
		this.#once = once;
		const wanted = new Map(subs.map(({ s, c }) => [s, c]));
		this.#unanswered = new Set(wanted.keys());
		for (const [scope, cursor] of wanted) {
			if (includes(this.#principal.access(scope), "read")) this.#watch(scope, cursor);
			else this.#deny(scope, cursor);
		}
		if (wanted.size === 0 && once) this.bye("once");
	}

	/** The client has taken something of what waited. */
	drained(): void {
		while (this.#waiting.length > 0 && this.#hasRoom) {
			this.#reading++;
			this.#waiting.shift()?.();
		}
	}

	/** Sends bytes that others are sent, too. */
	send(bytes: Uint8Array): void {
		const sink = this.#sink;
		if (this.#isOver || sink === undefined) return;
		const { bufferBytes } = this.#parts;
		const { waiting } = sink;
		this.#excused = Math.min(this.#excused, waiting);
		// A record that no buffer would hold makes nobody slow; one at a time, so that what waits stays bounded.
		if (bytes.length > bufferBytes && this.#excused <= bufferBytes) this.#excuse(bytes);
		else if (waiting - this.#excused + bytes.length > bufferBytes) this.bye("slow");
		else sink.write(bytes);
	}

	/** Sends what is not held against the client: there was room when it was asked for. */
	#excuse(bytes: Uint8Array): void {
		const sink = this.#sink;
		if (this.#isOver || sink === undefined) return;
		this.#excused = Math.min(this.#excused, sink.waiting) + bytes.length;
		sink.write(bytes);
	}

	/** Ends it with a word why. */
	bye(why: ByeReason): void {
		const sink = this.#sink;
		if (this.#isOver) return;
		this.stop();
		if (sink === undefined) return;
		sink.write(encode({ t: "bye", why, retry: this.#parts.retry(why) }));
		// A server that closes is not held up.
		sink.end(why === "closing" ? grace : grace + sink.waiting / slowLink);
	}

	/** Ends it without a word: the client is gone. */
	stop(): void {
		if (this.#isOver) return;
		this.#isOver = true;
		for (const { stop } of this.#scopes.values()) stop();
		this.#scopes.clear();
		this.#denied.clear();
		for (const cancel of [this.#lifetime, this.#expiry, this.#regranting]) cancel?.();
		this.drained();
		this.#parts.ended(this);
	}

	#watch(scope: ScopeId, from: Cursor | undefined): void {
		const hub = this.#parts.hub(scope);
		const told: Told = {
			isLive: false,
			isOver: false,
			cursor: () => (told.isLive ? hub.sent : from),
			stop: hub.watch({
				// What comes while it joins is read from the log, or from what the hub keeps.
				frame: (bytes) => {
					if (told.isLive) this.send(bytes);
				},
				reset: (cursor) => {
					if (told.isLive) this.#tell({ t: "reset", s: scope, c: cursor, why: "store" });
				},
			}),
		};
		this.#scopes.set(scope, told);
		const isOver = (): boolean => this.#isOver || told.isOver;
		void join(
			{
				scope,
				hub,
				store: this.#parts.store,
				isOver,
				bytes: this.#pageBytes,
				room: () => this.#room(),
				done: () => {
					this.#reading--;
					this.drained();
				},
				frame: (bytes) => isOver() || this.#excuse(bytes),
				reset: (cursor, why) => isOver() || this.#excuse(encode({ t: "reset", s: scope, c: cursor, why })),
				live: (cursor) => {
					if (isOver()) return;
					told.isLive = true;
					this.#excuse(encode({ t: "ready", s: scope, c: cursor }));
					this.#answered(scope);
				},
			},
			from,
		);
	}

	#answered(scope: ScopeId): void {
		this.#unanswered.delete(scope);
		if (this.#unanswered.size === 0 && this.#once) this.bye("once");
	}

	#deny(scope: ScopeId, cursor: Cursor | undefined): void {
		this.#denied.set(scope, cursor);
		// The request that asked for it has a bound.
		this.#excuse(encode({ t: "denied", s: scope, error: encodeError(denied(scope, "read")) }));
		this.#answered(scope);
	}

	get #pageBytes(): number {
		return Math.min(mostBytes, this.#parts.bufferBytes / 4);
	}

	get #hasRoom(): boolean {
		if (this.#isOver || this.#sink === undefined) return true;
		return this.#sink.waiting + this.#reading * this.#pageBytes <= this.#parts.bufferBytes / 2;
	}

	/** Logs may be longer than the buffer, and many: they are read as the client takes them. */
	#room(): Promise<void> | undefined {
		if (!this.#hasRoom) return new Promise((resolve) => this.#waiting.push(resolve));
		this.#reading++;
		return undefined;
	}

	#tell(message: StreamMessage): void {
		this.send(encode(message));
	}

	#after(ms: number, callback: () => void): Cancel {
		return this.#parts.store.clock.after(ms, () => this.#isOver || callback(), true);
	}

	/** Goes by the present grant until it ends, or is asked for anew. */
	#granted(): void {
		const { regrant, store } = this.#parts;
		const { expires } = this.#principal;
		this.#expiry?.();
		if (expires !== undefined)
			this.#expiry = this.#after(expires - store.clock.now(), () => this.bye("revoked"));
		// Spread, so that streams that were opened at once do not ask at once.
		this.#regranting = this.#after(regrant * (0.8 + store.random() * 0.4), () => void this.#regrant());
	}

	/** Asks who it is, and what is granted, as if it came now. */
	async #regrant(): Promise<void> {
		// A grant that nobody confirms is none: who asks anew is told what holds.
		const tooLate = this.#after(confirmWithin, () => this.bye("revoked"));
		const principal = await this.#parts.authorize();
		tooLate();
		if (this.#isOver) return;
		if (principal === undefined || principal.subject !== this.subject) {
			this.bye("revoked");
			return;
		}
		this.#principal = principal;
		for (const [scope, told] of [...this.#scopes]) {
			if (includes(principal.access(scope), "read")) continue;
			told.isOver = true;
			told.stop();
			this.#scopes.delete(scope);
			this.#deny(scope, told.cursor());
		}
		for (const [scope, cursor] of [...this.#denied]) {
			if (!includes(principal.access(scope), "read")) continue;
			this.#denied.delete(scope);
			this.#watch(scope, cursor);
		}
		if (!this.#isOver) this.#granted();
	}
}
