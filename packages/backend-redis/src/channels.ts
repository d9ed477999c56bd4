/** Who listens to which channel. */
import type { Signal } from "@holdfast/core";
import { type Client, isCluster } from "./servers.js";
import { parseRecords } from "./wire.js";

/** Hears what is told of a scope. */
export type Listener = (signal: Signal) => void;

/** What the channels of a client's scopes begin with, where its keys are in a database of their own or behind a prefix of the client's. */
export function channelPrefix(prefix: string, client: Client): string {
	const { db = 0, keyPrefix = "" } = (isCluster(client) ? client.options.redisOptions : client.options) ?? {};
	return [prefix, ...(db === 0 ? [] : [db]), ...(keyPrefix === "" ? [] : [keyPrefix])].join(":");
}

/** The listeners of a process, by the channel. */
export class Channels {
	readonly #listeners = new Map<string, Set<Listener>>();

	/** The channels that somebody listens to. */
	get names(): string[] {
		return [...this.#listeners.keys()];
	}

	has(channel: string): boolean {
		return this.#listeners.has(channel);
	}

	/** Adds a listener; what it answers removes it again, and says whether it was the channel's last. */
	add(channel: string, listener: Listener): () => boolean {
		const listeners = this.#listeners.get(channel) ?? new Set();
		this.#listeners.set(channel, listeners);
		// A function of its own: the same listener may be given twice.
		const own: Listener = (signal) => listener(signal);
		listeners.add(own);
		return () => {
			if (!listeners.delete(own) || listeners.size > 0 || this.#listeners.get(channel) !== listeners)
				return false;
			return this.#listeners.delete(channel);
		};
	}

	/** Tells a channel's listeners what was published. */
	hear(channel: string, message: string): void {
		if (this.has(channel)) this.tell([channel], signalOf(message));
	}

	/** Tells all listeners of these channels. */
	tell(channels: Iterable<string>, signal: Signal): void {
		for (const channel of channels)
			for (const listener of [...(this.#listeners.get(channel) ?? [])]) listener(signal);
	}

	clear(): void {
		this.#listeners.clear();
	}
}

/** What a message says. Others may publish anything there: what is no record is a hint to look at the log, which every push is at least. */
function signalOf(message: string): Signal {
	if (message === "wake") return { type: "wake" };
	try {
		return { type: "records", records: parseRecords(message) };
	} catch {
		return { type: "wake" };
	}
}
