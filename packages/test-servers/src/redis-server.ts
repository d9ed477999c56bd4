/** A real Redis of a test's own: on a free port, in a temporary folder. */
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";
import { isProgramSince, requireProgram } from "./programs.ts";
import { ServerProcess } from "./server-process.ts";

/** Options of a server that writes each command to disk before it answers. */
export const durable = ["--appendfsync", "always"];

/** Whether the server is this version or a later one; those that came of Redis (Redict, Valkey) count on from its 7.2. */
export const isRedisSince = (version: "6.2" | "7.0"): boolean => isProgramSince("redis-server", version);

/** A running server. */
export class RedisServer {
	readonly port: number;
	readonly #options: readonly string[];
	readonly #process = new ServerProcess("redis");

	protected constructor(port: number, options: readonly string[]) {
		this.port = port;
		this.#options = options;
	}

	/** Starts a server, with an append-only file and more options of a `redis.conf`, as arguments; on any free port if none is given. */
	static async start(options: readonly string[] = [], port?: number): Promise<RedisServer> {
		const server = new RedisServer(port ?? (await freePort()), options);
		await server.run();
		return server;
	}

	get url(): string {
		return `redis://127.0.0.1:${this.port}`;
	}

	/** What it may write to. */
	get folder(): string {
		return this.#process.folder;
	}

	/** Starts it again where it was; resolves once it answers. */
	async run(): Promise<void> {
		await this.launch([
			...["--bind", "127.0.0.1", "--port", String(this.port), "--dir", this.folder],
			...["--save", "", "--appendonly", "yes"],
			...this.#options,
		]);
	}

	/** Starts the program; resolves once it answers. */
	protected launch(args: readonly string[]): Promise<void> {
		return this.#process.start(requireProgram("redis-server"), args, () => this.ask("ping"));
	}

	/** What it answers to a command, also while it loads or has lost its primary. */
	async ask(command: string, ...args: (string | number)[]): Promise<unknown> {
		const client = new Redis(this.url, { enableReadyCheck: false, retryStrategy: () => null });
		client.on("error", () => {});
		try {
			return await client.call(command, args);
		} finally {
			client.disconnect();
		}
	}

	/** Ends it as a crash would. */
	kill(): Promise<void> {
		return this.#process.kill();
	}

	/** Stops it from doing anything, while its connections stay. */
	freeze(): void {
		this.#process.freeze();
	}

	/** Lets it go on. */
	thaw(): void {
		this.#process.thaw();
	}

	/** Ends it, and takes its folder away. */
	stop(): Promise<void> {
		return this.#process.stop();
	}
}
