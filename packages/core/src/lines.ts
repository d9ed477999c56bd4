/** Lines of callers, one for each name: who joins waits for who came before. */
export class Lines {
	readonly #last = new Map<string, Promise<unknown>>();

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

	/** Runs work when its turn has come. */
	async run<T>(name: string, work: () => T | Promise<T>): Promise<T> {
		const { promise, done } = this.join(name);
		try {
			if (promise !== undefined) await promise;
			return await work();
		} finally {
			done();
		}
	}
}
