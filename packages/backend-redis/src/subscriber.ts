/** One connection that hears of all scopes that a process watches. */
import type { Unwatch } from "@holdfast/core";
import type { Redis } from "ioredis";
import { Channels, type Listener } from "./channels.js";
import { hangUp } from "./connect.js";
import { Link, type LinkLimits } from "./link.js";
import { OneServer } from "./servers.js";

const channelsAtOnce = 1000;

/** How long a connection on which no channel can be had is left before another is made, in ms. */
const pauseAfter = (failures: number): number =>
	Math.min(5000, 50 * 2 ** failures) * (0.5 + Math.random() / 2);

/** The subscriptions of one connection, which is its own to close. */
export class Subscriber {
	readonly #client: Redis;
	readonly #link: Link;
	readonly #channels = new Channels();
	readonly #beat: NodeJS.Timeout;
	#lost = false;
	#failures = 0;
	#again: NodeJS.Timeout | undefined;

	constructor(client: Redis, limits: LinkLimits) {
		this.#client = client;
		this.#link = new Link(new OneServer(client), limits);
		client.on("message", (channel: string, message: string) => this.#channels.hear(channel, message));
		client.on("close", () => {
			this.#lost = true;
			this.#channels.tell(this.#channels.names, { type: "lost" });
		});
		client.on("ready", () => void this.#resume());
		this.#beat = beat(client, this.#link, limits);
	}

	/** Attaches a listener to a channel. */
	async watch(channel: string, listener: Listener): Promise<Unwatch> {
		const remove = this.#channels.add(channel, listener);
		const unwatch = (): void => {
			if (remove() && this.#client.status === "ready") this.#client.unsubscribe(channel).catch(() => {});
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
		clearTimeout(this.#again);
		this.#channels.clear();
		this.#link.close();
		hangUp(this.#client);
	}

	/** After a loss: what was published meanwhile is in the log, and who watches looks there. */
	async #resume(): Promise<void> {
		// It was meant for the connection before this one.
		clearTimeout(this.#again);
		if (!this.#lost) return;
		this.#lost = false;
		const channels = this.#channels.names;
		const asks = [];
		for (let i = 0; i < channels.length; i += channelsAtOnce)
			asks.push({ command: "subscribe", args: channels.slice(i, i + channelsAtOnce) });
		try {
			await Promise.all(this.#link.run(asks));
			this.#failures = 0;
			this.#channels.tell(this.#channels.names, { type: "wake" });
		} catch {
			// A connection that can't be subscribed on is of no use: another one is tried, though not in haste, since it may be the user's rights.
			this.#lost = true;
			this.#again = setTimeout(() => this.#client.disconnect(true), pauseAfter(this.#failures++)).unref();
		}
	}
}

/** Asks a connection now and then: a half-open one tells nothing by itself, but it is left when it does not answer. */
export const beat = (client: Redis, link: Link, { answerWithin }: LinkLimits): NodeJS.Timeout =>
	setInterval(() => {
		if (client.status === "ready") link.run([{ command: "ping", args: [] }])[0]?.catch(() => {});
	}, answerWithin).unref();
