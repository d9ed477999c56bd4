/** Several answers to one request: together, or each as soon as it is there, so that no scope waits for another. */
import type { AnswerLine, Envelope, severalIn } from "../wire/messages.js";
import type { StreamSink } from "./sink.js";

/** How long a client may take to hear the last of them, in ms, before it is cut off. */
const grace = 30_000;

/** How long is waited for what is answered together with the first, in ms. */
const together = 1;

/** Answers on their way. */
export class Several {
	readonly #name: (typeof severalIn)[keyof typeof severalIn];
	readonly #answers: readonly Promise<object>[];
	#missing: number;

	/** Where an answer can't be had, its promise tells that too: none may reject. */
	constructor(name: (typeof severalIn)[keyof typeof severalIn], answers: readonly Promise<object>[]) {
		this.#name = name;
		this.#answers = answers;
		this.#missing = answers.length;
		for (const answer of answers) void answer.then(() => this.#missing--);
	}

	/** Whether all are there soon after the first: then there is nothing to be gained by telling them apart. */
	async areTogether(pause: (ms: number) => Promise<void>): Promise<boolean> {
		if (this.#answers.length < 2) return true;
		await Promise.race(this.#answers);
		if (this.#missing > 0) await Promise.race([Promise.all(this.#answers), pause(together)]);
		return this.#missing === 0;
	}

	/** All, in the order of the request. */
	async all(): Promise<Readonly<Record<string, readonly object[]>>> {
		return { [this.#name]: await Promise.all(this.#answers) };
	}

	/** Writes whom they are told to, then each in a line, in the order in which they come. */
	async write(envelope: Envelope, sink: StreamSink): Promise<void> {
		const encoder = new TextEncoder();
		const line = (told: Envelope | AnswerLine): void =>
			sink.write(encoder.encode(`${JSON.stringify(told)}\n`));
		line(envelope);
		await Promise.all(this.#answers.map(async (answer, i) => line([i, (await answer) as AnswerLine[1]])));
		sink.end(grace);
	}
}
