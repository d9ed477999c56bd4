/** LISTEN and NOTIFY: a hint after the commit, on connections of their own, that somebody changed something. */
import { createHash, randomUUID } from "node:crypto";
import type { ScopeId } from "@holdfast/core";
import type { Connections } from "./postgres-connections.js";
import { socketOf } from "./sockets.js";
import type { Statement } from "./statement.js";

/** As much of node-postgres' client as is needed. */
interface Client {
	connect(): Promise<unknown>;
	query(text: string, values?: unknown[]): Promise<unknown>;
	end(): Promise<void>;
	on(event: "notification", listener: (message: { readonly payload?: string | undefined }) => void): unknown;
	on(event: "error" | "end", listener: () => void): unknown;
}

/** Who is told what was heard. */
export interface Heard {
	hint(scopes: readonly ScopeId[] | "any"): void;
	listening(hears: boolean): void;
	/** Hints are sent and don't arrive. */
	deaf(): void;
	readonly isWatched: boolean;
}

// A payload has 8,000 bytes at most; going over would fail.
const payloadBytes = 7500;

/** How long a hint to ourselves may take before the connection counts as deaf, and how often it is tried, in ms. */
const deafAfter = 2000;
const beatEvery = 15_000;

/** Says goodbye, and does not wait for the other end: it may be gone. */
function part(client: Client): void {
	client.end().catch(() => {});
	socketOf(client).destroySoon();
}

class Deaf extends Error {}

/** Hears and sends hints of one backend. */
export class Listener {
	readonly #connect: () => Client;
	readonly #connections: Connections;
	readonly #channel: string;
	readonly #self = randomUUID();
	#heard: Heard | undefined;
	#client: Client | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#echo: (() => void) | undefined;
	#failures = 0;
	#unheard = 0;
	#closed = false;

	constructor(connect: () => Client, connections: Connections, place: string) {
		this.#connect = connect;
		this.#connections = connections;
		// A channel's name has 63 bytes at most.
		this.#channel = `holdfast_${createHash("sha256").update(place).digest("hex").slice(0, 32)}`;
	}

	/** Begins to listen, if it does not yet. */
	start(heard: Heard): void {
		this.#heard = heard;
		if (this.#closed || this.#client !== undefined || this.#timer !== undefined) return;
		void this.#open();
	}

	/** What to say behind a commit, on its connection: a hint within the transaction would have all that write wait for one another. */
	hint(scopes: readonly ScopeId[]): Statement {
		const list = scopes.join(" ");
		const payload = `${this.#self} ${Buffer.byteLength(list) > payloadBytes ? "" : list}`;
		return { text: "select pg_notify($1, $2)", values: [this.#channel, payload], columns: [], hints: true };
	}

	/** Sends a hint by itself. */
	send(scopes: readonly ScopeId[]): void {
		const { text, values } = this.hint(scopes);
		// Who watches looks at heads now and then, too.
		this.#connections.query(text, values).catch(() => {});
	}

	close(): void {
		this.#closed = true;
		clearTimeout(this.#timer);
		const client = this.#client;
		this.#client = undefined;
		if (client !== undefined) part(client);
	}

	async #open(): Promise<void> {
		const client = this.#connect();
		this.#client = client;
		const lost = (): void => {
			if (this.#client !== client) return;
			this.#client = undefined;
			this.#heard?.listening(false);
			part(client);
			this.#again();
		};
		client.on("error", lost);
		client.on("end", lost);
		client.on("notification", ({ payload = "" }) => {
			const [from, ...scopes] = payload.split(" ");
			if (from === this.#self) {
				if (scopes[0] === "echo") this.#echo?.();
				return;
			}
			this.#heard?.hint(scopes.length === 0 || scopes[0] === "" ? "any" : scopes);
		});
		try {
			await client.connect();
			await client.query(`listen "${this.#channel}"`);
			// A pooler that hands out another connection for each transaction drops LISTEN without a word.
			await this.#probe();
			if (this.#client !== client) return;
			this.#failures = 0;
			this.#heard?.listening(true);
			this.#beat(client, lost);
			this.#unheard = 0;
		} catch (error) {
			// Once may be a server that is slow.
			if (error instanceof Deaf && this.#client === client && ++this.#unheard === 2) this.#heard?.deaf();
			lost();
		}
	}

	/**
	 * Sends a hint to ourselves, which must come back. By another connection, as all hints come: on its own one, a pooler that shares
	 * connections by transaction may happen to deliver it, and no other.
	 */
	async #probe(): Promise<void> {
		const { promise: echo, resolve: heard } = Promise.withResolvers<void>();
		this.#echo = heard;
		let timer: ReturnType<typeof setTimeout> | undefined;
		let turn: ReturnType<typeof setImmediate> | undefined;
		try {
			await this.#connections.query("select pg_notify($1, $2)", [this.#channel, `${this.#self} echo`]);
			const deaf = new Promise<never>((_, reject) => {
				const tooLate = (): void => reject(new Deaf("no notification came back"));
				// Where this process stood still the echo may have arrived meanwhile: it is read between a turn's timers and its end.
				timer = setTimeout(() => {
					turn = setImmediate(tooLate);
				}, deafAfter);
			});
			await Promise.race([echo, deaf]);
		} finally {
			clearTimeout(timer);
			clearImmediate(turn);
			this.#echo = undefined;
		}
	}

	/** A connection whose other end is gone without a word is found by this. */
	#beat(client: Client, lost: () => void): void {
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			this.#probe().then(() => this.#client === client && this.#beat(client, lost), lost);
		}, beatEvery);
		this.#timer.unref();
	}

	#again(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (this.#closed) return;
		const wait = Math.min(10_000, 100 * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			if (!this.#closed && this.#heard?.isWatched === true) void this.#open();
		}, wait);
		this.#timer.unref();
	}
}
