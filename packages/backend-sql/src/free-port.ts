/** A port that nobody listens on, for a test's own server. */
import { once } from "node:events";
import { createServer } from "node:net";

/** Finds a free port of this machine. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, "close");
	return port;
}
