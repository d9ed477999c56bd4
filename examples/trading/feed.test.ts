import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import WebSocket from "ws";
import { makeMarket } from "./datasets.ts";
import { serveFeed } from "./feed.ts";
import { FeedMessage, type FeedRequest } from "./feed-protocol.ts";

const days = Array.from({ length: 9 }, (_, i) => `2000-01-0${i + 1}`);
const market = makeMarket(
	days.map((date) => ({ symbol: "SP500", date, bar: { open: 1, high: 1, low: 1, close: 1, volume: 1 } })),
	[],
);

const closers: (() => unknown)[] = [];
afterEach(() => {
	for (const close of closers.splice(0)) close();
});

/** A client that collects what it hears. */
async function connect() {
	const feed = await serveFeed(market);
	const socket = new WebSocket(feed.url);
	closers.push(feed.close, () => socket.terminate());
	const heard: FeedMessage[] = [];
	socket.on("message", (data) => heard.push(FeedMessage.parse(JSON.parse(String(data)))));
	await once(socket, "message");
	return {
		heard,
		socket,
		send: (request: FeedRequest) => socket.send(JSON.stringify(request)),
		dates: () => heard.filter((message) => message.type === "day").map(({ date }) => date),
		until: (type: FeedMessage["type"]) => expect.poll(() => heard.at(-1)?.type).toBe(type),
	};
}

test("says what it has, then nothing before it is asked", async () => {
	const { heard } = await connect();
	expect(heard).toEqual([expect.objectContaining({ type: "hello", days: 9, first: days[0], last: days[8] })]);
});

test("replays every day in order, then says that it is over, and starts again when asked", async () => {
	const { send, dates, until } = await connect();
	send({ type: "replay", from: null, pace: { speed: 1000, paused: false } });
	await until("end");
	expect(dates()).toEqual(days);
	send({ type: "replay", from: "2000-01-08", pace: { speed: 1000, paused: false } });
	await expect.poll(dates).toEqual([...days, "2000-01-08", "2000-01-09"]);
});

test("its pace changes while it runs", async () => {
	const { send, dates, until } = await connect();
	send({ type: "replay", from: null, pace: { speed: 0.1, paused: false } });
	send({ type: "pace", pace: { speed: 1000, paused: false } });
	await until("end");
	expect(dates()).toEqual(days);
});

test("closes a connection that sends nonsense", async () => {
	const { socket } = await connect();
	socket.send("{");
	const [code] = await once(socket, "close");
	expect(code).toBe(1008);
});
