/** Batches and their answers as they cross the wire. */
import type { Batch, BatchAnswer, Commit, CommitOutcome, Failure, Mutation } from "../backend.js";
import { isHoldfastError } from "../error.js";
import { storedValue } from "../value.js";
import { decodeEntry, encodeEntry } from "./entry.js";
import { decodeError, decodeFailure, encodeError, encodeFailure } from "./failure.js";
import type {
	WireBatch,
	WireBatchAnswer,
	WireCommit,
	WireFailure,
	WireMutation,
	WireOutcome,
} from "./messages.js";

/** A mutation as it is sent. */
function encodeMutation(mutation: Mutation): WireMutation {
	if (mutation.op === "put") return { ...mutation, value: mutation.value.text };
	return mutation.op === "emit" ? { ...mutation, payload: mutation.payload.text } : mutation;
}

/** What was sent of a mutation. */
export function decodeMutation(mutation: WireMutation): Mutation {
	if (mutation.op === "put") return { ...mutation, value: storedValue(mutation.value) };
	return mutation.op === "emit" ? { ...mutation, payload: storedValue(mutation.payload) } : mutation;
}

/** A commit as it is sent. */
export const encodeCommit = ({ deferred: _, ...commit }: Commit): WireCommit => ({
	...commit,
	do: commit.do.map(encodeMutation),
});

/** What {@link encodeCommit} made. */
export const decodeCommit = (commit: WireCommit): Commit => ({
	...commit,
	do: commit.do.map(decodeMutation),
});

/** A batch as it is sent: the same batch is the same bytes. */
export const encodeBatch = ({
	scope,
	writer,
	sequence,
	until,
	floor,
	step,
	commits,
	keep,
}: Batch): WireBatch => ({
	s: scope,
	writer,
	sequence,
	until,
	floor,
	step,
	commits: commits.map(encodeCommit),
	keep,
});

function encodeOutcome(outcome: CommitOutcome): WireOutcome {
	if (outcome.ok) return [outcome.revision, outcome.changes, ...outcome.numbers];
	const { why, index, entry, note, cause } = outcome;
	return {
		why,
		index,
		entry: entry && encodeEntry(entry),
		...(note !== undefined && { note }),
		...(isHoldfastError(cause) && { error: encodeError(cause) }),
	};
}

function decodeOutcome(outcome: WireOutcome): CommitOutcome {
	if ("why" in outcome) {
		const { why, index, entry, note, error } = outcome;
		return {
			ok: false,
			why,
			index,
			entry: entry && decodeEntry(entry),
			...(note !== undefined && { note }),
			...(error !== undefined && { cause: decodeError(error) }),
		};
	}
	const [revision, changes, ...numbers] = outcome;
	return { ok: true, revision, changes, numbers };
}

/** The answer to a batch, or its failure, as it is sent. */
export const encodeBatchAnswer = (answer: BatchAnswer | Failure): WireBatchAnswer | WireFailure =>
	"failed" in answer
		? encodeFailure(answer)
		: {
				head: answer.head,
				now: answer.now,
				next: answer.next,
				outcomes: answer.outcomes.map(encodeOutcome),
			};

/** What {@link encodeBatchAnswer} made. */
export const decodeBatchAnswer = (answer: WireBatchAnswer | WireFailure): BatchAnswer | Failure =>
	"failed" in answer ? decodeFailure(answer) : { ...answer, outcomes: answer.outcomes.map(decodeOutcome) };
