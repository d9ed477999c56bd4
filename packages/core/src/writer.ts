/** Promise 13 in a store that can lose an answer: the same batch sent again is recognised, never applied twice. */
import type { Batch, BatchAnswer, Failure } from "./backend.js";

/** What a scope remembers of a writer, written in the commit itself. */
export interface WriterMemory {
	readonly sequence: number;
	/** The id of the batch's first commit. */
	readonly id: string;
	readonly answer: BatchAnswer;
	/** Until when it must be remembered. */
	readonly until: number;
}

/** Refuses a batch that arrived after its time. */
export const overdue = ({ until }: Batch, now: number): Failure | undefined =>
	now > until ? { failed: "overdue", message: "the batch arrived after its time", now } : undefined;

/**
 * Judges a batch by its writer and sequence, before seal, sweep and conditions: the stored answer, a failure, or `undefined` for
 * "go on and apply it".
 */
export function judgeWriter(
	memory: WriterMemory | undefined,
	batch: Batch,
	now: number,
): BatchAnswer | Failure | undefined {
	const [first] = batch.commits;
	if (memory !== undefined && first !== undefined) {
		if (batch.sequence < memory.sequence)
			return { failed: "superseded", message: "a later batch of this writer was applied", now };
		if (batch.sequence === memory.sequence)
			return first.id === memory.id
				? memory.answer
				: { failed: "conflict", message: "this writer sent another batch under the same sequence", now };
	}
	return overdue(batch, now);
}
