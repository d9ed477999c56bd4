/** A server of a test's own: a process in a temporary folder, which can be killed and started again. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Who runs it instead of root. */
function unprivileged(user: string): { uid: number; gid: number } | undefined {
	if (process.getuid?.() !== 0) return undefined;
	const id = (flag: string): number => Number(execFileSync("id", [flag, user], { encoding: "utf8" }));
	return { uid: id("-u"), gid: id("-g") };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
	exitCode !== null || signalCode !== null;

/** A server that runs, or does not. */
export class ServerProcess {
	/** What it may write to; taken away in the end. */
	readonly folder: string;
	readonly #as: { uid: number; gid: number } | undefined;
	readonly #output: string;
	#process: ChildProcess | undefined;

	/** Some servers refuse to run as root: they are run as this user of theirs, if the tests are root's. */
	constructor(name: string, user?: string) {
		this.folder = mkdtempSync(join(tmpdir(), `holdfast-${name}-`));
		this.#as = user === undefined ? undefined : unprivileged(user);
		this.#output = join(this.folder, "output");
		if (this.#as !== undefined) chownSync(this.folder, this.#as.uid, this.#as.gid);
	}

	/** Runs a program to its end, as the server's user. */
	call(program: string, args: readonly string[]): void {
		execFileSync(program, args, { stdio: "pipe", ...this.#where });
	}

	/** Starts the server, and waits until it answers; throws with what it printed if it does not. */
	async start(program: string, args: readonly string[], answers: () => Promise<unknown>): Promise<void> {
		let server = this.#spawn(program, args);
		const until = performance.now() + 100_000;
		for (;;)
			try {
				await answers();
				if (!hasEnded(server)) return;
				throw new Error("somebody else answers on its port");
			} catch (cause) {
				if (performance.now() > until)
					throw new Error(`${program} does not answer: ${readFileSync(this.#output, "utf8")}`, { cause });
				await new Promise((resolve) => setTimeout(resolve, 30));
				// The workers of one that was killed may still hold its memory: it refuses to start until they have noticed.
				if (hasEnded(server)) server = this.#spawn(program, args);
			}
	}

	/** Ends it as a crash would. */
	async kill(): Promise<void> {
		const ended = this.#process;
		this.#process = undefined;
		if (ended === undefined || hasEnded(ended)) return;
		const exit = once(ended, "exit");
		ended.kill("SIGKILL");
		await exit;
	}

	/** Stops it from doing anything, while its connections stay. */
	freeze(): void {
		this.#process?.kill("SIGSTOP");
	}

	/** Lets it go on. */
	thaw(): void {
		this.#process?.kill("SIGCONT");
	}

	/** Ends it, and takes its folder away. */
	async stop(): Promise<void> {
		await this.kill();
		rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
	}

	get #where() {
		// MariaDB removes what it finds of tables in the system's folder when it starts: another server's, too, which then crashes.
		return { cwd: this.folder, env: { ...process.env, TMPDIR: this.folder }, ...this.#as };
	}

	#spawn(program: string, args: readonly string[]): ChildProcess {
		const output = openSync(this.#output, "w");
		this.#process = spawn(program, args, {
			stdio: ["ignore", output, output],
			...this.#where,
		});
		closeSync(output);
		return this.#process;
	}
}
