/** A layer that remembers writers, so that a store within the process can stand in for one whose answers get lost. */
import type { Backend, Batch, BatchAnswer, Failure, ScopeId, Soon } from "../backend.js";
import { judgeWriter, type WriterMemory } from "../writer.js";
import { around } from "./around.js";
import { answered, isFailure } from "./client.js";

/**
 * Keeps each writer's last answer and gives it again to the same batch (promise 13), around a store that has no need to: put
 * {@link chaos} in front, and it is a store that loses answers. All handles of one store must share one such layer.
 */
export function remembering(inner: Backend): Backend {
	const scopes = new Map<ScopeId, Map<string, WriterMemory>>();
	const last = new Map<ScopeId, Promise<unknown>>();

	const judgeAndApply = async (batch: Batch): Promise<BatchAnswer | Failure> => {
		const [clock] = inner.read([{ scope: batch.scope, keys: [] }]);
		if (clock === undefined) throw new Error("a read was not answered");
		const { now } = await answered("a read of the store's clock", clock);
		const writers = scopes.get(batch.scope) ?? new Map<string, WriterMemory>();
		const judged = judgeWriter(writers.get(batch.writer), batch, now);
		if (judged !== undefined) return judged;
		const answer = await (inner.commit([batch])[0] as Soon<BatchAnswer | Failure>);
		const [first] = batch.commits;
		if (isFailure(answer) || first === undefined) return answer;
		for (const [writer, { until }] of writers) if (until < now) writers.delete(writer);
		writers.set(batch.writer, { sequence: batch.sequence, id: first.id, answer, until: batch.until });
		scopes.set(batch.scope, writers);
		return answer;
	};

	return around(inner, {
		// One batch of a scope after another: what stands between judging and applying must not change.
		commit: (batches) =>
			batches.map((batch) => {
				const answer = (last.get(batch.scope) ?? Promise.resolve()).then(() => judgeAndApply(batch));
				last.set(
					batch.scope,
					answer.catch(() => {}),
				);
				return answer;
			}),
	});
}
