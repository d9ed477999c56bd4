/** Makes the connections that are the backend's own. */
import { type RedisOptions as ClientOptions, Redis } from "ioredis";

/**
 * What a connection of ours does: it keeps no queue and sends nothing twice by itself, so that each call knows whether it was handed over
 * (the link waits, and core sends again); a server that says nothing is left; a primary that became a replica too.
 */
const ours = (answerWithin: number): ClientOptions => ({
	enableOfflineQueue: false,
	maxRetriesPerRequest: 0,
	autoResendUnfulfilledCommands: false,
	autoResubscribe: false,
	socketTimeout: answerWithin,
	reconnectOnError: (error) => error.message.startsWith("READONLY"),
	retryStrategy: (times) => Math.min(1000, 25 * 2 ** Math.min(times, 6)) * (0.5 + Math.random() / 2),
});

// Without a listener an error would be printed; each call says for itself what failed.
const quiet = (client: Redis): Redis => client.on("error", () => {});

/** A connection to a URL, or to what the options say: a host, Sentinels. */
export const connect = (
	url: string | undefined,
	options: ClientOptions | undefined,
	answerWithin: number,
): Redis => {
	const all = { ...ours(answerWithin), ...options, replyMapping: "legacy" } as const;
	return quiet(url === undefined ? new Redis(all) : new Redis(url, all));
};

/** A further connection to where a client goes. */
export const connectLike = (client: Redis, answerWithin: number): Redis =>
	quiet(client.duplicate({ ...ours(answerWithin), lazyConnect: false, replyMapping: "legacy" }));
