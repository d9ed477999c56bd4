/** Commits to a database within the process: answered at once, unless another process has the file. */
import type {
	Batch,
	BatchAnswer,
	Commit,
	CommitOutcome,
	Failure,
	ScopeId,
	Sender,
	Soon,
} from "@holdfast/core";
import type { Packed } from "./commit.js";
import type { EmbeddedStore } from "./embedded-store.js";
import { failureOf, remedy } from "./failure.js";

type Answer = BatchAnswer | Failure;

// So long is a file tried that others write.
const patience = 8000;

/** The commits of one backend. */
export class EmbeddedCommits {
	readonly #store: EmbeddedStore;
	readonly #clockOffset: () => number;
	readonly #tell: (packed: readonly Packed[]) => void;
	/** How many transactions wait to be tried again. */
	#trying = 0;

	/** @param tell - Is given what was committed, before its answers are. */
	constructor(store: EmbeddedStore, clockOffset: () => number, tell: (packed: readonly Packed[]) => void) {
		this.#store = store;
		this.#clockOffset = clockOffset;
		this.#tell = tell;
	}

	/** Commits batches, all in one transaction; a scope that is there twice is in a second one. */
	commit(batches: readonly Batch[]): Soon<Answer>[] {
		if (batches.length === 1) {
			const answered = this.#run(batches);
			return [
				answered instanceof Promise ? answered.then(([answer]) => answer as Answer) : (answered[0] as Answer),
			];
		}
		const answers = new Map<Batch, Soon<Answer>>();
		let before: Promise<unknown> | undefined;
		for (let left = batches; left.length > 0; ) {
			const scopes = new Set<ScopeId>();
			const wave: Batch[] = [];
			const rest: Batch[] = [];
			for (const batch of left) {
				(scopes.has(batch.scope) ? rest : wave).push(batch);
				scopes.add(batch.scope);
			}
			const answered = before === undefined ? this.#run(wave) : before.then(() => this.#run(wave));
			if (answered instanceof Promise) {
				before = answered;
				for (const [i, batch] of wave.entries())
					answers.set(
						batch,
						answered.then((all) => all[i] as Answer),
					);
			} else for (const [i, batch] of wave.entries()) answers.set(batch, answered[i] as Answer);
			left = rest;
		}
		return batches.map((batch) => answers.get(batch) as Soon<Answer>);
	}

	/**
	 * Commits what came alone, without remembering its writer: the answer is there when the call returns, and who would ask again dies with this
	 * process. `undefined`: it takes more, or fails; nothing was done.
	 */
	commitNow(sender: Sender, commit: Omit<Commit, "id">, step: number): CommitOutcome | undefined {
		// Who gave up a batch that is still tried relies on the next one's sequence to overtake it, and this has none.
		if (this.#trying > 0) return undefined;
		let committed: Packed | undefined;
		try {
			committed = this.#store.commitNow(sender, commit, step, this.#clockOffset());
		} catch {
			// A batch finds out what it is, and what may be done about it.
		}
		if (committed === undefined) return undefined;
		this.#tell([committed]);
		const { answer } = committed;
		return "failed" in answer ? undefined : answer.outcomes[0];
	}

	#run(batches: readonly Batch[], until = performance.now() + patience): Soon<readonly Answer[]> {
		const { engine } = this.#store.language;
		try {
			const packed = this.#store.commit(batches, this.#clockOffset());
			this.#tell(packed);
			return packed.map(({ answer }) => answer);
		} catch (error) {
			const what = remedy(engine, error);
			if (what === "again" && performance.now() < until)
				// The event loop goes on while another process writes.
				return new Promise((resolve) => {
					this.#trying++;
					setTimeout(
						() => {
							this.#trying--;
							resolve(this.#run(batches, until));
						},
						2 + Math.random() * 10,
					);
				});
			// One bad batch must not spoil the others.
			if (what === "apart" && batches.length > 1)
				return Promise.all(batches.map(async (batch) => (await this.#run([batch], until))[0] as Answer));
			return batches.map((batch) => failureOf(engine, error, batch));
		}
	}
}
