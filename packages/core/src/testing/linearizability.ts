/**
 * Whether a history of concurrent operations could have happened one after another.
 *
 * J. M. Wing and C. Gong, "Testing and verifying concurrent objects" (1993): take any operation that no other one finished before, see
 * whether the object could have answered so, go on, and come back if that leads nowhere. G. Lowe, "Testing for linearizability" (2017):
 * remember each pair of operations done and state reached, so that no dead end is entered twice.
 */

/** An operation with its place in time. Places are counted, not measured, so that no two are equal. */
export interface Operation<Input, Output> {
	readonly process: number;
	readonly input: Input;
	/** What was answered; `undefined` where the answer was lost: it may have happened, at any time after its call, or not at all. */
	readonly output: Output | undefined;
	readonly called: number;
	readonly returned: number;
}

/** What an object does, one operation at a time. */
export interface Model<State, Input, Output> {
	readonly initial: State;
	/** The states that the operation can lead to if it was answered so; none: it could not have been. */
	step(state: State, input: Input, output: Output | undefined): readonly State[];
	/** Equal texts for equal states. */
	format(state: State): string;
}

interface Configuration<State> {
	readonly done: bigint;
	readonly state: State;
}

/** Whether there is an order of the operations, each between its call and its answer, in which the model answers as the history says. */
export function isLinearizable<State, Input, Output>(
	model: Model<State, Input, Output>,
	history: readonly Operation<Input, Output>[],
): boolean {
	const operations = [...history].sort((a, b) => a.called - b.called);
	const answeredOnes = operations.reduce(
		(bits, { output }, i) => (output === undefined ? bits : bits | (1n << BigInt(i))),
		0n,
	);
	const seen = new Set<string>();
	const open: Configuration<State>[] = [{ done: 0n, state: model.initial }];
	for (let here = open.pop(); here !== undefined; here = open.pop()) {
		const { done, state } = here;
		if ((done & answeredOnes) === answeredOnes) return true;
		// What was called after another operation's answer can't come before that operation.
		let firstAnswer = Number.POSITIVE_INFINITY;
		for (let i = 0; i < operations.length; i++) {
			const { called, returned, output } = operations[i] as Operation<Input, Output>;
			if (called > firstAnswer) break;
			if (output !== undefined && (done & (1n << BigInt(i))) === 0n)
				firstAnswer = Math.min(firstAnswer, returned);
		}
		for (let i = 0; i < operations.length; i++) {
			const { called, input, output } = operations[i] as Operation<Input, Output>;
			if (called > firstAnswer) break;
			const bit = 1n << BigInt(i);
			if ((done & bit) !== 0n) continue;
			for (const next of model.step(state, input, output)) {
				const name = `${(done | bit).toString(36)} ${model.format(next)}`;
				if (seen.has(name)) continue;
				seen.add(name);
				open.push({ done: done | bit, state: next });
			}
		}
	}
	return false;
}
