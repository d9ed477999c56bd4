/** What went wrong, in the words of the contract. */
import { type Batch, type BatchAnswer, type Failure, HoldfastError } from "@holdfast/core";
import type { Engine } from "./engine.js";
import { TransactionError } from "./store.js";

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const causeOf = (error: unknown): unknown => (error instanceof TransactionError ? error.cause : error);

/** What may be done about a transaction that failed. */
export type Remedy = "again" | "reconnect" | "apart" | "none";

/** What may be done: the same again, the same on another connection, each scope alone, or nothing. */
export function remedy(engine: Engine, error: unknown): Remedy {
	if (!(error instanceof TransactionError) || !error.certain) return "none";
	if (engine.isTransient(error.cause)) return "again";
	if (engine.isDisconnect(error.cause)) return "reconnect";
	return "apart";
}

/** How a batch fails whose transaction failed. */
export function failureOf(engine: Engine, error: unknown, batch: Batch): Failure | BatchAnswer {
	const cause = causeOf(error);
	const message = messageOf(cause);
	if (error instanceof TransactionError && !error.certain)
		return { failed: "unknown", message: `the answer to the commit was lost: ${message}`, cause };
	const refusal = engine.refusal(cause);
	// Nothing was written, and nothing is remembered: the same batch may succeed once there is room.
	if (refusal === "full")
		return {
			head: batch.floor,
			now: Date.now(),
			next: null,
			outcomes: batch.commits.map(() => ({ ok: false, why: "full", index: 0, entry: null }) as const),
		};
	if (refusal === "read-only")
		return { failed: "refused", message: `the database may not be written: ${message}`, cause };
	if (engine.isTransient(cause) || engine.isDisconnect(cause) || !(error instanceof TransactionError))
		return { failed: "unavailable", message: `the database is out of reach: ${message}`, cause };
	return { failed: "refused", message: `the database refused the commit: ${message}`, cause };
}

/** How a call fails that no batch is answered by. */
export function rejectionOf(engine: Engine, error: unknown): HoldfastError {
	if (error instanceof HoldfastError) return error;
	const cause = causeOf(error);
	const message = messageOf(cause);
	const refusal = engine.refusal(cause);
	if (refusal === "full") return new HoldfastError("full", `the database has no room: ${message}`, { cause });
	if (refusal === "read-only")
		return new HoldfastError("failed", `the database may not be written: ${message}`, { cause });
	return engine.isAnswer(cause) && !engine.isTransient(cause) && !engine.isDisconnect(cause)
		? new HoldfastError("failed", `the database refused: ${message}`, { cause })
		: new HoldfastError("unavailable", `the database did not answer: ${message}`, { cause });
}

/** The same as a value. What asking again can't mend (a missing driver, other tables, a wrong password) is told as refused. */
export function failureOfCall(error: HoldfastError): Failure {
	const refused = error.code === "failed" || error.code === "full" || error.code === "invalid-argument";
	return { failed: refused ? "refused" : "unavailable", message: error.message, cause: error };
}
