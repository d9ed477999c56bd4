/** The dashboard as its users start it: a process of its own, on a free port. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const example = join(import.meta.dirname, "..");

export interface RunningDashboard {
	readonly url: string;
	readonly pid: number;
	/** Asks it to end, and tells how it did. */
	stop(): Promise<{ readonly code: number | null; readonly output: string }>;
}

export async function runDashboard(...args: readonly string[]): Promise<RunningDashboard> {
	const child = spawn(process.execPath, ["main.ts", "--port", "0", ...args], { cwd: example });
	let output = "";
	const exited = once(child, "exit");
	const url = new Promise<string>((resolve, reject) => {
		for (const stream of [child.stdout, child.stderr])
			stream.on("data", (text) => {
				output += text;
				const address = /http:\S+/.exec(output);
				if (address !== null) resolve(address[0]);
			});
		exited.then(() => reject(new Error(`The dashboard did not start:\n${output}`)), reject);
	});
	return {
		url: await url,
		pid: child.pid ?? 0,
		async stop() {
			child.kill("SIGTERM");
			const [code] = await exited;
			return { code, output };
		},
	};
}
