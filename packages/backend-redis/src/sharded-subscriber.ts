/**
 * Hears of all scopes that a process watches in a cluster: one connection to each primary that has some of them. Published is by shard
 * (`SPUBLISH`) where the server can, so that a message reaches only who asks for it; else to all of the cluster.
 */
import type { Unwatch } from "@holdfast/core";
import type { Cluster, Redis } from "ioredis";
import { Channels, type Listener } from "./channels.js";
import { connectOnceLike, hangUp } from "./connect.js";
import { failureOf, saidBy, Unanswered } from "./failure.js";
import { slotOf } from "./keys.js";
import { Link, type LinkLimits } from "./link.js";
import { addressOf, ClusterServers, OneServer } from "./servers.js";
import { beat } from "./subscriber.js";

/** How long it waits before it looks for a channel's server again, in ms: at first, and at most. */
const pauses = { first: 5, longest: 200 } as const;

const channelsAtOnce = 1000;

/** A server that has no sharded channels, or a user who may not use them. */
const isPlain = (error: unknown): boolean => /^(ERR unknown command|NOPERM)/.test(saidBy(error));

/** A connection to one primary. */
interface Shard {
	readonly address: string;
	readonly client: Redis;
	readonly link: Link;
	readonly beat: NodeJS.Timeout;
	readonly channels: Set<string>;
	subscribe: "ssubscribe" | "subscribe";
}

/** The subscriptions of a process in a cluster. */
export class ShardedSubscriber {
	readonly #cluster: Cluster;
	readonly #limits: LinkLimits;
	readonly #servers: ClusterServers;
	readonly #channels = new Channels();
	readonly #shards = new Map<string, Shard>();
	/** Channels without a server, and who waits for one. */
	readonly #homeless = new Map<string, Set<() => void>>();
	/** Ends the wait of who waits for a channel. */
	readonly #waiting = new Set<(reason: unknown) => void>();
	/** What was heard before, so that something may have been missed. */
	readonly #missing = new Set<string>();
	#settling = false;
	#failure: unknown;
	#closed = false;

	/** The cluster's client says where the slots are; it is not subscribed on, nor closed. */
	constructor(cluster: Cluster, limits: LinkLimits) {
		this.#cluster = cluster;
		this.#limits = limits;
		this.#servers = new ClusterServers(cluster);
		cluster.on("refresh", this.#refreshed);
	}

	/** Attaches a listener to a channel. */
	async watch(channel: string, listener: Listener): Promise<Unwatch> {
		const remove = this.#channels.add(channel, listener);
		const unwatch = (): void => {
			if (remove()) this.#leave(channel);
		};
		const { connectWithin } = this.#limits;
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		const tooLate = setTimeout(() => {
			const message = `no server of the cluster took a subscription within ${connectWithin} ms`;
			const refused = this.#failure !== undefined && failureOf(this.#failure).failed === "refused";
			reject(refused ? this.#failure : new Unanswered("unavailable", message, { cause: this.#failure }));
		}, connectWithin);
		this.#waiting.add(reject);
		this.#find([channel], resolve);
		try {
			await promise;
		} catch (error) {
			this.#homeless.get(channel)?.delete(resolve);
			unwatch();
			throw error;
		} finally {
			this.#waiting.delete(reject);
			clearTimeout(tooLate);
		}
		return unwatch;
	}

	/** Ends the connections. */
	close(): void {
		this.#closed = true;
		this.#cluster.off("refresh", this.#refreshed);
		this.#servers.release();
		this.#channels.clear();
		for (const reject of this.#waiting) reject(new Unanswered("unavailable", "the connection was closed"));
		for (const shard of [...this.#shards.values()]) this.#end(shard);
	}

	/** Looks for the servers of these channels until they are subscribed to. */
	#find(channels: Iterable<string>, found?: () => void): void {
		for (const channel of channels) {
			const waiting = this.#homeless.get(channel) ?? new Set();
			if (found !== undefined) waiting.add(found);
			this.#homeless.set(channel, waiting);
		}
		if (!this.#settling) void this.#settle();
	}

	/** These channels may have missed something: who listens is told, now, and again when they are heard. */
	#lose(channels: Iterable<string>): void {
		const lost = [...channels].filter((channel) => this.#channels.has(channel));
		for (const channel of lost) this.#missing.add(channel);
		this.#channels.tell(lost, { type: "lost" });
		this.#find(lost);
	}

	async #settle(): Promise<void> {
		this.#settling = true;
		for (let pause: number = pauses.first; this.#homeless.size > 0 && !this.#closed; ) {
			const before = this.#homeless.size;
			const byShard = Map.groupBy(this.#homeless.keys(), (channel) => this.#shardOf(channel));
			await Promise.all([...byShard].map(([shard, channels]) => shard && this.#subscribe(shard, channels)));
			if (this.#homeless.size === 0 || this.#closed) break;
			pause = this.#homeless.size < before ? pauses.first : Math.min(pauses.longest, pause * 1.5);
			if (pause === pauses.longest) this.#servers.doubt();
			await new Promise((resolve) => setTimeout(resolve, pause));
		}
		this.#settling = false;
	}

	/** The connection to the primary of a channel's slot; `undefined` while there is none that is ready. */
	#shardOf(channel: string): Shard | undefined {
		// Makes the client connect where it has not yet.
		this.#servers.connectionTo(channel);
		const node = this.#servers.primaryOf(slotOf(channel));
		if (node === undefined) return undefined;
		const shard = this.#shards.get(addressOf(node)) ?? this.#begin(node);
		return shard.client.status === "ready" ? shard : undefined;
	}

	#begin(node: Redis): Shard {
		const client = connectOnceLike(node, this.#limits.answerWithin);
		const link = new Link(new OneServer(client), this.#limits);
		const shard: Shard = {
			address: addressOf(node),
			client,
			link,
			beat: beat(client, link, this.#limits),
			channels: new Set(),
			subscribe: "ssubscribe",
		};
		this.#shards.set(shard.address, shard);
		const hear = (channel: string, message: string): void => this.#channels.hear(channel, message);
		client.on("message", hear).on("smessage", hear);
		client.once("end", () => {
			this.#end(shard);
			this.#lose(shard.channels);
		});
		// A slot has left this server, which ends the subscriptions to its channels.
		client.on("moved" as "error", () => {
			const still = new Set(heldBy(client));
			const gone = [...shard.channels].filter((channel) => !still.has(channel));
			for (const channel of gone) shard.channels.delete(channel);
			this.#servers.doubt();
			this.#lose(gone);
		});
		return shard;
	}

	#end(shard: Shard): void {
		if (this.#shards.get(shard.address) === shard) this.#shards.delete(shard.address);
		clearInterval(shard.beat);
		shard.link.close();
		hangUp(shard.client);
	}

	async #subscribe(shard: Shard, channels: readonly string[]): Promise<void> {
		const subscribeTo = async (some: readonly string[]): Promise<void> => {
			try {
				await shard.link.run([{ command: shard.subscribe, args: some }])[0];
			} catch (error) {
				this.#failure = error;
				if (shard.subscribe === "ssubscribe" && isPlain(error)) shard.subscribe = "subscribe";
				else this.#servers.doubt();
				return;
			}
			if (this.#shards.get(shard.address) === shard) this.#settled(shard, some);
		};
		// Sharded channels can be asked for together only within a slot.
		const bySlot = Map.groupBy(channels, slotOf);
		await Promise.all(
			[...bySlot.values()].flatMap((some) =>
				Array.from({ length: Math.ceil(some.length / channelsAtOnce) }, (_, i) =>
					subscribeTo(some.slice(i * channelsAtOnce, (i + 1) * channelsAtOnce)),
				),
			),
		);
	}

	#settled(shard: Shard, channels: readonly string[]): void {
		this.#failure = undefined;
		for (const channel of channels) {
			for (const found of this.#homeless.get(channel) ?? []) found();
			this.#homeless.delete(channel);
			if (!this.#channels.has(channel)) {
				this.#unsubscribe(shard, channel);
				continue;
			}
			shard.channels.add(channel);
			// What was published meanwhile is in the log.
			if (this.#missing.delete(channel)) this.#channels.tell([channel], { type: "wake" });
		}
	}

	#leave(channel: string): void {
		this.#homeless.delete(channel);
		this.#missing.delete(channel);
		for (const shard of this.#shards.values())
			if (shard.channels.delete(channel)) this.#unsubscribe(shard, channel);
	}

	#unsubscribe({ client, subscribe }: Shard, channel: string): void {
		if (client.status !== "ready") return;
		const command = subscribe === "ssubscribe" ? "sunsubscribe" : "unsubscribe";
		client.call(command, channel).catch(() => {});
	}

	/** The map of slots is new: what is subscribed to at another server than its slot's primary moves there. */
	readonly #refreshed = (): void => {
		for (const shard of this.#shards.values()) {
			const elsewhere = [...shard.channels].filter((channel) => {
				const node = this.#servers.primaryOf(slotOf(channel));
				return node !== undefined && addressOf(node) !== shard.address;
			});
			for (const channel of elsewhere) {
				shard.channels.delete(channel);
				this.#unsubscribe(shard, channel);
			}
			if (elsewhere.length > 0) this.#lose(elsewhere);
		}
	};
}

/** The sharded channels that a connection still has: ioredis says that some were ended, not which. */
const heldBy = ({ condition }: Redis): readonly string[] =>
	(condition?.subscriber || undefined)?.channels("ssubscribe") ?? [];
