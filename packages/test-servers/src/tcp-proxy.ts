/** A TCP proxy between a test's clients and its server, that does to connections what networks do. */
import { once } from "node:events";
import { createServer, connect as dial, type Server, type Socket } from "node:net";

/** What can happen to a connection: closed on both sides, reset, or silent while both sides believe in it. */
export type Fault = "cut" | "reset" | "silence";

interface Pair {
	readonly near: Socket;
	readonly far: Socket;
	silent: boolean;
}

/** A proxy to a port of this machine. */
export class TcpProxy {
	/** Each piece is up to so many ms late; the order within a connection stays. */
	delay = 0;
	/** Whether connections are silent from their beginning: what is sent over them is swallowed. */
	#silent = false;
	readonly #server: Server;
	readonly #pairs = new Set<Pair>();

	private constructor(port: number, host: string) {
		this.#server = createServer((near) => this.#join(near, dial(port, host)));
	}

	/** Listens on a free port of its own. */
	static async to(port: number, host = "127.0.0.1"): Promise<TcpProxy> {
		const proxy = new TcpProxy(port, host);
		proxy.#server.listen(0, "127.0.0.1");
		await once(proxy.#server, "listening");
		return proxy;
	}

	get port(): number {
		return (this.#server.address() as { port: number }).port;
	}

	/** How many connections there are. */
	get connections(): number {
		return this.#pairs.size;
	}

	/** Does this to each connection that the chance picks; answers to how many. */
	strike(fault: Fault, chance: number): number {
		const struck = [...this.#pairs].filter(({ silent }) => !silent && Math.random() < chance);
		for (const pair of struck) {
			if (fault === "silence") pair.silent = true;
			else this.#part(pair, fault);
		}
		return struck.length;
	}

	/** From now on nothing that is sent arrives, and nothing says so: over the connections there are, and those to come. */
	blackHole(): void {
		this.#silent = true;
		this.strike("silence", 1);
	}

	/** What was silent is cut off, and what is opened from now on is not. */
	mend(): void {
		this.#silent = false;
		for (const pair of [...this.#pairs]) if (pair.silent) this.#part(pair, "cut");
	}

	/** Lets go of all connections and of the port. */
	async close(): Promise<void> {
		for (const pair of [...this.#pairs]) this.#part(pair, "cut");
		this.#server.close();
		await once(this.#server, "close");
	}

	#part(pair: Pair, fault: "cut" | "reset"): void {
		this.#pairs.delete(pair);
		for (const socket of [pair.near, pair.far])
			if (fault === "reset") socket.resetAndDestroy();
			else socket.destroy();
	}

	#join(near: Socket, far: Socket): void {
		const pair: Pair = { near, far, silent: this.#silent };
		this.#pairs.add(pair);
		const pass = (from: Socket, to: Socket): void => {
			let last = Promise.resolve();
			from.on("data", (piece) => {
				const late = this.delay * Math.random();
				last = last.then(async () => {
					if (late >= 1) await new Promise((resolve) => setTimeout(resolve, late));
					if (!pair.silent && !to.destroyed) to.write(piece);
				});
			});
			from.on("error", () => {});
			from.on("close", () => this.#part(pair, "cut"));
		};
		pass(near, far);
		pass(far, near);
	}
}
