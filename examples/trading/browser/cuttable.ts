/** A way to a server that can be cut, for tests of what happens then. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Cuttable {
	readonly url: string;
	/** Ends all connections and takes no further one. */
	cut(): void;
	/** Takes connections again. */
	heal(): void;
	close(): void;
}

export async function makeCuttable(target: string): Promise<Cuttable> {
	const { hostname, port } = new URL(target);
	const sockets = new Set<Socket>();
	let whole = true;
	const server = createServer((near) => {
		if (!whole) {
			near.destroy();
			return;
		}
		const far = connect(Number(port), hostname);
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			sockets.add(socket);
			socket.pipe(other);
			// An end that breaks takes the other with it.
			socket.on("error", () => other.destroy());
			socket.on("close", () => {
				sockets.delete(socket);
				other.destroy();
			});
		}
	});
	const cut = (): void => {
		whole = false;
		for (const socket of sockets) socket.destroy();
	};
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		cut,
		heal() {
			whole = true;
		},
		close() {
			cut();
			server.close();
		},
	};
}
