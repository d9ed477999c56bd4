/** Reads: what is asked for at once is one request, and each scope is answered for itself. */
import type { Failure, ReadAnswer, ReadAsk, ScopeId } from "@holdfast/core";
import { decodeReadAnswer, severalLimit } from "@holdfast/core/wire";
import type { Calls } from "./remote-calls.js";
import { failureOf } from "./remote-failure.js";

/** The reads of one backend. */
export class Reads {
	readonly #calls: Calls;
	readonly #answered: (scope: ScopeId) => void;

	/** `answered` is told of each scope that the server answers about. */
	constructor(calls: Calls, answered: (scope: ScopeId) => void) {
		this.#calls = calls;
		this.#answered = answered;
	}

	/** Reads of many scopes, one answer each. */
	read(asks: readonly ReadAsk[]): Promise<ReadAnswer | Failure>[] {
		const waiting = asks.map(() => Promise.withResolvers<ReadAnswer | Failure>());
		for (let from = 0; from < asks.length; from += severalLimit)
			void this.#ask(asks.slice(from, from + severalLimit), (answer, i) =>
				waiting[from + i]?.resolve(answer),
			);
		return waiting.map(({ promise }) => promise);
	}

	async #ask(
		asks: readonly ReadAsk[],
		resolve: (answer: ReadAnswer | Failure, index: number) => void,
	): Promise<void> {
		try {
			const body = JSON.stringify({ reads: asks.map(({ scope, keys }) => ({ s: scope, keys })) });
			await this.#calls.askEach(body, asks.length, (told, i) => {
				const answer = decodeReadAnswer(told);
				if (!("failed" in answer)) this.#answered((asks[i] as ReadAsk).scope);
				resolve(answer, i);
			});
		} catch (error) {
			const failure = failureOf(error);
			for (const i of asks.keys()) resolve(failure, i);
		}
	}
}
