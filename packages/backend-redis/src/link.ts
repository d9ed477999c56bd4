/** The way to the servers: hands calls over only where there is a connection, together, and settles each in time. */
import { Command, type Redis } from "ioredis";
import { isUnsent, Unanswered } from "./failure.js";
import type { Script } from "./script.js";
import type { Redirection, Servers } from "./servers.js";

type Argument = string | number;

/** A script or a command to be run. A cluster's server is found by the first key. */
export type Ask =
	| { readonly script: Script; readonly keys: readonly string[]; readonly args: readonly Argument[] }
	| { readonly command: string; readonly key?: string; readonly args: readonly Argument[] };

/** How long and how much a link waits. */
export interface LinkLimits {
	/** How long a call waits for a connection, in ms. */
	readonly connectWithin: number;
	/** How long a call that was handed over waits for its answer, in ms. */
	readonly answerWithin: number;
	/** How many calls may be unanswered. */
	readonly unanswered: number;
}

interface Call {
	readonly ask: Ask;
	resolve(value: unknown): void;
	reject(error: unknown): void;
	state: "waiting" | "sent" | "settled";
	/** Until when it may wait for a connection. */
	readonly until: number;
	/** Until when it may wait for its answer. */
	readonly end: number;
	/** What a server refused it with, though it may do it later or elsewhere. */
	refusal: Error | undefined;
	/** Where that sent it. */
	redirection: Redirection | undefined;
	/** Whether the server is to be sent the script's text. */
	whole: boolean;
}

/** How long what waits is left alone before it is tried again, in ms: at first, and at most. */
const pauses = { first: 2, longest: 100 } as const;

/** How much is gathered before it is written, in characters: the server begins with it while the rest is made. */
const writtenAtOnce = 65_536;

/**
 * What gathers commands into few writes. A pipeline does it too, but makes an object with all commands as methods each time; and for one call it
 * costs more than the call.
 */
class Gathering {
	readonly isPipeline = true;
	readonly destination: { readonly redis: Redis };
	#gathered = "";
	#open = true;

	constructor(redis: Redis) {
		this.destination = { redis };
	}

	/** Takes a command's bytes; what the client sends again later goes straight on. */
	write(data: string | Buffer): void {
		this.#gathered += data;
		if (!this.#open || this.#gathered.length > writtenAtOnce) this.#flush();
	}

	end(): void {
		this.#open = false;
		if (this.#gathered !== "") this.#flush();
	}

	#flush(): void {
		this.destination.redis.stream.write(this.#gathered);
		this.#gathered = "";
	}
}

/** Calls to one server or one cluster. */
export class Link {
	readonly #servers: Servers;
	readonly #limits: LinkLimits;
	readonly #used: (connection: Redis) => void;
	readonly #open = new Set<Call>();
	readonly #waiting = new Set<Call>();
	readonly #again: Call[] = [];
	#retry: NodeJS.Timeout | undefined;
	#pause: number = pauses.first;
	#look: NodeJS.Timeout | undefined;

	/** `used` is told each connection that calls are sent on, each time. */
	constructor(servers: Servers, limits: LinkLimits, used: (connection: Redis) => void = () => {}) {
		this.#servers = servers;
		this.#limits = limits;
		this.#used = used;
	}

	/** Runs all that is asked, in order, one promise each; what it rejects with is told by {@link failureOf}. */
	run(asks: readonly Ask[]): Promise<unknown>[] {
		if (this.#open.size + asks.length > this.#limits.unanswered) {
			const error = new Unanswered("busy", `${this.#open.size} calls wait for Redis already: slow down`);
			return asks.map(() => Promise.reject(error));
		}
		const { connectWithin, answerWithin } = this.#limits;
		const now = performance.now();
		const [until, end] = [now + connectWithin, now + answerWithin];
		const calls: Call[] = [];
		const answers = asks.map((ask) => {
			const { promise, resolve, reject } = Promise.withResolvers<unknown>();
			const call: Call = {
				ask,
				resolve,
				reject,
				state: "waiting",
				until,
				end,
				refusal: undefined,
				redirection: undefined,
				whole: false,
			};
			this.#open.add(call);
			calls.push(call);
			return promise;
		});
		if (this.#look === undefined) this.#lookIn(answerWithin);
		this.#dispatch(calls);
		return answers;
	}

	/** Settles what is unanswered. */
	close(): void {
		clearTimeout(this.#retry);
		clearTimeout(this.#look);
		this.#servers.release();
		for (const call of this.#open)
			this.#fail(call, call.state === "sent" ? "unknown" : "unavailable", "the connection was closed");
		this.#waiting.clear();
	}

	#dispatch(calls: Iterable<Call>): void {
		const groups = new Map<Redis, Call[]>();
		for (const call of calls) {
			const { ask } = call;
			const key = "script" in ask ? ask.keys[0] : ask.key;
			const redirected = call.redirection?.connection;
			const connection = redirected?.status === "ready" ? redirected : this.#servers.connectionTo(key);
			const group = connection && groups.get(connection);
			if (group !== undefined) group.push(call);
			else if (connection !== undefined) groups.set(connection, [call]);
			else if (this.#servers.ended) this.#fail(call, "unavailable", "the connection to Redis was closed");
			else this.#wait(call);
		}
		for (const [connection, group] of groups) this.#send(connection, group);
	}

	#wait(call: Call): void {
		call.state = "waiting";
		this.#waiting.add(call);
		if (this.#retry !== undefined) return;
		this.#retry = setTimeout(() => this.#tryAgain(), this.#pause);
		this.#pause = Math.min(pauses.longest, this.#pause * 1.5);
	}

	#tryAgain(): void {
		this.#retry = undefined;
		if (this.#pause === pauses.longest) this.#servers.doubt();
		const now = performance.now();
		const calls = [];
		for (const call of this.#waiting) {
			if (call.state !== "waiting") continue;
			if (now < call.until) calls.push(call);
			else this.#fail(call, "unavailable", this.#reason(call), call.refusal);
		}
		this.#waiting.clear();
		this.#dispatch(calls);
	}

	#reason({ refusal }: Call): string {
		const { connectWithin } = this.#limits;
		if (refusal !== undefined) return `Redis refused for ${connectWithin} ms: ${refusal.message}`;
		const { failure } = this.#servers;
		const why = failure === undefined ? "" : ` (${failure})`;
		return `Redis is out of reach: no connection within ${connectWithin} ms${why}`;
	}

	/** One timer for all calls, which stand in the order in which their time ends: one each costs more than the rest of a call. */
	#lookIn(ms: number): void {
		this.#look = setTimeout(() => this.#giveUp(), Math.max(1, ms)).unref();
	}

	#giveUp(): void {
		this.#look = undefined;
		const now = performance.now();
		const message = `Redis did not answer within ${this.#limits.answerWithin} ms`;
		let isLate = false;
		for (const call of this.#open) {
			if (call.end > now) {
				this.#lookIn(call.end - now);
				break;
			}
			this.#fail(call, call.state === "sent" ? "unknown" : "unavailable", message);
			isLate = true;
		}
		if (isLate) this.#servers.doubt();
	}

	/** Writes all of them together. */
	#send(connection: Redis, calls: readonly Call[]): void {
		this.#used(connection);
		const { keyPrefix } = connection.options;
		const options = { replyEncoding: "utf8", ...(keyPrefix && { keyPrefix }) } as const;
		const gathering = calls.length === 1 ? undefined : new Gathering(connection);
		const send = (name: string, args: Argument[]): Promise<unknown> => {
			const command = new Command(name, args, options);
			connection.sendCommand(command, gathering);
			return command.promise;
		};
		for (const call of calls) {
			const { ask, redirection } = call;
			call.state = "sent";
			call.redirection = undefined;
			if (redirection?.asking && redirection.connection === connection) send("asking", []).catch(() => {});
			let answer: Promise<unknown>;
			if (!("script" in ask)) answer = send(ask.command, [...ask.args]);
			else {
				const { script, keys, args } = ask;
				const [command, text] = call.whole ? ["eval", script.text] : ["evalsha", script.hash];
				answer = send(command, [text, keys.length, ...keys, ...args]);
			}
			answer.then(
				(value) => this.#answered(call, null, value),
				(error) => this.#answered(call, error),
			);
		}
		gathering?.end();
	}

	#answered(call: Call, error: Error | null, value?: unknown): void {
		if (call.state === "settled") return;
		if (error === null) {
			this.#pause = pauses.first;
			this.#settle(call);
			call.resolve(value);
		} else if ("script" in call.ask && !call.whole && error.message.startsWith("NOSCRIPT")) {
			// Restarted, flushed or failed over: it is sent the text, and knows it from then on.
			call.whole = true;
			this.#later(call);
		} else if (isUnsent(error)) {
			// The connection broke before it was written: it waits for the next one.
			this.#later(call);
		} else if (this.#servers.isPassing(error)) {
			const isFirst = call.refusal === undefined;
			call.refusal = error;
			call.redirection = this.#servers.redirection(error);
			// Servers that send it to each other have not agreed yet: only the first is followed at once.
			if (isFirst && call.redirection !== undefined) this.#later(call);
			else this.#wait(call);
		} else {
			this.#settle(call);
			call.reject(error);
		}
	}

	/** Once all that a connection answers or loses at once has been looked at, those of them that are to be sent again go out together. */
	#later(call: Call): void {
		call.state = "waiting";
		this.#again.push(call);
		if (this.#again.length > 1) return;
		setImmediate(() => this.#dispatch(this.#again.splice(0).filter(({ state }) => state === "waiting")));
	}

	#fail(call: Call, failed: Unanswered["failed"], message: string, cause?: Error): void {
		if (call.state === "settled") return;
		this.#settle(call);
		call.reject(new Unanswered(failed, message, { cause }));
	}

	#settle(call: Call): void {
		call.state = "settled";
		this.#open.delete(call);
	}
}
