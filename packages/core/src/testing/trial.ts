/** What one test works with: handles, managers and time, all ended when it ends. */
import { vi } from "vitest";
import type { Backend, ScopeId, Soon } from "../backend.js";
import { createStateManager, type ManagerOptions, type StateManager } from "../manager.js";
import { isLater } from "../soon.js";
import { around } from "./around.js";
import { Client } from "./client.js";
import type { BackendHarness } from "./harness.js";
import { TestClock } from "./test-clock.js";

// Where there is setImmediate, managers send by it, and a loaded machine runs several timers before it comes to that.
const { setImmediate: atTurnsEnd = (callback: () => void) => callback() } = globalThis as {
	setImmediate?: (callback: () => void) => unknown;
};
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(() => atTurnsEnd(resolve), 0));

/** One test over one store. */
export class Trial {
	readonly harness: BackendHarness;
	/** The clock of the managers: two hours behind the machine's, since only the store's clock may count. */
	readonly clock: TestClock;
	/** What managers reported as errors. */
	readonly errors: unknown[] = [];
	readonly #ends: (() => unknown)[] = [];
	#inFlight = 0;

	/** `still` as {@link TestClockOptions.still} says: for a store that needs no real time. */
	constructor(harness: BackendHarness, still = false) {
		this.harness = harness;
		const passing = (ms: number): void => void harness.advance?.(ms);
		this.clock = new TestClock({ skew: -7_200_000, still, passing });
	}

	/** How long anything may take, in ms of real time. */
	get patience(): number {
		return this.harness.patience ?? 60_000;
	}

	/** How long a manager's calls may take, in ms of its clock: no less than their usual 5 s, and what a loaded machine takes. */
	get timeout(): number {
		return Math.max(5000, this.patience);
	}

	/** A handle on the store, as another process would have it. */
	async backend(): Promise<Backend> {
		const backend = await this.harness.create();
		this.#ends.push(() => backend.close({ timeout: 200 }));
		return this.#counted(backend);
	}

	/** A writer on a handle of its own. */
	async client(scope?: ScopeId): Promise<Client> {
		return new Client(await this.backend(), scope);
	}

	/** A manager on a handle of its own, or on the given backend. */
	async manager(options: Partial<ManagerOptions> = {}): Promise<StateManager> {
		const manager = createStateManager({
			backend: options.backend ?? (await this.backend()),
			clock: this.clock,
			namespace: "conformance",
			timeout: this.timeout,
			...options,
		});
		manager.on("error", (error) => this.errors.push(error));
		this.#ends.push(() => manager.close({ timeout: 200 }));
		return manager;
	}

	/** Lets time pass, for the store and for the managers, whose timers run as they come due. */
	async advance(ms: number): Promise<void> {
		await this.settle();
		for (let left = ms; left > 0; ) {
			const next = this.clock.untilNext;
			const step = next === null ? left : Math.min(left, Math.max(1, Math.ceil(next)));
			left -= step;
			await this.harness.advance?.(step);
			this.clock.jump(step);
			await this.settle();
		}
	}

	/** Waits until no call to the store is under way, and none is about to be: a timer that just ran has not sent yet what it asks for. */
	async settle(): Promise<void> {
		const end = performance.now() + this.patience;
		for (let quiet = 0; quiet < 3 && performance.now() < end; ) {
			const { fired } = this.clock;
			await turn();
			quiet = this.#inFlight === 0 && this.clock.fired === fired ? quiet + 1 : 0;
		}
	}

	/** Waits until an assertion holds, at most as long as anything may take. */
	async eventually<T>(what: string, assertion: () => T | Promise<T>): Promise<T> {
		try {
			return await vi.waitFor(assertion, { timeout: this.patience, interval: 5 });
		} catch (error) {
			throw new Error(`never came true: ${what}: ${(error as Error).message}`, { cause: error });
		}
	}

	/** The answer, or an error if it takes too long. */
	async within<T>(what: string, answer: Soon<T>, ms = this.patience): Promise<T> {
		let timer: ReturnType<typeof setTimeout> | undefined;
		const late = new Promise<never>((_, reject) => {
			timer = setTimeout(() => reject(new Error(`${what} did not settle within ${ms} ms`)), ms);
		});
		try {
			return await Promise.race([answer, late]);
		} finally {
			clearTimeout(timer);
		}
	}

	/** Ends everything, the newest first; what fails here is not what the test is about. */
	async end(): Promise<void> {
		for (const end of this.#ends.reverse())
			await this.within("an end", (async () => end())(), Math.min(this.patience, 2000)).catch(() => {});
	}

	#counted(backend: Backend): Backend {
		const count = <T>(answer: Soon<T>): Soon<T> => {
			if (!isLater(answer)) return answer;
			this.#inFlight++;
			return answer.finally(() => this.#inFlight--);
		};
		return around(backend, {
			read: (asks) => backend.read(asks).map(count),
			commit: (batches) => backend.commit(batches).map(count),
			list: (scope, range) => count(backend.list(scope, range)),
			log: (scope, after, query) => count(backend.log(scope, after, query)),
			watch: (scope, listener) => count(backend.watch(scope, listener)),
			scopes: (range) => count(backend.scopes(range)),
			drop: (scope) => count(backend.drop(scope)),
		});
	}
}
