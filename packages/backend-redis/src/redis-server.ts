/** A real Redis server of a test's own: on a free port, in a temporary folder. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as { port: number };
	server.close();
	await once(server, "close");
	return port;
}

/** Writes each command to disk before it answers. */
export const durable = ["--appendfsync", "always"];

/** A running server. */
export class RedisServer {
	readonly port: number;
	readonly folder = mkdtempSync(join(tmpdir(), "holdfast-redis-"));
	readonly #options: readonly string[];
	#process: ChildProcess | undefined;

	protected constructor(port: number, options: readonly string[]) {
		this.port = port;
		this.#options = options;
	}

	/** Starts a server, with an append-only file and more options of a `redis.conf`, as arguments. */
	static async start(options: readonly string[] = []): Promise<RedisServer> {
		const server = new RedisServer(await freePort(), options);
		await server.run();
		return server;
	}

	get url(): string {
		return `redis://127.0.0.1:${this.port}`;
	}

	/** Starts it again where it was; resolves once it answers. */
	async run(): Promise<void> {
		const where = [
			"--bind",
			"127.0.0.1",
			"--port",
			String(this.port),
			"--dir",
			this.folder,
			"--save",
			"",
			"--appendonly",
			"yes",
		];
		await this.launch([...where, ...this.#options]);
	}

	/** Starts the program; resolves once it answers. */
	protected async launch(args: readonly string[]): Promise<void> {
		this.#process = spawn("redis-server", args, { stdio: "ignore" });
		const client = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
		client.on("error", () => {});
		await client.ping();
		client.disconnect();
	}

	/** What it answers to a command, also while it loads or has lost its primary. */
	async ask(command: string, ...args: (string | number)[]): Promise<unknown> {
		const client = new Redis(this.url, { enableReadyCheck: false });
		client.on("error", () => {});
		try {
			return await client.call(command, args);
		} finally {
			client.disconnect();
		}
	}

	/** Ends it as a crash would. */
	async kill(): Promise<void> {
		const ended = this.#process;
		if (ended === undefined) return;
		this.#process = undefined;
		const exit = once(ended, "exit");
		ended.kill("SIGKILL");
		await exit;
	}

	/** Stops it from doing anything, while its connections stay. */
	freeze(): void {
		this.#process?.kill("SIGSTOP");
	}

	thaw(): void {
		this.#process?.kill("SIGCONT");
	}

	async stop(): Promise<void> {
		await this.kill();
		rmSync(this.folder, { recursive: true, force: true });
	}
}
