/** The dashboard's end of the feed: starts the feed's process, connects to it, and starts both again when they are lost. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";
import { FeedMessage, type FeedRequest } from "./feed-protocol.ts";

/** Whether the feed can be heard. */
export type FeedStatus = "connecting" | "connected" | "lost";

const shortestRetry = 250;
const longestRetry = 10_000;

/** A connection to a feed that is kept up until a signal ends it. */
export class FeedLink {
	readonly #hear: (message: FeedMessage) => void;
	readonly #tell: (status: FeedStatus) => void;
	#socket: WebSocket | undefined;

	constructor(hear: (message: FeedMessage) => void, tell: (status: FeedStatus) => void) {
		this.#hear = hear;
		this.#tell = tell;
	}

	/** Keeps the connection until the signal aborts; then the feed's process has ended. */
	async run(signal: AbortSignal): Promise<void> {
		let retry = shortestRetry;
		while (!signal.aborted) {
			this.#tell("connecting");
			const started = performance.now();
			await this.#connect(signal);
			if (signal.aborted) return;
			this.#tell("lost");
			// A feed that had been fine for a while deserves a quick start.
			if (performance.now() - started > longestRetry) retry = shortestRetry;
			await sleep(retry, undefined, { signal }).catch(() => {});
			retry = Math.min(retry * 2, longestRetry);
		}
	}

	/** Sends if there is a connection; without one, the next "hello" is the time to ask. */
	send(request: FeedRequest): void {
		if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
	}

	/** One life of the feed's process and of the connection to it; ends when either does. */
	async #connect(signal: AbortSignal): Promise<void> {
		const child = fork(new URL("feed.ts", import.meta.url), { execArgv: [] });
		const exited = once(child, "exit");
		const ending = new AbortController();
		exited.then(() => ending.abort());
		const over = AbortSignal.any([signal, ending.signal]);
		try {
			const [url] = await once(child, "message", { signal: over });
			await this.#listen(String(url), over);
		} catch (error) {
			if (!over.aborted) console.error("The feed failed:", error);
		} finally {
			this.#socket = undefined;
			await end(child, exited);
		}
	}

	async #listen(url: string, over: AbortSignal): Promise<void> {
		const socket = new WebSocket(url);
		// Known from the start: the feed's "hello" may come with the very packet that opens the connection, and is answered.
		this.#socket = socket;
		const close = (): void => socket.terminate();
		over.addEventListener("abort", close);
		try {
			socket.on("message", (data) => this.#hear(FeedMessage.parse(JSON.parse(String(data)))));
			const closed = once(socket, "close");
			await once(socket, "open");
			this.#tell("connected");
			await closed;
		} finally {
			over.removeEventListener("abort", close);
			close();
		}
	}
}

/** Ends a feed's process, which ends by itself when it is told that nobody listens any more. */
async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
	if (child.connected) child.disconnect();
	await exited;
	clearTimeout(timer);
}
