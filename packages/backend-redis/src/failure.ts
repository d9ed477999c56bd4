/** What an error of Redis, or of its client, says about a call: whether it can have been applied. */
import { type Failure, isHoldfastError } from "@holdfast/core";

/** The server's refusals that come before anything is written, and pass: it loads, fails over, or is stuck in a script. */
const passing = /^(LOADING|READONLY|MASTERDOWN|MISCONF|NOREPLICAS|BUSY|CLUSTERDOWN|TRYAGAIN)\b/;

/** Those that last until somebody changes the server, the user or the address. */
const lasting = /^(NOAUTH|NOPERM|WRONGPASS|CROSSSLOT|NEWER|ERR unknown command)/;

/** ioredis, where a command finds no connection and must not queue: it was not written. */
const notWritten = "Stream isn't writeable";

/** An error of our own about a call that was not answered. */
export class Unanswered extends Error {
	readonly failed: "unavailable" | "unknown" | "busy";

	constructor(failed: Unanswered["failed"], message: string, options?: ErrorOptions) {
		super(message, options);
		this.failed = failed;
	}
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

// Redis 6.2 wraps what a command in a script was refused with; from 7 on it stands alone.
const inScript = /^ERR Error running script \(call to \w+\): (?:@user_script: ?\d+: )+-?/;

/** What the server said, also of a command in a script. */
export const saidBy = (error: unknown): string => messageOf(error).replace(inScript, "");

/** Whether the server refused it, or broke it off: no connection was lost. */
export const saidByServer = (error: unknown): boolean =>
	error instanceof Error && error.name === "ReplyError";

/** Whether the command certainly never left this process. */
export const isUnsent = (error: unknown): boolean => messageOf(error).startsWith(notWritten);

/** Whether the server has no memory for it: nothing was written. */
export const isOutOfMemory = (error: unknown): boolean => saidBy(error).startsWith("OOM");

/** Whether the server is a replica, though it was the primary when the connection was made: nothing was written. */
export const isReplica = (error: unknown): boolean => saidBy(error).startsWith("READONLY");

/** The failure that an error is. What may have been applied is `unknown`: also a script that broke off, since Redis takes nothing back. */
export function failureOf(cause: unknown): Failure {
	if (isHoldfastError(cause)) return { failed: "refused", message: cause.message, cause };
	if (cause instanceof Unanswered) return { failed: cause.failed, message: cause.message, cause };
	const said = saidBy(cause);
	if (isUnsent(cause)) return { failed: "unavailable", message: "Redis is out of reach", cause };
	if (passing.test(said)) return { failed: "unavailable", message: `Redis refused: ${said}`, cause };
	if (said.startsWith("MOVED")) {
		const message = `Redis refused: ${said}: it is part of a cluster, so give \`nodes\`, or a Cluster as \`client\``;
		return { failed: "refused", message, cause };
	}
	if (lasting.test(said) || isOutOfMemory(cause))
		return { failed: "refused", message: `Redis refused: ${said}`, cause };
	return { failed: "unknown", message: `Redis did not answer: ${said}`, cause };
}
