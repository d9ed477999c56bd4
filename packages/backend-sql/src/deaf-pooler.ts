/** What a pooler in transaction mode does to LISTEN: it takes it, and delivers no notification. */
import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";

// A message of the server's: its type, then its length without that.
const notification = "A".charCodeAt(0);

/** A proxy to a Postgres on a local port. */
export class DeafPooler {
	/** How many notifications it has swallowed. */
	swallowed = 0;
	readonly #server;
	readonly #sockets = new Set<Socket>();

	private constructor(port: number) {
		this.#server = createServer((near) => this.#join(near, dial(port, "127.0.0.1")));
	}

	/** Listens on a free port of its own. */
	static async to(port: number): Promise<DeafPooler> {
		const pooler = new DeafPooler(port);
		pooler.#server.listen(0, "127.0.0.1");
		await once(pooler.#server, "listening");
		return pooler;
	}

	get port(): number {
		return (this.#server.address() as { port: number }).port;
	}

	/** Lets go of all connections and of the port. */
	async close(): Promise<void> {
		for (const socket of this.#sockets) socket.destroy();
		this.#server.close();
		await once(this.#server, "close");
	}

	#join(near: Socket, far: Socket): void {
		for (const [socket, other] of [
			[near, far],
			[far, near],
		] as const) {
			this.#sockets.add(socket);
			socket.on("error", () => {});
			socket.on("close", () => {
				this.#sockets.delete(socket);
				other.destroy();
			});
		}
		near.on("data", (piece) => far.write(piece));
		let rest = Buffer.alloc(0);
		far.on("data", (piece) => {
			rest = Buffer.concat([rest, piece]);
			while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
				const size = 1 + rest.readUInt32BE(1);
				if (rest[0] === notification) this.swallowed++;
				else near.write(rest.subarray(0, size));
				rest = rest.subarray(size);
			}
		});
	}
}
