/** The child processes of a process, for tests that end one or look whether it has ended. */
import { readdirSync, readFileSync } from "node:fs";

/** By Linux's own account; none where there is no /proc. */
export function childrenOf(pid: number): number[] {
	try {
		return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
			readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
		);
	} catch {
		return [];
	}
}
