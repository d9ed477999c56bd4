/** Redis as a backend. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Duration,
	type Failure,
	HoldfastError,
	isHoldfastError,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	parseDuration,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
	type Signal,
	type Unwatch,
	wholeNumber,
} from "@holdfast/core";
import type { RedisOptions as ClientOptions, Cluster, ClusterNode, Redis, SentinelAddress } from "ioredis";
import { channelPrefix } from "./channels.js";
import { commitScript } from "./commit-script.js";
import { connect, connectCluster, connectLike, hangUp } from "./connect.js";
import { failureOf, isOutOfMemory, saidByServer } from "./failure.js";
import { Inspection } from "./inspection.js";
import { bucketCount, bucketKeys, checkedPrefix, entriesKey, missingKey, scopeKeys } from "./keys.js";
import { type Ask, Link, type LinkLimits } from "./link.js";
import { dropScript, listScript, logScript, readScript } from "./read-scripts.js";
import { Script } from "./script.js";
import { type Client, isCluster, serversOf } from "./servers.js";
import { ShardedSubscriber } from "./sharded-subscriber.js";
import { Subscriber } from "./subscriber.js";
import { packed, parseAnswer, parseEntry, parseRead, parseRecords, pushBatch, readFields } from "./wire.js";

/** Options of {@link redis}. */
export interface RedisOptions {
	/**
	 * An ioredis client of the application's, to one server, behind Sentinels, or a `Cluster`: shared, and never closed. Otherwise one is made of
	 * the URL, of `sentinels` or of `nodes`.
	 */
	readonly client?: Redis | Cluster;
	/** Sentinels that know which server is the primary. */
	readonly sentinels?: readonly Partial<SentinelAddress>[];
	/** What the Sentinels call the primary, such as `mymaster`. */
	readonly name?: string;
	/** Some nodes of a cluster, as URLs or addresses; the others are found. Scheme, user and password of the first URL are for all. */
	readonly nodes?: readonly ClusterNode[];
	/** What all keys and channels begin with. Default `hf`. */
	readonly prefix?: string;
	/** Options of the client that is made, in a cluster of that to each node: TLS, a user and its password. */
	readonly connection?: ClientOptions;
	/** How long a call waits for a connection before it is `unavailable`. Default 2 s. */
	readonly connectWithin?: Duration;
	/** How long a call that was handed over waits for its answer; a connection that says nothing for so long is given up. Default 5 s. */
	readonly answerWithin?: Duration;
	/** How many calls may wait for Redis (reads that go together are one more, commits to up to 32 scopes that do are one); further ones are `busy`. Default 100,000. */
	readonly unanswered?: number;
	/** Milliseconds that are added to the server's clock, for tests of deadlines. */
	readonly clockOffset?: () => number;
}

const scripts = {
	commit: new Script(commitScript),
	read: new Script(readScript),
	list: new Script(listScript),
	log: new Script(logScript),
	drop: new Script(dropScript),
};

const scriptsOfCluster = {
	...scripts,
	commit: new Script(sharded(commitScript)),
	drop: new Script(sharded(dropScript)),
};

/**
 * Redis 6.2 or newer as a backend: one server, a primary behind Sentinels, or a cluster.
 *
 * @throws HoldfastError `invalid-argument` for a malformed URL, duration, bound or prefix, or for more than one way to the server, or none.
 *
 * @example
 * ```ts
 * redis("redis://localhost:6379");
 * redis({ sentinels: [{ host: "sentinel-1", port: 26379 }], name: "mymaster" });
 * redis({ nodes: ["redis://node-1:6379", "redis://node-2:6379"] });
 * ```
 */
export function redis(url: string | RedisOptions, options: RedisOptions = {}): Backend {
	if (typeof url === "object") return new RedisBackend(undefined, url);
	// ioredis takes anything else for a host's name, and nothing for this machine.
	if (!/^rediss?:\/\/|^\//.test(url))
		throw new HoldfastError(
			"invalid-argument",
			"the URL must begin with redis:// or rediss://, or be the path of a socket",
		);
	return new RedisBackend(url, options);
}

class RedisBackend implements Backend {
	readonly name = "redis";
	readonly traits = { reach: "network", durable: true } as const;
	readonly #url: string | undefined;
	readonly #options: RedisOptions;
	readonly #prefix: string;
	readonly #limits: LinkLimits;
	readonly #inspection = new Inspection();
	readonly #scripts: typeof scripts;
	readonly #clustered: boolean;
	#client: Client | undefined;
	#link: Link | undefined;
	#subscriber: Subscriber | ShardedSubscriber | undefined;
	#channelPrefix: string | undefined;
	#closed = false;

	constructor(url: string | undefined, options: RedisOptions) {
		const { prefix = "hf", connectWithin = 2000, answerWithin = 5000, unanswered = 100_000 } = options;
		const { client, sentinels, nodes } = options;
		if ([url, client, sentinels, nodes].filter((way) => way !== undefined).length > 1)
			throw new HoldfastError("invalid-argument", "give one of a URL, client, sentinels and nodes");
		this.#url = url;
		this.#options = options;
		this.#prefix = checkedPrefix(prefix);
		this.#clustered = nodes !== undefined || (client !== undefined && isCluster(client));
		this.#scripts = this.#clustered ? scriptsOfCluster : scripts;
		this.#limits = {
			connectWithin: parseDuration(connectWithin, "connectWithin"),
			answerWithin: parseDuration(answerWithin, "answerWithin"),
			unanswered: wholeNumber("unanswered", unanswered, 1),
		};
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		if (asks.length === 0) return [];
		// Each of a cluster's servers has a clock of its own.
		if (this.#clustered) return this.#readAtOneInstant(asks);
		const offset = this.#offset();
		const found = this.#run([
			...asks.map(({ scope, keys }) => ({
				command: "hmget",
				args: [entriesKey(this.#prefix, scope), ...readFields, ...keys],
			})),
			{ command: "time", args: [] },
		]);
		// An answer that comes after the clock's was asked for again on its way, and may be younger than the clock says.
		let told = false;
		const clock = (found.pop() as Promise<unknown>).then((time) => {
			told = true;
			return millisecondsOf(time) + offset;
		});
		return asks.map((ask, i) => {
			const raw = (found[i] as Promise<unknown>).then((given) => (told ? undefined : given));
			return Promise.all([raw, clock]).then(([given, now]) => {
				const answer = given ? parseRead(ask.keys, given as (string | null)[], now) : undefined;
				return answer ?? (this.#readAtOneInstant([ask])[0] as Promise<ReadAnswer | Failure>);
			}, unread);
		});
	}

	/** In a cluster, and where a deadline has passed, or may have between the look at the entries and the look at the clock. */
	#readAtOneInstant(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const offset = this.#offset();
		const answers = this.#run(
			asks.map(({ scope, keys }) => {
				const { entries, order, changes } = scopeKeys(this.#prefix, scope);
				return { script: this.#scripts.read, keys: [entries, order, changes], args: [offset, ...keys] };
			}),
		);
		return answers.map((answer, i) =>
			answer.then((given) => {
				const [head, now, next, first, ...found] = given as [
					string,
					string,
					string,
					string,
					...(string | null)[],
				];
				const { keys } = asks[i] as ReadAsk;
				return {
					head: Number(head),
					now: Number(now),
					next: next === "0" ? null : Number(next),
					entries: keys.map((key, at) => (found[at] ? parseEntry(key, found[at], Number(first)) : null)),
				};
			}, unread),
		);
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		// A cluster's scripts are of one slot.
		const packs = this.#clustered ? batches.map((batch) => [batch]) : packed(batches);
		const [offset, channels] = [this.#offset(), this.#channels()];
		const answers = this.#run(
			packs.map((pack) => {
				const args: (string | number)[] = [offset, `${channels}:`];
				for (const batch of pack) pushBatch(args, batch);
				return { script: this.#scripts.commit, keys: this.#writtenKeys(pack), args };
			}),
		);
		return packs.flatMap((pack, i) =>
			pack.map((batch, at) =>
				(answers[i] as Promise<unknown>).then(
					(texts) => parseAnswer((texts as string[])[at] as string),
					(cause) => {
						// One of them broke it off: which one, and why, is said where each is alone. What was done is recognised.
						if (pack.length > 1 && saidByServer(cause) && !this.#closed)
							return this.commit([batch])[0] as Promise<BatchAnswer>;
						return isOutOfMemory(cause) ? this.#full(batch, cause) : failureOf(cause);
					},
				),
			),
		);
	}

	async list(scope: ScopeId, { from, to, limit, bytes }: KeyRange): Promise<ListPage> {
		const { entries, order, changes } = scopeKeys(this.#prefix, scope);
		const [head, now, next, first, ...found] = (await this.#ask({
			script: this.#scripts.list,
			keys: [entries, order, changes],
			args: [this.#offset(), from, to ?? "", limit, bytes],
		})) as string[];
		const listed = [];
		for (let i = 0; i < found.length; i += 2)
			listed.push(parseEntry(found[i] as string, found[i + 1] as string, Number(first)));
		return {
			entries: listed,
			next: next === "" ? null : (next as string),
			head: Number(head),
			now: Number(now),
		};
	}

	async log(scope: ScopeId, after: number, { of, limit, bytes, newest = false }: LogQuery): Promise<LogPage> {
		const { entries, order, changes, events } = scopeKeys(this.#prefix, scope);
		const [head, now, more, ...records] = (await this.#ask({
			script: this.#scripts.log,
			keys: [entries, order, of === "events" ? events : changes],
			args: [this.#offset(), after, of === "events" ? 1 : 0, limit, bytes, newest ? 1 : 0],
		})) as string[];
		return {
			records: parseRecords(`[${records.join(",")}]`),
			more: more === "1",
			head: Number(head),
			now: Number(now),
		};
	}

	async watch(scope: ScopeId, listener: (signal: Signal) => void): Promise<Unwatch> {
		try {
			if (this.#closed) throw closed();
			this.#subscriber ??= this.#subscribing();
			return await this.#subscriber.watch(scopeKeys(this.#channels(), scope).channel, listener);
		} catch (cause) {
			throw errorOf(cause);
		}
	}

	async scopes({ prefix, after, limit, due = false }: ScopeRange): Promise<ScopePage> {
		const now = millisecondsOf(await this.#ask({ command: "time", args: [] })) + this.#offset();
		const from = after === null ? `[${prefix}` : `(${after}`;
		const asks = Array.from({ length: bucketCount }, (_, bucket): Ask => {
			const keys = bucketKeys(this.#prefix, bucket);
			return due
				? { command: "zrangebyscore", key: keys.due, args: [keys.due, "-inf", now] }
				: { command: "zrangebylex", key: keys.scopes, args: [keys.scopes, from, "+", "LIMIT", 0, limit + 1] };
		});
		const buckets = (await Promise.all(this.#run(asks)).catch((cause) => {
			throw errorOf(cause);
		})) as ScopeId[][];
		const found = buckets
			.flat()
			.filter(
				(scope) =>
					scope.startsWith(prefix) &&
					(after === null || Buffer.compare(Buffer.from(scope), Buffer.from(after)) > 0),
			)
			.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
		const answers = await Promise.all(this.read(found.slice(0, limit).map((scope) => ({ scope, keys: [] }))));
		const scopes = answers.flatMap((answer, i) => {
			if ("failed" in answer) throw errorOf(answer.cause);
			// The index of a scope that Redis itself expired is tidied when it is due.
			if (answer.head === 0 && answer.next === null && !due) return [];
			return [{ scope: found[i] as ScopeId, head: answer.head, next: answer.next }];
		});
		return { scopes, more: found.length > limit, now };
	}

	async drop(scope: ScopeId): Promise<void> {
		const { channel } = scopeKeys(this.#channels(), scope);
		await this.#ask({
			script: this.#scripts.drop,
			keys: this.#writtenKeys([{ scope }]),
			args: [channel, this.#offset()],
		});
	}

	problems(listener: (problem: string) => void): Unwatch {
		return this.#inspection.listen(listener);
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#subscriber?.close();
		this.#subscriber = undefined;
		this.#link?.close();
		this.#link = undefined;
		if (this.#client !== undefined) hangUp(this.#client);
		this.#client = undefined;
	}

	#offset(): number {
		return this.#options.clockOffset?.() ?? 0;
	}

	/** What channels begin with: a server has them once for all its databases and for whatever a client puts before keys. */
	#channels(): string {
		this.#channelPrefix ??= this.#closed ? this.#prefix : channelPrefix(this.#prefix, this.#calls());
		return this.#channelPrefix;
	}

	/** The keys that scripts that write are told. */
	#writtenKeys(scopes: readonly { readonly scope: ScopeId }[]): string[] {
		const written = scopes.map(({ scope }) => entriesKey(this.#prefix, scope));
		if (this.#clustered)
			for (const { scope } of scopes) written.push(missingKey(scopeKeys(this.#prefix, scope)));
		return written;
	}

	#run(asks: readonly Ask[]): Promise<unknown>[] {
		if (this.#closed) return asks.map(() => Promise.reject(closed()));
		this.#link ??= new Link(serversOf(this.#calls()), this.#limits, (connection) =>
			this.#inspection.look(connection),
		);
		return this.#link.run(asks);
	}

	async #ask(ask: Ask): Promise<unknown> {
		try {
			return await this.#run([ask])[0];
		} catch (cause) {
			throw errorOf(cause);
		}
	}

	/** The client for calls. */
	#calls(): Client {
		if (this.#options.client !== undefined) return this.#options.client;
		const { nodes, connection } = this.#options;
		this.#client ??=
			nodes === undefined ? this.#connect() : connectCluster(nodes, connection, this.#limits.answerWithin);
		return this.#client;
	}

	#connect(): Redis {
		const { sentinels, name, connection } = this.#options;
		const options =
			sentinels === undefined
				? connection
				: { ...connection, sentinels: [...sentinels], name: name ?? "mymaster" };
		return connect(this.#url, options, this.#limits.answerWithin);
	}

	/** What hears of changes, over connections beside those for calls. */
	#subscribing(): Subscriber | ShardedSubscriber {
		const limits = this.#limits;
		const { client } = this.#options;
		if (client === undefined && !this.#clustered) return new Subscriber(this.#connect(), limits);
		const calls = this.#calls();
		return isCluster(calls)
			? new ShardedSubscriber(calls, limits)
			: new Subscriber(connectLike(calls, limits.answerWithin), limits);
	}

	/** The server has no memory: each commit of the batch is refused as `full`. */
	async #full({ scope, commits }: Batch, cause: unknown): Promise<BatchAnswer | Failure> {
		const answer = await (this.read([{ scope, keys: [] }])[0] as Promise<ReadAnswer | Failure>);
		if ("failed" in answer) return failureOf(cause);
		const { head, now, next } = answer;
		const outcomes = commits.map(() => ({ ok: false, why: "full", index: 0, entry: null }) as const);
		return { head, now, next, outcomes };
	}
}

/**
 * A script that publishes to who subscribes to the shard. A server of 6.2 has no such channels, and a user may not be allowed them: then it
 * publishes to all of the cluster.
 */
function sharded(script: string): string {
	return `
local function publish(channel, message)
  local told = redis.pcall('SPUBLISH', channel, message)
  if type(told) == 'table' then redis.pcall('PUBLISH', channel, message) end
end
${script.replaceAll("redis.pcall('PUBLISH', ", "publish(")}`;
}

/** What `TIME` answers, in ms. */
function millisecondsOf(time: unknown): number {
	const [seconds, micros] = time as [string, string];
	return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

/** A read that is not answered changed nothing; what the server answers with an error it answers so again, such as that a key is of another type. */
function unread(cause: unknown): Failure {
	const failure = failureOf(cause);
	if (failure.failed !== "unknown") return failure;
	return { ...failure, failed: saidByServer(cause) ? "refused" : "unavailable" };
}

const closed = (): HoldfastError =>
	new HoldfastError("closed", "this backend was closed: make a new one with redis()");

function errorOf(cause: unknown): HoldfastError {
	if (isHoldfastError(cause)) return cause;
	const { failed, message } = unread(cause);
	const code = failed === "refused" ? "failed" : failed === "busy" ? "busy" : "unavailable";
	return new HoldfastError(code, message, { cause });
}
