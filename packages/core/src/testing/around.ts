/** A backend around a backend. */
import type { Backend } from "../backend.js";

/** A backend that does as another does, except for what is given. */
export const around = (inner: Backend, changed: Partial<Backend>): Backend => ({
	name: inner.name,
	traits: inner.traits,
	read: (asks) => inner.read(asks),
	commit: (batches) => inner.commit(batches),
	list: (scope, range) => inner.list(scope, range),
	log: (scope, after, query) => inner.log(scope, after, query),
	watch: (scope, listener) => inner.watch(scope, listener),
	scopes: (range) => inner.scopes(range),
	drop: (scope) => inner.drop(scope),
	close: (options) => inner.close(options),
	...(inner.peek !== undefined && { peek: (ask, maxAge) => inner.peek?.(ask, maxAge) }),
	...(inner.problems !== undefined && { problems: inner.problems.bind(inner) }),
	...changed,
});
