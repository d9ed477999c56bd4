/** Makes the connections that are the backend's own, and ends them. */
import { type RedisOptions as ClientOptions, Cluster, type ClusterNode, Redis } from "ioredis";
import { isReplica } from "./failure.js";
import { type Client, hearFailures, isCluster } from "./servers.js";

const pauseBefore = (attempt: number): number =>
	Math.min(1000, 25 * 2 ** Math.min(attempt, 6)) * (0.5 + Math.random() / 2);

/**
 * What a connection of ours does: it keeps no queue and sends nothing twice by itself, so that each call knows whether it was handed over
 * (the link waits, and core sends again); a server that says nothing is left; a primary that became a replica too.
 */
const ours = (answerWithin: number) =>
	({
		maxRetriesPerRequest: 0,
		autoResendUnfulfilledCommands: false,
		autoResubscribe: false,
		socketTimeout: answerWithin,
		sentinelCommandTimeout: answerWithin,
		// A server that loads says how long it still will, and is often wrong by far: after a restart that would be up to ten seconds.
		maxLoadingRetryTime: 200,
		reconnectOnError: isReplica,
	}) satisfies ClientOptions;

const alone = { enableOfflineQueue: false, retryStrategy: pauseBefore } satisfies ClientOptions;

/** A connection to a URL, or to what the options say: a host, Sentinels. */
export const connect = (
	url: string | undefined,
	options: ClientOptions | undefined,
	answerWithin: number,
): Redis => {
	const all = { ...ours(answerWithin), ...alone, ...options, replyMapping: "legacy" } as const;
	return hearFailures(url === undefined ? new Redis(all) : new Redis(url, all));
};

/** The connections to a cluster that these nodes are of. */
export const connectCluster = (
	nodes: readonly ClusterNode[],
	options: ClientOptions | undefined,
	answerWithin: number,
): Cluster => {
	const redisOptions = {
		...ours(answerWithin),
		...sharedOf(nodes),
		...options,
		replyMapping: "legacy",
	} as const;
	const cluster = new Cluster([...nodes], {
		enableOfflineQueue: false,
		clusterRetryStrategy: pauseBefore,
		slotsRefreshInterval: 10_000,
		redisOptions,
	});
	return hearFailures(cluster);
};

/** What the first node's URL says of all nodes, those too that are yet to be found. */
function sharedOf([first]: readonly ClusterNode[]): ClientOptions {
	if (typeof first !== "string" || !URL.canParse(first)) return {};
	const { protocol, username, password } = new URL(first);
	return {
		...(protocol === "rediss:" ? { tls: {} } : {}),
		...(username === "" ? {} : { username: decodeURIComponent(username) }),
		...(password === "" ? {} : { password: decodeURIComponent(password) }),
	};
}

/** A further connection to where a client goes. */
export const connectLike = (client: Redis, answerWithin: number): Redis =>
	hearFailures(
		client.duplicate({ ...ours(answerWithin), ...alone, lazyConnect: false, replyMapping: "legacy" }),
	);

/** A further connection to a cluster's server, which ends when it breaks: another server may have taken over. */
export const connectOnceLike = (node: Redis, answerWithin: number): Redis =>
	hearFailures(
		node.duplicate({
			...ours(answerWithin),
			enableOfflineQueue: false,
			retryStrategy: () => null,
			readOnly: false,
			lazyConnect: false,
			replyMapping: "legacy",
		}),
	);

/** Ends a client at once: a frozen server would let its sockets linger. */
export function hangUp(client: Client): void {
	const connections = isCluster(client) ? client.nodes() : [client];
	client.disconnect();
	for (const { stream } of connections) stream?.destroy();
}
