/** Answers that may be there at once: the glue that keeps an embedded store free of promises. */
import type { Soon } from "./backend.js";

/** Whether an answer still has to come. */
export const isLater = <T>(answer: Soon<T>): answer is Promise<T> =>
	typeof (answer as { then?: unknown } | null | undefined)?.then === "function";

/** Goes on with an answer, at once where it is there. */
export const andThen = <T, R>(answer: Soon<T>, next: (value: T) => Soon<R>): Soon<R> =>
	isLater(answer) ? answer.then(next) : next(answer);
