/** Lines of callers, one for each name: who joins waits for who came before. */
import type { Soon } from "./backend.js";
import { isLater } from "./soon.js";

export class Lines {
	readonly #last = new Map<string, Promise<unknown>>();
	// Whose work is in the middle of being called.
	#called: string | undefined;

	/** Whether nobody stands in a line. */
	isFree(name: string): boolean {
		return this.#called !== name && !this.#last.has(name);
	}

	/** Joins a line; `promise` is one's turn (`undefined`: at once), `done` lets the next one go. */
	join(name: string): { readonly promise: Promise<unknown> | undefined; done(): void } {
		const before = this.#last.get(name);
		const { promise, resolve } = Promise.withResolvers<void>();
		// Who gives up waiting calls `done` early, and still must not let others pass who are ahead.
		const last = before === undefined ? promise : before.then(() => promise);
		this.#last.set(name, last);
		return {
			promise: before,
			done: () => {
				if (this.#last.get(name) === last) this.#last.delete(name);
				resolve();
			},
		};
	}

	/** Runs work when its turn has come, unless `wait` rejects before. Work that is done at once makes no line. */
	run<T>(name: string, work: () => Soon<T>, wait: (turn: Promise<unknown>) => Promise<unknown>): Promise<T> {
		// What work asks for in its own line comes after it.
		if (this.#called === name) return Promise.resolve().then(() => this.run(name, work, wait));
		if (this.#last.has(name)) {
			const { promise, done } = this.join(name);
			return wait(promise as Promise<unknown>)
				.then(work)
				.finally(done);
		}
		const outer = this.#called;
		this.#called = name;
		try {
			const working = work();
			if (!isLater(working)) return Promise.resolve(working);
			return Promise.resolve(working).finally(this.join(name).done);
		} catch (error) {
			return Promise.reject(error);
		} finally {
			this.#called = outer;
		}
	}
}
