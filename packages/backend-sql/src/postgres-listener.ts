/** LISTEN and NOTIFY: a hint after the commit, on connections of their own, that somebody changed something. */
import { createHash, randomUUID } from "node:crypto";
import type { ScopeId } from "@holdfast/core";
import { CompiledQuery, type Kysely } from "kysely";

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
	readonly isWatched: boolean;
}

// A payload has 8,000 bytes at most; going over would fail.
const payloadBytes = 7500;

/** How long a hint to ourselves may take before the connection counts as deaf, and how often it is tried, in ms. */
const deafAfter = 2000;
const beatEvery = 15_000;

/** Hears and sends hints of one backend. */
export class Listener {
	readonly #connect: () => Client;
	readonly #db: Kysely<unknown>;
	readonly #channel: string;
	readonly #self = randomUUID();
	#heard: Heard | undefined;
	#client: Client | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#echo: (() => void) | undefined;
	#failures = 0;
	#closed = false;
	#dirty = new Set<ScopeId>();
	#sending = false;

	constructor(connect: () => Client, db: Kysely<unknown>, place: string) {
		this.#connect = connect;
		this.#db = db;
		// A channel's name has 63 bytes at most.
		this.#channel = `holdfast_${createHash("sha256").update(place).digest("hex").slice(0, 32)}`;
	}

	/** Begins to listen, if it does not yet. */
	start(heard: Heard): void {
		this.#heard = heard;
		if (this.#closed || this.#client !== undefined || this.#timer !== undefined) return;
		void this.#open();
	}

	/** Sends a hint; what comes while one is under way goes with the next. */
	send(scopes: Iterable<ScopeId>): void {
		for (const scope of scopes) this.#dirty.add(scope);
		if (!this.#sending && this.#dirty.size > 0) void this.#flush();
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		const client = this.#client;
		this.#client = undefined;
		await client?.end().catch(() => {});
	}

	async #flush(): Promise<void> {
		this.#sending = true;
		while (this.#dirty.size > 0 && !this.#closed) {
			const scopes = [...this.#dirty].join(" ");
			this.#dirty.clear();
			const list = Buffer.byteLength(scopes) > payloadBytes ? "" : scopes;
			try {
				await this.#db.executeQuery(
					CompiledQuery.raw("select pg_notify($1, $2)", [this.#channel, `${this.#self} ${list}`]),
				);
			} catch {
				// Who watches looks at heads now and then, too.
			}
		}
		this.#sending = false;
	}

	async #open(): Promise<void> {
		const client = this.#connect();
		this.#client = client;
		const lost = (): void => {
			if (this.#client !== client) return;
			this.#client = undefined;
			this.#heard?.listening(false);
			void client.end().catch(() => {});
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
			// A pooler that hands out another connection for each statement drops LISTEN without a word.
			await this.#probe(client);
			if (this.#client !== client) return;
			this.#failures = 0;
			this.#heard?.listening(true);
			this.#beat(client, lost);
		} catch {
			lost();
		}
	}

	/** Sends a hint to ourselves, which must come back. */
	async #probe(client: Client): Promise<void> {
		let timer: ReturnType<typeof setTimeout> | undefined;
		const heard = new Promise<void>((resolve, reject) => {
			this.#echo = resolve;
			timer = setTimeout(() => reject(new Error("no notification came back")), deafAfter);
		});
		heard.catch(() => {});
		try {
			await Promise.race([
				client.query("select pg_notify($1, $2)", [this.#channel, `${this.#self} echo`]),
				heard,
			]);
			await heard;
		} finally {
			clearTimeout(timer);
			this.#echo = undefined;
		}
	}

	/** A connection whose other end is gone without a word is found by this. */
	#beat(client: Client, lost: () => void): void {
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			this.#probe(client).then(() => this.#client === client && this.#beat(client, lost), lost);
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
