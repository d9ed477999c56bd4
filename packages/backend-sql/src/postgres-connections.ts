/** The connections of a pool: the one that was used last stays at hand for who asks next, since lending it costs as much as a question does. */
import type { Pool, PoolClient } from "pg";
import { socketOf } from "./sockets.js";

/** How long one that nobody uses stays at hand, in ms, at the least; twice as long at the most. */
const keptFor = 1000;

/** A pool that keeps one connection at hand. Who uses the pool by it alone waits for none that is idle. */
export class Connections {
	readonly #pool: Pool;
	#kept: PoolClient | undefined;
	readonly #known = new WeakSet<PoolClient>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#touched = false;
	#closed = false;

	constructor(pool: Pool) {
		this.#pool = pool;
	}

	/** How many there may be. */
	get most(): number {
		return this.#pool.options.max;
	}

	/** Takes a connection, at once where one is at hand. It must be given back. */
	take(): PoolClient | Promise<PoolClient> {
		const client = this.#kept;
		if (client === undefined) return this.#pool.connect();
		this.#kept = undefined;
		this.#touched = true;
		return client;
	}

	/** Gives a connection back on which nothing is under way. */
	give(client: PoolClient, broken: boolean): void {
		const { readable, writable } = socketOf(client);
		const ended = broken || !readable || !writable;
		if (ended || this.#closed || this.#kept !== undefined || this.#pool.waitingCount > 0) {
			client.release(ended);
			return;
		}
		if (!this.#known.has(client)) {
			this.#known.add(client);
			const lost = (): void => {
				if (this.#kept !== client) return;
				this.#kept = undefined;
				client.release(true);
			};
			client.on("error", lost);
			client.on("end", lost);
		}
		this.#kept = client;
		this.#watch();
	}

	/** Asks one thing on any connection. */
	async query(text: string, values: readonly unknown[]): Promise<void> {
		const client = await this.take();
		let broken = true;
		try {
			await client.query(text, [...values]);
			broken = false;
		} finally {
			this.give(client, broken);
		}
	}

	/** Closes all, once what is under way has ended. */
	close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#timer);
		this.#let();
		return this.#pool.end();
	}

	/** One timer for many uses. */
	#watch(): void {
		if (this.#timer !== undefined) return;
		this.#touched = false;
		this.#timer = setTimeout(() => {
			this.#timer = undefined;
			if (this.#touched) this.#watch();
			else this.#let();
		}, keptFor);
		this.#timer.unref();
	}

	#let(): void {
		const client = this.#kept;
		this.#kept = undefined;
		client?.release();
	}
}
