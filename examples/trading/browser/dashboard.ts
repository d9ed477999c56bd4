/** The dashboard as its users start it: a process of its own, on a free port. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const example = join(import.meta.dirname, "..");

export interface RunningDashboard {
	readonly url: string;
	readonly pid: number;
	/** Asks it to end, and tells how it did. */
	stop(): Promise<{ readonly code: number | null; readonly output: string }>;
	/** Ends it as a crash would. */
	kill(): Promise<void>;
}

/** Builds what the server runs on: the packages as their users have them. */
export function buildPackages(): void {
	const root = join(example, "../..");
	execFileSync(
		"turbo",
		["run", "build", "--filter=@holdfast/example-trading^...", "--output-logs=errors-only"],
		{
			cwd: root,
			stdio: "inherit",
			env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` },
		},
	);
}

export const runDashboard = (...args: readonly string[]): Promise<RunningDashboard> =>
	runDashboardIn({}, ...args);

/** The same, with more in its environment. */
export async function runDashboardIn(
	environment: Readonly<Record<string, string>>,
	...args: readonly string[]
): Promise<RunningDashboard> {
	const env = { ...process.env, ...environment };
	const child = spawn(process.execPath, ["main.ts", "--port", "0", ...args], { cwd: example, env });
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
		async kill() {
			child.kill("SIGKILL");
			await exited;
		},
	};
}
