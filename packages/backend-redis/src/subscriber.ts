/** One connection that hears of all scopes that a process watches. */
import type { Signal, Unwatch } from "@holdfast/core";
import type { Redis } from "ioredis";
import { Link, type LinkLimits } from "./link.js";
import { parseRecords } from "./wire.js";

type Listener = (signal: Signal) => void;

const channelsAtOnce = 1000;

/** The subscriptions of one connection, which is its own to close. */
export class Subscriber {
	readonly #client: Redis;
	readonly #link: Link;
	readonly #listeners = new Map<string, Set<Listener>>();
	readonly #beat: NodeJS.Timeout;
	#lost = false;

	constructor(client: Redis, limits: LinkLimits) {
		this.#client = client;
		this.#link = new Link(client, limits);
		client.on("message", (channel: string, message: string) => this.#hear(channel, message));
		client.on("close", () => {
			this.#lost = true;
			this.#tell({ type: "lost" });
		});
		client.on("ready", () => void this.#resume());
		this.#beat = setInterval(() => {
			if (client.status === "ready") this.#link.run([{ command: "ping", args: [] }])[0]?.catch(() => {});
			// A half-open connection tells nothing by itself.
		}, limits.answerWithin);
		this.#beat.unref();
	}

	/** Attaches a listener to a channel. */
	async watch(channel: string, listener: Listener): Promise<Unwatch> {
		const listeners = this.#listeners.get(channel) ?? new Set();
		this.#listeners.set(channel, listeners);
		// A function of its own: the same listener may be given twice.
		const own: Listener = (signal) => listener(signal);
		listeners.add(own);
		const unwatch = (): void => {
			if (!listeners.delete(own) || listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
			this.#listeners.delete(channel);
			if (this.#client.status === "ready") this.#client.unsubscribe(channel).catch(() => {});
		};
		try {
			await this.#link.run([{ command: "subscribe", args: [channel] }])[0];
		} catch (error) {
			unwatch();
			throw error;
		}
		return unwatch;
	}

	/** Ends the connection. */
	close(): void {
		clearInterval(this.#beat);
		this.#listeners.clear();
		this.#link.close();
		hangUp(this.#client);
	}

	/** After a loss: what was published meanwhile is in the log, and who watches looks there. */
	async #resume(): Promise<void> {
		if (!this.#lost) return;
		this.#lost = false;
		const channels = [...this.#listeners.keys()];
		const asks = [];
		for (let i = 0; i < channels.length; i += channelsAtOnce)
			asks.push({ command: "subscribe", args: channels.slice(i, i + channelsAtOnce) });
		try {
			await Promise.all(this.#link.run(asks));
			this.#tell({ type: "wake" });
		} catch {
			// A connection that can't be subscribed on is of no use: another one is tried.
			this.#lost = true;
			this.#client.disconnect(true);
		}
	}

	#hear(channel: string, message: string): void {
		const listeners = this.#listeners.get(channel);
		if (listeners === undefined) return;
		const signal: Signal =
			message === "wake" ? { type: "wake" } : { type: "records", records: parseRecords(message) };
		for (const listener of [...listeners]) listener(signal);
	}

	#tell(signal: Signal): void {
		for (const listeners of [...this.#listeners.values()])
			for (const listener of [...listeners]) listener(signal);
	}
}

/** Ends a connection at once: a frozen server would let its socket linger. */
export function hangUp(client: Redis): void {
	client.disconnect();
	(client as unknown as { readonly stream?: { destroy(): void } }).stream?.destroy();
}
