/** Processes of a test's own, which can be killed: a program, bundled of its sources, and what it says. */
import { type ChildProcess, type ForkOptions, fork } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

// They are packages of their own also for a program.
const external = ["better-sqlite3", "fast-check", "ioredis", "mysql2", "pg", "vitest"];

/** A program, made of a source. */
export class Program {
	readonly #folder: string;
	readonly #file: string;

	private constructor(folder: string) {
		this.#folder = folder;
		this.#file = join(folder, "program.mjs");
	}

	/** Makes a program of a file; without a folder it is where its package finds its own, so that the drivers are found. */
	static async of(file: string, folder?: string): Promise<Program> {
		const made = folder ?? mkdtempSync(join(dirname(file), "../node_modules/.worker-"));
		// Some run as a user who may do less.
		chmodSync(made, 0o755);
		const program = new Program(made);
		await build({
			entryPoints: [file],
			outfile: program.#file,
			bundle: true,
			platform: "node",
			format: "esm",
			external,
			tsconfig: join(import.meta.dirname, "../../../tsconfig.base.json"),
		});
		return program;
	}

	/** Starts a process of it, which is given this order. */
	start<Order extends object, Word>(order: Order, options: ForkOptions = {}): Worker<Word> {
		return new Worker(fork(this.#file, { execArgv: [], ...options }), order);
	}

	/** Takes its file away. */
	dispose(): void {
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

/** A process; its words come one by one. */
export class Worker<Word> {
	readonly #process: ChildProcess;
	readonly #heard: (Word | undefined)[] = [];
	#listen: (() => void) | undefined;

	constructor(process: ChildProcess, order: object) {
		this.#process = process;
		process.on("message", (message) => this.#hear(message as Word));
		process.on("error", () => this.#hear(undefined));
		// The last words come before it; `exit` may come before them.
		process.on("close", () => this.#hear(undefined));
		process.send(order);
	}

	/** Its next word; `undefined` once it has ended. */
	async next(): Promise<Word | undefined> {
		while (this.#heard.length === 0)
			await new Promise<void>((resolve) => {
				this.#listen = resolve;
			});
		return this.#heard.shift();
	}

	/** Tells it to begin. */
	begin(): void {
		this.#process.send("begin");
	}

	/** Ends it as a crash would. */
	kill(): void {
		this.#process.kill("SIGKILL");
	}

	#hear(word: Word | undefined): void {
		this.#heard.push(word);
		this.#listen?.();
	}
}
