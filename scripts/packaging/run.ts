/** Runs a command to its end. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What the command printed on its standard output; throws with all that it printed if it fails or hangs. */
export async function run(command: string, args: readonly string[], folder: string): Promise<string> {
	try {
		const { stdout } = await execute(command, args, {
			cwd: folder,
			timeout: 180_000,
			maxBuffer: 64 * 1024 * 1024,
		});
		return stdout;
	} catch (error) {
		const {
			stdout = "",
			stderr = "",
			killed,
		} = error as { stdout?: string; stderr?: string; killed?: boolean };
		const how = killed ? "did not end in time" : "failed";
		throw new Error(`${command} ${args.join(" ")} ${how}.\n${stdout}${stderr}`, { cause: error });
	}
}
