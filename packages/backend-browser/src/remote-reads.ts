/** Reads: what is asked for at once is one request. */
import type { Failure, ReadAnswer, ReadAsk, ScopeId } from "@holdfast/core";
import { decodeReadAnswer, type ReadResponse } from "@holdfast/core/wire";
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
		if (asks.length === 0) return [];
		const response = this.#ask(asks);
		return asks.map(async (_, i) => {
			const answers = await response;
			return Array.isArray(answers) ? (answers[i] as ReadAnswer | Failure) : answers;
		});
	}

	async #ask(asks: readonly ReadAsk[]): Promise<(ReadAnswer | Failure)[] | Failure> {
		try {
			const body = JSON.stringify({ reads: asks.map(({ scope, keys }) => ({ s: scope, keys })) });
			const { reads } = await this.#calls.ask<ReadResponse>("read", body);
			const answers = reads.map(decodeReadAnswer);
			for (const [i, answer] of answers.entries())
				if (!("failed" in answer)) this.#answered((asks[i] as ReadAsk).scope);
			return answers;
		} catch (error) {
			return failureOf(error);
		}
	}
}
