/** Beginning to follow a store that may be out of reach just now. */
import type { Store } from "./store.js";

/** How long to wait before another try, in ms. */
const pause = 1000;

/** What begins. */
export interface Beginning {
	readonly store: Store;
	readonly scope: string;
	/** What is beginning, for the error that says that it could not. */
	readonly what: string;
	/** Whether nobody wants it any more. */
	isOver(): boolean;
	/** One try; goes on where an earlier one got to. */
	attempt(): Promise<void>;
}

/**
 * Tries until it has begun. The promise rejects with the first failure, so that whoever waits is answered in time; the trying goes on, so that
 * an outage at the start costs no more than one later.
 */
export function begin({ store, scope, what, isOver, attempt }: Beginning): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	const run = (): void => {
		attempt().then(resolve, (error: unknown) => {
			reject(error);
			if (!isOver()) store.clock.after(pause, () => isOver() || run(), true);
		});
	};
	run();
	// Who does not look at the promise hears of the failure by manager.on("error").
	promise.catch((error: unknown) => {
		if (!isOver() && !store.closed) store.report(error, `${what} could not start yet`, scope);
	});
	return promise;
}
