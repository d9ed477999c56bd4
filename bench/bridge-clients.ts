/**
 * The clients of the bridge suite, in a process of their own. Some are what an application has: `remote` with a subscription, or
 * socket.io-client with a listener; they tell how late they hear. The others only take what comes off their sockets, in the
 * same way for both protocols, so that the server is what is measured and not a thousand clients in one process.
 */
import { connect as open, type Socket } from "node:net";
import { remote } from "@holdfast/backend-browser";
import { createStateManager } from "@holdfast/core";
import { paths } from "@holdfast/core/wire";
import { io } from "socket.io-client";
import type { Side, Told } from "./bridge-server.ts";
import { machineTime } from "./redis-listener.ts";

/** Opens so many clients. */
export interface ConnectOrder {
	readonly side: Side;
	readonly port: number;
	readonly clients: number;
}

/** Asks, after so many changes, how late they were heard. */
export interface HeardOrder {
	readonly changes: number;
}

/** That, in ms; from the change on the server to the listener. */
export interface HeardReport {
	readonly p50: number;
	readonly p99: number;
}

/** The most clients that listen; the others drain. */
const listeners = 4;

/** The fewest bytes in which either protocol can tell a change. */
const leastBytes = 40;

/** How long what is still on its way is waited for, in ms: what comes later counts as that late. */
const patience = 30_000;

let late: number[] = [];
const drained: { bytes: number }[] = [];
let failure: Error | undefined;

const hear = ({ at }: Told): void => {
	late.push(machineTime() - at);
};

async function listen(side: Side, url: string): Promise<void> {
	if (side === "Holdfast") {
		const { shared } = createStateManager({ backend: remote({ url }) });
		await shared.subscribe("positions/*", ({ value }) => hear(value as Told), { queue: 100_000 }).ready;
		return;
	}
	const socket = io(url, { transports: ["websocket"], forceNew: true });
	socket.on("change", hear);
	socket.on("changes", (told: readonly Told[]) => told.forEach(hear));
	await new Promise((resolve) => socket.once("connect", () => resolve(undefined)));
}

const subscription = JSON.stringify({ subs: [{ s: "default/shared" }] });

const hello: Record<"stream" | "socket", string> = {
	stream: `POST ${paths.stream} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${subscription.length}\r\n\r\n${subscription}`,
	socket:
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
};

/** One buffer for all: what is read is counted and forgotten. */
const buffer = Buffer.alloc(2 ** 18);

function drain(side: Side, port: number): Promise<void> {
	const isStream = side === "Holdfast";
	const count = { bytes: 0 };
	drained.push(count);
	return new Promise((resolve, reject) => {
		let begun = "";
		const socket: Socket = open({
			host: "127.0.0.1",
			port,
			onread: {
				buffer,
				callback(length) {
					count.bytes += length;
					if (begun === "done") return true;
					const before = begun;
					begun += buffer.toString("latin1", 0, length);
					const isOpen = !isStream && !before.includes("\r\n\r\n") && begun.includes("\r\n\r\n");
					// "40", masked by zeros: joins the main namespace.
					if (isOpen) socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x34, 0x30]));
					if (!begun.includes(isStream ? '"t":"ready"' : "40{")) return true;
					begun = "done";
					resolve();
					return true;
				},
			},
		});
		socket.write(isStream ? hello.stream : hello.socket);
		socket.on("close", () => {
			failure ??= new Error(`the server ended a client: ${begun}`);
			reject(failure);
		});
	});
}

async function connect({ side, port, clients }: ConnectOrder): Promise<void> {
	const listening = Math.min(clients, listeners);
	// Spread among the others: who is told first and who last makes a difference.
	const every = clients / listening;
	for (let i = 0; i < clients; i++)
		await (i % every === 0 ? listen(side, `http://127.0.0.1:${port}`) : drain(side, port));
}

const quantile = (values: readonly number[], part: number): number =>
	values[Math.floor((values.length - 1) * part)] as number;

async function heard({ changes }: HeardOrder, clients: number): Promise<HeardReport> {
	const expected = changes * Math.min(clients, listeners);
	const until = machineTime() + patience;
	while (late.length < expected && machineTime() < until)
		await new Promise((resolve) => setTimeout(resolve, 10));
	if (failure !== undefined) throw failure;
	const missing = expected - late.length;
	if (missing < 0) throw new Error(`${-missing} changes were heard twice`);
	const sorted = [...late, ...Array<number>(missing).fill(patience)].sort((a, b) => a - b);
	if (missing === 0)
		for (const { bytes } of drained)
			if (bytes < changes * leastBytes) throw new Error(`a client got ${bytes} bytes`);
	late = [];
	for (const count of drained) count.bytes = 0;
	return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

let clients = 0;
process.on("message", async (order: ConnectOrder | HeardOrder) => {
	if ("port" in order) {
		clients = order.clients;
		await connect(order);
		process.send?.("connected");
	} else process.send?.(await heard(order, clients));
});
process.once("disconnect", () => process.exit());
