/** Records what concurrent clients asked and were answered, and judges it. */
import { isLinearizable, type Model, type Operation } from "./linearizability.js";

/** What is asked of a register: a read, a write, a write on condition. Each value is written once, so it names its write. */
export type RegisterInput =
	| { readonly ask: "read" }
	| { readonly ask: "write"; readonly value: string }
	| { readonly ask: "swap"; readonly from: string | null; readonly value: string };

/** What is answered: what a read saw, whether a swap was done; a write has nothing to say. */
export type RegisterOutput =
	| { readonly saw: string | null }
	| { readonly swapped: true }
	| { readonly swapped: false; readonly saw: string | null }
	| { readonly written: true };

/** A register with compare-and-set, empty at first. */
export const register: Model<string | null, RegisterInput, RegisterOutput> = {
	initial: null,
	step(state, input, output) {
		switch (input.ask) {
			case "read":
				return output === undefined || ("saw" in output && output.saw === state) ? [state] : [];
			case "write":
				return [input.value];
			case "swap":
				if (output === undefined) return [state === input.from ? input.value : state];
				if (!("swapped" in output)) return [];
				if (output.swapped) return state === input.from ? [input.value] : [];
				return state !== input.from && output.saw === state ? [state] : [];
		}
	},
	format: (state) => state ?? "",
};

/** A history of operations on registers by name. */
export class History {
	readonly #operations = new Map<string, Operation<RegisterInput, RegisterOutput>[]>();
	#time = 0;

	/** Runs an operation and records when it was called and answered; one that rejects counts as never answered. */
	async record<Output extends RegisterOutput>(
		process: number,
		key: string,
		input: RegisterInput,
		run: () => Promise<Output>,
	): Promise<Output | undefined> {
		const called = this.#time++;
		const output = await run().catch(() => undefined);
		const operation = { process, input, output, called, returned: this.#time++ };
		const operations = this.#operations.get(key) ?? [];
		operations.push(operation);
		this.#operations.set(key, operations);
		return output;
	}

	/** How many operations were recorded. */
	get length(): number {
		let length = 0;
		for (const operations of this.#operations.values()) length += operations.length;
		return length;
	}

	/**
	 * Throws, naming the key and what happened to it, if the history can't have happened in any order. Each key is judged alone: a history is
	 * linearizable if those of its objects are (M. Herlihy and J. Wing, 1990, theorem 1).
	 */
	verify(): void {
		for (const [key, operations] of this.#operations) {
			if (isLinearizable(register, operations)) continue;
			const lines = operations.map(
				({ process, input, output, called, returned }) =>
					`${called}..${returned} client ${process}: ${JSON.stringify(input)} -> ${JSON.stringify(output)}`,
			);
			throw new Error(`the history of ${key} is not linearizable:\n${lines.join("\n")}`);
		}
	}
}
