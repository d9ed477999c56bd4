/** The way to the server: hands calls over only where there is a connection, in one write, and settles each in time. */
import type { Cluster, Redis } from "ioredis";
import { failureOf, isUnsent, Unanswered } from "./failure.js";
import type { Script } from "./script.js";

/** A client of ioredis, to one server or to a cluster. */
export type Client = Redis | Cluster;

type Argument = string | number;

/** A script or a command to be run. */
export type Ask =
	| { readonly script: Script; readonly keys: readonly string[]; readonly args: readonly Argument[] }
	| { readonly command: string; readonly args: readonly Argument[] };

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
}

/** Calls to one client. */
export class Link {
	readonly #client: Client;
	readonly #limits: LinkLimits;
	readonly #open = new Set<Call>();
	#waiting: Call[] = [];

	constructor(client: Client, limits: LinkLimits) {
		this.#client = client;
		this.#limits = limits;
	}

	/** Runs all that is asked, in order, one promise each; what it rejects with is told by {@link failureOf}. */
	run(asks: readonly Ask[]): Promise<unknown>[] {
		if (this.#open.size + asks.length > this.#limits.unanswered) {
			const error = new Unanswered("busy", `${this.#open.size} calls wait for Redis already: slow down`);
			return asks.map(() => Promise.reject(error));
		}
		const calls: Call[] = [];
		const answers = asks.map((ask) => {
			const { promise, resolve, reject } = Promise.withResolvers<unknown>();
			const call: Call = { ask, resolve, reject, state: "waiting" };
			this.#open.add(call);
			calls.push(call);
			return promise;
		});
		let left = calls.length;
		const giveUp = setTimeout(() => {
			const message = `Redis did not answer within ${this.#limits.answerWithin} ms`;
			for (const call of calls) this.#fail(call, call.state === "sent" ? "unknown" : "unavailable", message);
		}, this.#limits.answerWithin);
		for (const answer of answers) {
			const done = (): void => {
				if (--left === 0) clearTimeout(giveUp);
			};
			answer.then(done, done);
		}
		this.#dispatch(calls);
		return answers;
	}

	/** Settles what is unanswered. */
	close(): void {
		this.#waiting = [];
		this.#client.off("ready", this.#ready);
		for (const call of this.#open)
			this.#fail(call, call.state === "sent" ? "unknown" : "unavailable", "the connection was closed");
	}

	#dispatch(calls: readonly Call[]): void {
		const client = this.#client;
		if (client.status === "ready") {
			this.#send(calls);
			return;
		}
		if (client.status === "end") {
			for (const call of calls) this.#fail(call, "unavailable", "the connection to Redis was closed");
			return;
		}
		if (client.status === "wait") client.connect().catch(() => {});
		if (this.#waiting.length === 0) client.on("ready", this.#ready);
		this.#waiting.push(...calls);
		const { connectWithin } = this.#limits;
		setTimeout(() => {
			for (const call of calls)
				if (call.state === "waiting")
					this.#fail(call, "unavailable", `Redis is out of reach: no connection within ${connectWithin} ms`);
			this.#waiting = this.#waiting.filter(({ state }) => state === "waiting");
			if (this.#waiting.length === 0) client.off("ready", this.#ready);
		}, connectWithin).unref();
	}

	readonly #ready = (): void => {
		this.#client.off("ready", this.#ready);
		const calls = this.#waiting;
		this.#waiting = [];
		this.#dispatch(calls.filter(({ state }) => state === "waiting"));
	};

	/** One write for all of them; a cluster's client gathers by node on its own. */
	#send(calls: readonly Call[]): void {
		if (calls.length === 0) return;
		const pipeline = this.#client.isCluster ? undefined : this.#client.pipeline();
		for (const call of calls) {
			call.state = "sent";
			const { ask } = call;
			const [command, args]: [string, Argument[]] =
				"script" in ask
					? ["evalsha", [ask.script.hash, ask.keys.length, ...ask.keys, ...ask.args]]
					: [ask.command, [...ask.args]];
			const answered = (error: Error | null | undefined, value?: unknown): void =>
				this.#answered(call, error, value);
			if (pipeline === undefined) void this.#client.call(command, args, answered).catch(() => {});
			else pipeline.call(command, args, answered);
		}
		pipeline?.exec().catch(() => {});
	}

	#answered(call: Call, error: Error | null | undefined, value: unknown): void {
		if (call.state === "settled") return;
		if (error === null || error === undefined) {
			this.#settle(call);
			call.resolve(value);
		} else if ("script" in call.ask && error.message.startsWith("NOSCRIPT")) {
			// Restarted, flushed or failed over: it is sent the text, and knows it from then on.
			const { script, keys, args } = call.ask;
			this.#client
				.call("eval", [script.text, keys.length, ...keys, ...args])
				.then((late) => this.#answered(call, null, late))
				.catch((late: Error) => this.#answered(call, late, undefined));
		} else if (isUnsent(error)) {
			// The connection broke before it was written: it waits for the next one.
			call.state = "waiting";
			setImmediate(() => {
				if (call.state === "waiting") this.#dispatch([call]);
			});
		} else {
			this.#settle(call);
			call.reject(error);
		}
	}

	#fail(call: Call, failed: Unanswered["failed"], message: string): void {
		if (call.state === "settled") return;
		this.#settle(call);
		call.reject(new Unanswered(failed, message));
	}

	#settle(call: Call): void {
		call.state = "settled";
		this.#open.delete(call);
	}
}
