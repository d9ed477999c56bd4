/** The feed: a process of its own that replays the market over a WebSocket, at the pace that its client asks for. */
import type { AddressInfo } from "node:net";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { type Market, readMarket } from "./datasets.ts";
import { type FeedMessage, FeedRequest } from "./feed-protocol.ts";
import { Pacer } from "./pace.ts";

/** With more bytes than this waiting for a client, the feed holds back. */
const mostBuffered = 1024 * 1024;

/** Timers are too coarse to send 1,000 days a second one by one: in ms, and the days that one timer may send. */
const shortestWait = 4;
const mostAtOnce = 50;

/** Replays to one client, each on its own. */
class Replay {
	readonly #market: Market;
	readonly #socket: WebSocket;
	#pacer: Pacer | undefined;
	#next = 0;
	#ended = false;
	#timer: NodeJS.Timeout | undefined;

	constructor(market: Market, socket: WebSocket) {
		this.#market = market;
		this.#socket = socket;
		const { days, instruments } = market;
		const [first, last] = [days[0], days.at(-1)];
		if (first === undefined || last === undefined) throw new Error("There are no bars to replay.");
		this.#send({
			type: "hello",
			instruments: [...instruments],
			days: days.length,
			first: first.date,
			last: last.date,
		});
		socket.on("message", (data) => this.#hear(data));
		socket.on("close", () => clearTimeout(this.#timer));
		// What is wrong with a socket closes it too, and its client comes again.
		socket.on("error", () => {});
	}

	#hear(data: RawData): void {
		const request = parseRequest(data);
		if (request === undefined) {
			this.#socket.close(1008, "malformed request");
			return;
		}
		const now = performance.now();
		if (request.type === "replay") {
			const from = request.from ?? "";
			const next = this.#market.days.findIndex(({ date }) => date >= from);
			this.#next = next < 0 ? this.#market.days.length : next;
			this.#pacer = new Pacer(request.pace, now);
			this.#ended = false;
		} else {
			this.#pacer?.change(request.pace, now);
		}
		this.#schedule();
	}

	#schedule(): void {
		clearTimeout(this.#timer);
		const wait = this.#ended ? undefined : this.#pacer?.wait;
		if (wait !== undefined) this.#timer = setTimeout(() => this.#advance(), Math.max(wait, shortestWait));
	}

	#advance(): void {
		const { days } = this.#market;
		const due = this.#socket.bufferedAmount > mostBuffered ? 0 : mostAtOnce;
		const count = this.#pacer?.take(performance.now(), due) ?? 0;
		for (const { date, ticks } of days.slice(this.#next, this.#next + count))
			this.#send({ type: "day", number: ++this.#next, date, sentAt: Date.now(), ticks: [...ticks] });
		this.#ended = this.#next >= days.length;
		if (this.#ended) this.#send({ type: "end" });
		this.#schedule();
	}

	#send(message: FeedMessage): void {
		this.#socket.send(JSON.stringify(message));
	}
}

function parseRequest(data: RawData): FeedRequest | undefined {
	try {
		return FeedRequest.safeParse(JSON.parse(String(data))).data;
	} catch {
		return undefined;
	}
}

/** Serves a market on a free port of this machine. */
export async function serveFeed(market: Market): Promise<{ url: string; close: () => void }> {
	const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 4096 });
	server.on("connection", (socket) => new Replay(market, socket));
	await new Promise<void>((resolve, reject) => server.once("listening", resolve).once("error", reject));
	const close = (): void => {
		for (const socket of server.clients) socket.terminate();
		server.close();
	};
	return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

// Forked by the dashboard: tell it where to connect, and end when it does, whichever way it ended.
if (import.meta.main && process.send !== undefined) {
	const feed = await serveFeed(await readMarket());
	process.on("disconnect", () => process.exit());
	// Ctrl+C reaches the whole process group; the dashboard decides when its feed ends.
	process.on("SIGINT", () => {});
	// It may have gone already; then "disconnect" is on its way.
	process.send(feed.url, () => {});
}
