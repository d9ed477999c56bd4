/** The memory backend as a store that tests can restart, empty and set back. */
import type { Backend, ScopeId, Signal } from "../backend.js";
import type { Clock } from "../clock.js";
import { memory } from "../memory.js";
import { around } from "./around.js";
import type { BackendHarness } from "./harness.js";
import { TestClock } from "./test-clock.js";

interface Entry {
	readonly now: number;
	run(memory: Backend): unknown;
}

interface Watch {
	readonly scope: ScopeId;
	readonly listener: (signal: Signal) => void;
	unwatch: () => void;
}

type CommitsNow = Required<Pick<Backend, "commitNow">>;

// Memory is a function of what it was asked to do and when: a journal of both is a copy of it.
class JournaledMemory {
	readonly clock: TestClock;
	readonly backend: Backend;
	readonly #watches = new Set<Watch>();
	#journal: Entry[] = [];
	#replayed: number | undefined;
	#memory: Backend;

	constructor(still: boolean) {
		this.clock = new TestClock({ skew: 3_600_000, still });
		this.#memory = this.#empty();
		this.backend = around(this.#memory, {
			read: (asks) => this.#memory.read(asks),
			commit: (batches) => this.#record((memory) => memory.commit(batches)),
			commitNow: ({ scope, floor, keep }, commit, step) =>
				// Who sends it goes on changing.
				this.#record((memory) => (memory as CommitsNow).commitNow({ scope, floor, keep }, commit, step)),
			list: (scope, range) => this.#memory.list(scope, range),
			log: (scope, after, query) => this.#memory.log(scope, after, query),
			watch: (scope, listener) => {
				const watch = { scope, listener, unwatch: this.#attach(scope, listener) };
				this.#watches.add(watch);
				return () => {
					watch.unwatch();
					this.#watches.delete(watch);
				};
			},
			scopes: (range) => this.#memory.scopes(range),
			drop: (scope) => this.#record((memory) => memory.drop(scope)),
			close: async () => {},
		});
	}

	get length(): number {
		return this.#journal.length;
	}

	/** Starts again from the first so many entries of the journal. */
	restore(length: number): void {
		const journal = this.#journal.slice(0, length);
		this.#memory = this.#empty();
		this.#journal = [];
		for (const { run, now } of journal) this.#record(run, now);
		for (const watch of this.#watches) {
			watch.listener({ type: "lost" });
			watch.unwatch = this.#attach(watch.scope, watch.listener);
			watch.listener({ type: "wake" });
		}
	}

	#empty(): Backend {
		const clock: Clock = {
			now: () => this.#replayed ?? this.clock.now(),
			monotonic: () => this.clock.monotonic(),
			after: (ms, callback, background) => this.clock.after(ms, callback, background),
		};
		return memory({ clock });
	}

	#record<T>(run: (memory: Backend) => T, now = this.clock.now()): T {
		this.#journal.push({ now, run });
		this.#replayed = now;
		try {
			return run(this.#memory);
		} finally {
			this.#replayed = undefined;
		}
	}

	#attach(scope: ScopeId, listener: (signal: Signal) => void): () => void {
		return this.#memory.watch(scope, listener) as () => void;
	}
}

/** Options of {@link memoryHarness}. */
export interface MemoryHarnessOptions {
	/** What stands between the store and all its handles; made anew when the store loses something. */
	readonly layer?: (store: Backend) => Backend;
	/** What stands between the layer and each handle. */
	readonly handle?: (store: Backend) => Backend;
	/** Whether these lose answers and remember writers. Default `false`. */
	readonly losesAnswers?: boolean;
	/** See {@link TestClockOptions.still}; `advance` moves its time all the same. Default `false`. */
	readonly still?: boolean;
	/** See {@link BackendHarness.patience}. */
	readonly patience?: number;
}

/**
 * Opens a store in memory, whose clock is an hour ahead of the machine's, with every ability: to see what core does on a store that restarts
 * or loses something, and to test layers.
 *
 * @example
 * ```ts
 * conformance("my layer", () => memoryHarness({ layer: (backend) => mine(backend) }));
 * ```
 */
export function memoryHarness({
	layer = (store) => store,
	handle = (store) => store,
	losesAnswers = false,
	still = false,
	patience,
}: MemoryHarnessOptions = {}): BackendHarness {
	const store = new JournaledMemory(still);
	let layered = layer(store.backend);
	const restore = (length: number): void => {
		layered = layer(store.backend);
		store.restore(length);
	};
	return {
		create: () =>
			handle(
				around(layered, {
					read: (asks) => layered.read(asks),
					commit: (batches) => layered.commit(batches),
					...(layered.commitNow !== undefined && {
						commitNow: (...commit) => (layered as CommitsNow).commitNow(...commit),
					}),
					list: (scope, range) => layered.list(scope, range),
					log: (scope, after, query) => layered.log(scope, after, query),
					watch: (scope, listener) => layered.watch(scope, listener),
					scopes: (range) => layered.scopes(range),
					drop: (scope) => layered.drop(scope),
				}),
			),
		advance: (ms) => store.clock.jump(ms),
		losesAnswers,
		restart: async () => store.restore(store.length),
		reconnects: true,
		forget: () => restore(0),
		save: () => {
			const { length } = store;
			return () => restore(length);
		},
		...(patience === undefined ? {} : { patience }),
		dispose: async () => {},
	};
}
