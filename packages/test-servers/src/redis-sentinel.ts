/** A Sentinel of a test's own, that makes a replica the primary when the primary is gone. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { RedisServer } from "./redis-server.ts";

/** A running Sentinel. */
export class RedisSentinel extends RedisServer {
	/** What it calls the primary. */
	static readonly primary = "mymaster";
	readonly #watched: number;

	private constructor(port: number, watched: number) {
		super(port, []);
		this.#watched = watched;
	}

	/** Starts one that watches a primary, and knows its replica. */
	static async watching({ port }: RedisServer): Promise<RedisSentinel> {
		const sentinel = new RedisSentinel(await freePort(), port);
		await sentinel.run();
		return sentinel;
	}

	override async run(): Promise<void> {
		const file = join(this.folder, "sentinel.conf");
		const name = RedisSentinel.primary;
		const lines = [
			"bind 127.0.0.1",
			`port ${this.port}`,
			`dir ${this.folder}`,
			`sentinel monitor ${name} 127.0.0.1 ${this.#watched} 1`,
			// A machine that stalls must not be taken for a primary that is gone.
			`sentinel down-after-milliseconds ${name} 60000`,
			`sentinel failover-timeout ${name} 10000`,
		];
		writeFileSync(file, lines.join("\n"));
		await this.launch([file, "--sentinel"]);
	}

	/** From now on a primary that says nothing for a second is taken for gone: call it once it is. */
	async hurry(): Promise<void> {
		await this.ask("sentinel", "set", RedisSentinel.primary, "down-after-milliseconds", 1000);
	}

	/** The port of the server that it takes for the primary. */
	async primaryPort(): Promise<number> {
		const [, port] = (await this.ask(
			"sentinel",
			"get-master-addr-by-name",
			RedisSentinel.primary,
		)) as string[];
		return Number(port);
	}

	/** How many replicas it knows of. */
	async replicas(): Promise<number> {
		return ((await this.ask("sentinel", "replicas", RedisSentinel.primary)) as unknown[]).length;
	}
}
