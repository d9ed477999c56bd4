/** Ports for servers of a test's own. */
import { once } from "node:events";
import { createServer } from "node:net";

/** A port of this machine that nobody listens on. */
export const freePort = (): Promise<number> => listenOnce(0);

/** One that nobody listens on, nor on the port so far above it, which some servers take too. */
export async function freePair(distance: number): Promise<number> {
	for (;;) {
		const port = await freePort();
		const second = port + distance;
		const isFree = second < 65_536 && (await listenOnce(second).catch(() => undefined)) === second;
		if (isFree) return port;
	}
}

/** Listens on a port for a moment, on any if it is 0; answers which. */
async function listenOnce(at: number): Promise<number> {
	const server = createServer().listen(at, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, "close");
	return port;
}
