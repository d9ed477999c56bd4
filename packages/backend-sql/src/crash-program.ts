/** The program of the crash tests. */
import { join } from "node:path";
import { Program } from "@holdfast/test-servers/worker";

/** Makes the program of `crash-worker.ts`: in a folder, or where it finds this package's drivers. */
export const crashProgram = (folder?: string): Promise<Program> =>
	Program.of(join(import.meta.dirname, "crash-worker.ts"), folder);
