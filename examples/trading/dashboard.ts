/** The dashboard: the state, the feed, the trader and the web server, put together. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createStateManager } from "@holdfast/core";
import { nodeHandler } from "@holdfast/core/server";
import { getRequestListener } from "@hono/node-server";
import { openBackend } from "./backend.ts";
import { index } from "./datasets.ts";
import { ingest } from "./ingest.ts";
import { lead } from "./leader.ts";
import type { Options } from "./options.ts";
import { loadPage } from "./page-files.ts";
import { makePageState } from "./page-state.ts";
import { makeRoutes } from "./routes.ts";
import { Sessions } from "./sessions.ts";
import { type Manager, type Shared, state } from "./state.ts";
import { trade } from "./trader.ts";

export interface Dashboard {
	readonly url: string;
	/** Ends the streams, the trader and the feed's process, then flushes and closes the state. */
	close(): Promise<void>;
}

const defaultPort = 4173;

export async function startDashboard(options: Options): Promise<Dashboard> {
	const page = await loadPage();
	const backend = await openBackend(options.backend);
	const manager: Manager = createStateManager({ backend, state, namespace: "trading" });
	const { shared } = manager;
	let secret: string;
	try {
		await manager.ready();
		await setOut(shared, options);
		// One sign-in holds at every server of the store.
		secret = options.secret ?? (await manager.scope("server", "all").getOrSet("cookieSecret", makeSecret));
	} catch (error) {
		await manager.close();
		throw error;
	}

	const closing = new AbortController();
	const { signal } = closing;
	const desk = {
		...options,
		symbol: index,
		startingCash: options.cash,
		stake: 0.95,
		slippage: 2,
		commission: 1,
	};
	const limits = { capacity: options.queue, rest: options.rest * 1000 };
	const work = [
		lead(shared, "ingest", signal, (lease, until) => ingest(shared, limits, lease, until)),
		lead(shared, "trader", signal, (lease, until) => trade(shared, desk, lease, until)),
	];

	const sessions = new Sessions(manager, secret);
	const pageState = makePageState(manager, sessions, signal);
	const answerState = nodeHandler(pageState);
	const answer = getRequestListener(makeRoutes({ manager, sessions, page }).fetch);
	const server = createServer((request, response) => {
		if (request.url?.startsWith("/state/")) answerState(request, response);
		else void answer(request, response);
	});
	const listen = (port: number): Promise<void> =>
		new Promise((resolve, reject) => {
			server.once("error", reject);
			server.listen(port, options.host, () => {
				server.off("error", reject);
				resolve();
			});
		});

	async function close(): Promise<void> {
		closing.abort();
		await pageState.close();
		await Promise.all(work);
		const closed = new Promise((resolve) => server.close(resolve));
		server.closeAllConnections();
		await closed;
		const { unflushed } = await manager.close();
		for (const { scope, commits } of unflushed)
			console.error(`${commits} commits of ${scope} were not flushed.`);
	}

	try {
		if (options.port !== undefined) await listen(options.port);
		else await listenNear(defaultPort, listen);
	} catch (error) {
		await close();
		throw error;
	}
	const { port } = server.address() as AddressInfo;
	const host = options.host.includes(":") ? `[${options.host}]` : options.host;
	return { url: `http://${host}:${port}`, close };
}

const makeSecret = (): string => randomBytes(32).toString("hex");

/** Sets the pace that was asked for; otherwise it stays as another server, or the one before, has left it. */
async function setOut(shared: Shared, { speed, paused }: Options): Promise<void> {
	if (speed === undefined && paused === undefined) return;
	await shared.update("pace", (pace) => ({ speed: speed ?? pace.speed, paused: paused ?? pace.paused }));
}

/** The first free port from one on; any, if ten are taken. */
async function listenNear(first: number, listen: (port: number) => Promise<void>): Promise<void> {
	for (const port of [...Array.from({ length: 10 }, (_, i) => first + i), 0]) {
		try {
			return await listen(port);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
		}
	}
}
