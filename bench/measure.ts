/** Measuring: how often a second some operations can be done, so that what disturbs one of them disturbs all. */

/** One operation; it is told how many came before it. What answers by a promise is awaited before the next. */
export type Operation = (index: number) => unknown;

const rounds = 7;
const roundMs = 200;
const warmUpMs = 300;
/** V8 compiles what has run some ten thousand times, which a server's code has within seconds: what waits for a disk or a network gets so long for it. */
const warmUpOperations = 20_000;
const longestWarmUpMs = 2000;
/** What is run between two looks at the clock: long beside the look, short beside a round. */
const batchMs = 4;

/** Runs an operation so many times, from an index on. */
type Loop = (count: number, from: number) => unknown;

/**
 * A loop of an operation's own. One loop for all would see so many operations that none is compiled into it, and a call would
 * be what is measured; V8 tells code apart by its text, hence the number.
 */
function loopOf(operation: Operation, together: number, id: number): Loop {
	const isAsync = operation(0) instanceof Promise;
	const body = isAsync
		? together === 1
			? "for (let i = from; i < from + count; i++) last = await operation(i);"
			: `for (let i = from; i < from + count; i += ${together}) {
				const promises = [];
				for (let j = 0; j < ${together}; j++) promises.push(operation(i + j));
				last = await Promise.all(promises);
			}`
		: "for (let i = from; i < from + count; i++) last = operation(i);";
	const code = `return ${isAsync ? "async " : ""}(count, from) => { let last; ${body} return last; } // ${id}`;
	return new Function("operation", code)(operation) as Loop;
}

/** An operation being measured. */
class Contestant {
	readonly rates: number[] = [];
	readonly #loop: Loop;
	#index = 1;
	#batch: number;

	constructor(operation: Operation, together: number, id: number) {
		this.#loop = loopOf(operation, together, id);
		this.#batch = together;
	}

	async warmUp(): Promise<void> {
		const first = performance.now();
		for (;;) {
			const started = performance.now();
			const isWarm = started - first >= warmUpMs && this.#index > warmUpOperations;
			if (isWarm || started - first >= longestWarmUpMs) return;
			await this.#run();
			if (performance.now() - started < batchMs) this.#batch *= 2;
		}
	}

	async round(): Promise<void> {
		// Nobody pays for what another left behind; a round is long enough to pay for its own.
		globalThis.gc?.();
		const started = performance.now();
		let operations = 0;
		let elapsed = 0;
		while (elapsed < roundMs) {
			await this.#run();
			operations += this.#batch;
			elapsed = performance.now() - started;
		}
		this.rates.push((operations / elapsed) * 1000);
	}

	async #run(): Promise<void> {
		await this.#loop(this.#batch, this.#index);
		this.#index += this.#batch;
	}
}

const median = (numbers: readonly number[]): number =>
	[...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;

/**
 * The operations a second of each. They take turns round by round, so that a machine that gets slower or busy does so for all;
 * the median of the rounds forgets the one in which something else ran. `together`: so many at once, in a `Promise.all`.
 */
export async function measure(operations: readonly Operation[], together = 1): Promise<number[]> {
	const contestants = operations.map((operation, id) => new Contestant(operation, together, id));
	for (const contestant of contestants) await contestant.warmUp();
	for (let round = 0; round < rounds; round++) for (const contestant of contestants) await contestant.round();
	return contestants.map(({ rates }) => median(rates));
}
