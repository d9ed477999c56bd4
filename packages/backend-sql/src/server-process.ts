/** A database server of a test's own: a process in a temporary folder, which can be killed and started again. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, chownSync, constants, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Where a program is: the best of these patterns or names; `undefined` if it is not installed. */
export function findProgram(candidates: readonly string[]): string | undefined {
	const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
	return candidates
		.flatMap((candidate) =>
			candidate.startsWith("/")
				? globSync(candidate).sort().reverse()
				: folders.map((folder) => join(folder, candidate)),
		)
		.find((path) => {
			try {
				accessSync(path, constants.X_OK);
				return true;
			} catch {
				return false;
			}
		});
}

/** Servers refuse to run as root: then they run as a user of their own, if there is one. */
function unprivileged(user: string): { uid: number; gid: number } | undefined {
	if (process.getuid?.() !== 0) return undefined;
	const id = (flag: string): number => Number(execFileSync("id", [flag, user], { encoding: "utf8" }));
	return { uid: id("-u"), gid: id("-g") };
}

/** A server that runs, or does not. */
export class ServerProcess {
	readonly folder: string;
	readonly #as: { uid: number; gid: number } | undefined;
	#process: ChildProcess | undefined;

	constructor(name: string, user: string) {
		this.folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
		this.#as = unprivileged(user);
		if (this.#as !== undefined) chownSync(this.folder, this.#as.uid, this.#as.gid);
	}

	/** Runs a program to its end, as the server's user. */
	call(program: string, args: readonly string[]): void {
		execFileSync(program, args, { stdio: "pipe", cwd: this.folder, ...this.#as });
	}

	/** Starts the server, and waits until it answers. */
	async start(program: string, args: readonly string[], answers: () => Promise<unknown>): Promise<void> {
		const run = (): ChildProcess => spawn(program, args, { stdio: "ignore", cwd: this.folder, ...this.#as });
		let server = run();
		this.#process = server;
		const until = performance.now() + 30_000;
		for (;;)
			try {
				await answers();
				return;
			} catch (error) {
				if (performance.now() > until) throw error;
				await new Promise((resolve) => setTimeout(resolve, 30));
				if (server.exitCode === null) continue;
				// The workers of one that was killed may still hold its memory: it refuses to start until they have noticed.
				server = run();
				this.#process = server;
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

	/** Ends it, and takes its folder away. */
	async stop(): Promise<void> {
		await this.kill();
		rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
	}
}
