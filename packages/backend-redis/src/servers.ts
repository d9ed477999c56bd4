/** Where calls go: one server, or the servers of a cluster. */
import type { Cluster, Redis } from "ioredis";
import { saidBy } from "./failure.js";
import { slotOf } from "./keys.js";

/** A client of ioredis, to one server, to what Sentinels say is the primary, or to a cluster. */
export type Client = Redis | Cluster;

/** Where a refusal sends a call: to another server, perhaps for this one time. */
export interface Redirection {
	readonly connection: Redis;
	readonly asking: boolean;
}

/** The connections of a client. */
export interface Servers {
	/** The one that a call for this key takes; `undefined` while there is none that is ready: it is being made. */
	connectionTo(key: string | undefined): Redis | undefined;
	/** Whether a refusal is one that passes, while a server fails over or a slot moves: nothing was done. */
	isPassing(refusal: Error): boolean;
	/** The server that a refusal names, if there is a connection to it. */
	redirection(refusal: Error): Redirection | undefined;
	/** A call was not answered: the server may not be the right one any more. */
	doubt(): void;
	/** Whether no connection will come any more. */
	readonly ended: boolean;
	/** Why there is no connection, as far as known. */
	readonly failure: string | undefined;
	/** Lets go of the client; its connections stay. */
	release(): void;
}

const failures = new WeakMap<Client, string>();

/** Hears why a client's connections fail, so that calls can say it. Without a listener ioredis would print it. */
export function hearFailures<C extends Client>(client: C): C {
	client.on("ready", () => failures.delete(client));
	client.on("error", (error: NodeJS.ErrnoException & { lastNodeError?: NodeJS.ErrnoException }) => {
		const { message, code = "" } = error.lastNodeError ?? error;
		// An error of several addresses has a code and no message.
		failures.set(client, message || code);
	});
	return client;
}

/** The server's refusals while it fails over. */
const failingOver = /^(LOADING|READONLY|MASTERDOWN)\b/;

/** One server; behind Sentinels whichever is the primary. */
export class OneServer implements Servers {
	readonly #client: Redis;

	constructor(client: Redis) {
		this.#client = client;
	}

	get ended(): boolean {
		return this.#client.status === "end";
	}

	get failure(): string | undefined {
		return failures.get(this.#client);
	}

	connectionTo(): Redis | undefined {
		return readied(this.#client);
	}

	isPassing(refusal: Error): boolean {
		return failingOver.test(saidBy(refusal));
	}

	redirection(): undefined {}

	doubt(): void {}

	release(): void {}
}

/** The primaries of a cluster, by the slots that its client knows of. */
export class ClusterServers implements Servers {
	readonly #cluster: Cluster;
	#nodes: Map<string, Redis> | undefined;

	constructor(cluster: Cluster) {
		this.#cluster = cluster;
		cluster.on("+node", this.#changed).on("-node", this.#changed);
	}

	get ended(): boolean {
		return this.#cluster.status === "end";
	}

	get failure(): string | undefined {
		return failures.get(this.#cluster);
	}

	connectionTo(key: string | undefined): Redis | undefined {
		const cluster = this.#cluster;
		if (cluster.status === "wait") cluster.connect().catch(() => {});
		if (cluster.status !== "ready") return undefined;
		const primary = key === undefined ? this.#any() : this.primaryOf(slotOf(key));
		const connection = primary && readied(primary);
		if (primary === undefined || primary.status === "end") this.doubt();
		return connection;
	}

	/** The primary that has a slot, as far as known. */
	primaryOf(slot: number): Redis | undefined {
		const [address] = this.#cluster.slots[slot] ?? [];
		return address === undefined ? undefined : this.#byAddress(address);
	}

	isPassing(refusal: Error): boolean {
		const said = saidBy(refusal);
		return failingOver.test(said) || /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(said);
	}

	redirection(refusal: Error): Redirection | undefined {
		const [, why, address = ""] = /^(MOVED|ASK) \d+ (\S+)/.exec(refusal.message) ?? [];
		if (why !== "ASK") this.doubt();
		const node = this.#byAddress(address);
		const connection = node && readied(node);
		return connection && { connection, asking: why === "ASK" };
	}

	doubt(): void {
		// Its errors are the calls' own: who waits asks again.
		if (this.#cluster.status === "ready") this.#cluster.refreshSlotsCache(() => {});
	}

	release(): void {
		this.#cluster.off("+node", this.#changed).off("-node", this.#changed);
	}

	readonly #changed = (): void => {
		this.#nodes = undefined;
	};

	#byAddress(address: string): Redis | undefined {
		this.#nodes ??= new Map(this.#cluster.nodes().map((node) => [addressOf(node), node]));
		return this.#nodes.get(address);
	}

	#any(): Redis | undefined {
		const primaries = this.#cluster.nodes("master");
		return primaries.find(({ status }) => status === "ready") ?? primaries[0];
	}
}

/** A node as the map of slots names it. */
export const addressOf = ({ options }: Redis): string => `${options.host}:${options.port}`;

/** The connections that a client has. */
export const serversOf = (client: Client): Servers =>
	isCluster(client) ? new ClusterServers(client) : new OneServer(client);

/** Whether a client is one of a cluster. */
export const isCluster = (client: Client): client is Cluster => client.isCluster;

function readied(connection: Redis): Redis | undefined {
	if (connection.status === "wait") connection.connect().catch(() => {});
	return connection.status === "ready" ? connection : undefined;
}
