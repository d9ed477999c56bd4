/** The server of the bridge suite, in a process of its own: makes so many changes a second, and weighs what that costs it. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { createStateManager, memory } from "@holdfast/core";
import { createStateHandler, nodeHandler } from "@holdfast/core/server";
import { Server } from "socket.io";
import { bundleForBrowser } from "../scripts/size.ts";
import { machineTime } from "./redis-listener.ts";

/** The ways in which changes reach their watchers. The last is what a careful user of socket.io writes by hand. */
export type Side = "Holdfast" | "socket.io" | "socket.io, 10 ms at once";

/** What is told of a change, and when it was made, by the machine's clock. */
export interface Told {
	readonly symbol: string;
	readonly price: number;
	readonly at: number;
}

/** Makes so many changes a second, for so long. */
export interface ChangeOrder {
	readonly perSecond: number;
	readonly seconds: number;
}

/** What came of it. */
export interface ChangeReport {
	/** The server's time, in percent of one core. */
	readonly cpu: number;
	readonly changes: number;
	/** How many it made a second: fewer than it should where it can't keep up. */
	readonly perSecond: number;
}

/** The present by the machine's monotonic clock and by the wall clock, in ms. */
export interface Now {
	readonly machine: number;
	readonly wall: number;
}

const now = (): Now => ({ machine: machineTime(), wall: performance.timeOrigin + performance.now() });

/** How many symbols change in turn. */
const symbols = 100;

const page: RequestListener = async (request, response) => {
	switch (request.url) {
		case "/":
			response.setHeader("content-type", "text/html");
			response.end('<!doctype html><script type="module" src="/page.js"></script>');
			return;
		case "/page.js":
			response.setHeader("content-type", "text/javascript");
			response.end(await bundleForBrowser('import "./bridge-page.ts";', import.meta.dirname));
			return;
		case "/now":
			response.end(JSON.stringify(now()));
	}
};

type Tell = (told: Told) => unknown;

const starts: Record<Side, () => Tell> = {
	Holdfast() {
		const manager = createStateManager({ backend: memory() });
		const handler = createStateHandler(manager, {
			authorize: () => ({ subject: "bench", can: () => "read" }),
			limits: { streams: 10_000 },
		});
		const answer = nodeHandler(handler);
		server.on("request", (request, response) =>
			(request.url?.startsWith("/v1/") ? answer : page)(request, response),
		);
		const { shared } = manager;
		return (told) => shared.set(`positions/${told.symbol}`, told);
	},
	"socket.io"() {
		const io = socketIo();
		return (told) => io.to("positions").emit("change", told);
	},
	"socket.io, 10 ms at once"() {
		const io = socketIo();
		let gathered: Told[] = [];
		return (told) => {
			if (gathered.push(told) > 1) return;
			setTimeout(() => {
				io.to("positions").emit("changes", gathered);
				gathered = [];
			}, 10);
		};
	},
};

function socketIo(): Server {
	server.on("request", page);
	const io = new Server(server);
	io.on("connection", (socket) => socket.join("positions"));
	return io;
}

/** Makes what is due, every ms or as often as the event loop gets to it. */
async function change({ perSecond, seconds }: ChangeOrder): Promise<ChangeReport> {
	const started = machineTime();
	const before = process.cpuUsage();
	let changes = 0;
	for (let elapsed = 0; elapsed < seconds * 1000; elapsed = machineTime() - started) {
		for (const due = (elapsed / 1000) * perSecond; changes < due; changes++)
			tell({ symbol: `S${changes % symbols}`, price: 100 + (changes % 977) / 8, at: machineTime() });
		await new Promise((resolve) => setTimeout(resolve, 1));
	}
	const { user, system } = process.cpuUsage(before);
	const elapsed = machineTime() - started;
	return { cpu: (user + system) / 10 / elapsed, changes, perSecond: (changes / elapsed) * 1000 };
}

const server = createServer();
const tell = starts[process.argv[2] as Side]();
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("message", async (order: ChangeOrder) => process.send?.(await change(order)));
process.once("disconnect", () => process.exit());
