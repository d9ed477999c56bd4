/** Redis as a backend. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Duration,
	type Failure,
	HoldfastError,
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
} from "@holdfast/core";
import type { RedisOptions as ClientOptions, Redis } from "ioredis";
import { commitScript } from "./commit-script.js";
import { connect, connectLike } from "./connect.js";
import { failureOf, isOutOfMemory } from "./failure.js";
import { Inspection } from "./inspection.js";
import { bucketCount, bucketKeys, commitKeys, scopeKeys } from "./keys.js";
import { type Ask, Link, type LinkLimits } from "./link.js";
import { dropScript, listScript, logScript, readScript } from "./read-scripts.js";
import { Script } from "./script.js";
import { hangUp, Subscriber } from "./subscriber.js";
import { batchArguments, parseAnswer, parseEntry, parseRead, parseRecords, stateField } from "./wire.js";

/** Options of {@link redis}. */
export interface RedisOptions {
	/** An ioredis client of the application's: shared, and never closed. Otherwise one is made of the URL. */
	readonly client?: Redis;
	/** What all keys and channels begin with. Default `hf`. */
	readonly prefix?: string;
	/** Options of the client that is made: TLS, a user and its password, Sentinels. */
	readonly connection?: ClientOptions;
	/** How long a call waits for a connection before it is `unavailable`. Default 2 s. */
	readonly connectWithin?: Duration;
	/** How long a call that was handed over waits for its answer; a connection that says nothing for so long is given up. Default 5 s. */
	readonly answerWithin?: Duration;
	/** How many calls may wait for Redis (reads that go together are one more); further ones are `busy`. Default 100,000. */
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

/**
 * Redis 6.2 or newer as a backend.
 *
 * @example
 * ```ts
 * const manager = createStateManager({ backend: redis("redis://localhost:6379") });
 * ```
 */
export const redis = (url: string | RedisOptions, options: RedisOptions = {}): Backend =>
	typeof url === "string" ? new RedisBackend(url, options) : new RedisBackend(undefined, url);

class RedisBackend implements Backend {
	readonly name = "redis";
	readonly traits = { reach: "network", durable: true } as const;
	readonly #url: string | undefined;
	readonly #options: RedisOptions;
	readonly #prefix: string;
	readonly #limits: LinkLimits;
	readonly #inspection = new Inspection();
	#client: Redis | undefined;
	#link: Link | undefined;
	#subscriber: Subscriber | undefined;

	constructor(url: string | undefined, options: RedisOptions) {
		const { prefix = "hf", connectWithin = 2000, answerWithin = 5000, unanswered = 100_000 } = options;
		this.#url = url;
		this.#options = options;
		this.#prefix = prefix;
		this.#limits = {
			connectWithin: parseDuration(connectWithin, "connectWithin"),
			answerWithin: parseDuration(answerWithin, "answerWithin"),
			unanswered,
		};
	}

	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		if (asks.length === 0) return [];
		const offset = this.#offset();
		const found = this.#run([
			...asks.map(({ scope, keys }) => ({
				command: "hmget",
				args: [scopeKeys(this.#prefix, scope).entries, stateField, ...keys],
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
				return answer ?? this.#readAtOneInstant(ask);
			}, unread);
		});
	}

	/** Where a deadline has passed, or may have between the look at the entries and the look at the clock. */
	async #readAtOneInstant({ scope, keys }: ReadAsk): Promise<ReadAnswer | Failure> {
		const { entries, order, changes } = scopeKeys(this.#prefix, scope);
		const ask = { script: scripts.read, keys: [entries, order, changes], args: [this.#offset(), ...keys] };
		try {
			const [head, now, next, ...found] = (await this.#run([ask])[0]) as [
				string,
				string,
				string,
				...(string | null)[],
			];
			return {
				head: Number(head),
				now: Number(now),
				next: next === "0" ? null : Number(next),
				entries: keys.map((key, at) => (found[at] ? parseEntry(key, found[at]) : null)),
			};
		} catch (cause) {
			return unread(cause);
		}
	}

	commit(batches: readonly Batch[]): Promise<BatchAnswer | Failure>[] {
		const offset = this.#offset();
		const answers = this.#run(
			batches.map((batch) => {
				const keys = scopeKeys(this.#prefix, batch.scope);
				return {
					script: scripts.commit,
					keys: commitKeys(keys),
					args: batchArguments(batch, keys.channel, offset),
				};
			}),
		);
		return answers.map((answer, i) =>
			answer.then(
				(text) => parseAnswer(text as string),
				(cause) => (isOutOfMemory(cause) ? this.#full(batches[i] as Batch, cause) : failureOf(cause)),
			),
		);
	}

	async list(scope: ScopeId, { from, to, limit, bytes }: KeyRange): Promise<ListPage> {
		const { entries, order, changes } = scopeKeys(this.#prefix, scope);
		const [head, now, next, ...found] = (await this.#ask({
			script: scripts.list,
			keys: [entries, order, changes],
			args: [this.#offset(), from, to ?? "", limit, bytes],
		})) as string[];
		const listed = [];
		for (let i = 0; i < found.length; i += 2)
			listed.push(parseEntry(found[i] as string, found[i + 1] as string));
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
			script: scripts.log,
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
		const { channel } = scopeKeys(this.#prefix, scope);
		try {
			this.#subscriber ??= new Subscriber(this.#further(), this.#limits);
			return await this.#subscriber.watch(channel, listener);
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
				? { command: "zrangebyscore", args: [keys.due, "-inf", now] }
				: { command: "zrangebylex", args: [keys.scopes, from, "+", "LIMIT", 0, limit + 1] };
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
		const keys = scopeKeys(this.#prefix, scope);
		await this.#ask({ script: scripts.drop, keys: commitKeys(keys), args: [scope, keys.channel] });
	}

	problems(listener: (problem: string) => void): Unwatch {
		return this.#inspection.listen(listener);
	}

	async close(): Promise<void> {
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

	#run(asks: readonly Ask[]): Promise<unknown>[] {
		this.#link ??= new Link(this.#options.client ?? this.#own(), this.#limits);
		this.#inspection.begin(this.#link);
		return this.#link.run(asks);
	}

	async #ask(ask: Ask): Promise<unknown> {
		try {
			return await this.#run([ask])[0];
		} catch (cause) {
			throw errorOf(cause);
		}
	}

	#own(): Redis {
		this.#client ??= connect(this.#url, this.#options.connection, this.#limits.answerWithin);
		return this.#client;
	}

	/** A connection beside the one for calls. */
	#further(): Redis {
		const { client, connection } = this.#options;
		const { answerWithin } = this.#limits;
		return client === undefined
			? connect(this.#url, connection, answerWithin)
			: connectLike(client, answerWithin);
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

/** What `TIME` answers, in ms. */
function millisecondsOf(time: unknown): number {
	const [seconds, micros] = time as [string, string];
	return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

/** A read that is not answered changed nothing. */
function unread(cause: unknown): Failure {
	const failure = failureOf(cause);
	return failure.failed === "unknown" ? { ...failure, failed: "unavailable" } : failure;
}

function errorOf(cause: unknown): HoldfastError {
	const { failed, message } = unread(cause);
	const code = failed === "refused" ? "failed" : failed === "busy" ? "busy" : "unavailable";
	return new HoldfastError(code, message, { cause });
}
