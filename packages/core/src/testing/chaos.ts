/** Faults that a test switches on and off around any store. */
import type {
	Backend,
	Batch,
	BatchAnswer,
	Failure,
	ReadAnswer,
	ReadAsk,
	ScopeId,
	Signal,
	Soon,
} from "../backend.js";
import { HoldfastError } from "../error.js";
import { around } from "./around.js";
import { type Random, seeded } from "./random.js";

/** The calls of a store. */
export type Call = "read" | "commit" | "list" | "log" | "watch" | "scopes" | "drop";

/** What goes wrong; all of it may be changed at any time. Chances are from 0 to 1. */
export interface Faults {
	/** The chance that a signal is not heard. */
	dropSignals: number;
	/** The chance that a signal is heard twice. */
	repeatSignals: number;
	/** Each signal comes up to so many ms late, so they come out of order. */
	delaySignals: number;
	/** The chance that a batch is applied and its answer lost: `unknown`. */
	loseAnswers: number;
	/** The chance that a batch is lost on its way: `unknown` as well, for the sender can't tell. */
	loseBatches: number;
	/** The chance that a batch is answered `unknown` at once and arrives up to 10 ms later all the same. */
	lateBatches: number;
	/** The chance that a batch arrives a second time, up to 10 ms later, as a resending client library does. */
	repeatBatches: number;
	/** The store is out of reach: these calls fail as `unavailable`. */
	unavailable: boolean | readonly Call[];
	/** These calls are never answered; a commit that hangs is not applied. */
	hang: boolean | readonly Call[];
	/** Reads and commits of these scopes take so many ms longer. */
	readonly slow: Map<ScopeId, number>;
}

/** A store that things happen to. */
export interface Chaos {
	/** The store as its users see it. */
	readonly backend: Backend;
	/** What goes wrong at present; at first nothing. */
	readonly faults: Faults;
	/** Tells all watchers that the connection broke, or that they should look. */
	signal(type: "lost" | "wake"): void;
	/** Ends all faults, and answers how often one struck. */
	heal(): number;
}

const faultless = {
	dropSignals: 0,
	repeatSignals: 0,
	delaySignals: 0,
	loseAnswers: 0,
	loseBatches: 0,
	lateBatches: 0,
	repeatBatches: 0,
	unavailable: false,
	hang: false,
} as const;

/** Options of {@link chaos}. */
export interface ChaosOptions extends Partial<Omit<Faults, "slow">> {
	/** Default: a sequence that is the same each time. */
	readonly random?: Random;
}

const lateness = 10;

const lost: Failure = { failed: "unknown", message: "chaos: the answer was lost" };
const unreachable: Failure = { failed: "unavailable", message: "chaos: the store is out of reach" };

// Nobody waits for what comes late.
const ignore = (): void => {};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Puts faults around a store.
 *
 * @example
 * ```ts
 * const { backend, faults } = chaos(memory());
 * const manager = createStateManager({ backend });
 * faults.unavailable = true;
 * await manager.shared.get("counter"); // rejects as `unavailable`
 * ```
 */
export function chaos(inner: Backend, { random = seeded(1), ...initial }: ChaosOptions = {}): Chaos {
	const faults: Faults = { ...faultless, ...initial, slow: new Map() };
	const listeners = new Set<(signal: Signal) => void>();
	let struck = 0;

	const strikes = (chance: number): boolean => {
		if (chance === 0 || random() >= chance) return false;
		struck++;
		return true;
	};
	const concerns = (fault: boolean | readonly Call[], call: Call): boolean => {
		const concerned = typeof fault === "boolean" ? fault : fault.includes(call);
		if (concerned) struck++;
		return concerned;
	};
	const never = <T>(): Promise<T> => new Promise<T>(() => {});
	const failing = <T>(call: Call, run: () => Soon<T>): Soon<T> => {
		if (concerns(faults.hang, call)) return never();
		if (concerns(faults.unavailable, call))
			return Promise.reject(new HoldfastError("unavailable", unreachable.message));
		return run();
	};
	const late = (): Promise<void> => sleep(random() * lateness);
	const slowly = <T>(scope: ScopeId, run: () => Soon<T>): Soon<T> => {
		const ms = faults.slow.get(scope);
		return ms === undefined ? run() : sleep(ms).then(run);
	};

	const readOne = (ask: ReadAsk): Soon<ReadAnswer | Failure> => {
		if (concerns(faults.hang, "read")) return never();
		if (concerns(faults.unavailable, "read")) return unreachable;
		return slowly(ask.scope, () => inner.read([ask])[0] as Soon<ReadAnswer | Failure>);
	};
	const commitOne = (batch: Batch): Soon<BatchAnswer | Failure> => {
		const arrive = (): Soon<BatchAnswer | Failure> => inner.commit([batch])[0] as Soon<BatchAnswer | Failure>;
		if (concerns(faults.hang, "commit")) return never();
		if (concerns(faults.unavailable, "commit")) return unreachable;
		if (strikes(faults.loseBatches)) return lost;
		if (strikes(faults.lateBatches)) {
			void late().then(arrive).catch(ignore);
			return lost;
		}
		if (strikes(faults.repeatBatches)) void late().then(arrive).catch(ignore);
		return slowly(batch.scope, () => {
			const answer = arrive();
			return strikes(faults.loseAnswers) ? Promise.resolve(answer).then(() => lost) : answer;
		});
	};

	const hear = (listener: (signal: Signal) => void, signal: Signal): void => {
		if (strikes(faults.dropSignals)) return;
		const times = strikes(faults.repeatSignals) ? 2 : 1;
		for (let i = 0; i < times; i++) {
			if (faults.delaySignals > 0)
				void sleep(random() * faults.delaySignals).then(() => {
					if (listeners.has(listener)) listener(signal);
				});
			else listener(signal);
		}
	};

	const backend = around(inner, {
		// What strikes one of a call does not strike the others.
		read: (asks) => asks.map(readOne),
		commit: (batches) => batches.map(commitOne),
		list: (scope, range) => failing("list", () => inner.list(scope, range)),
		log: (scope, after, query) => failing("log", () => inner.log(scope, after, query)),
		scopes: (range) => failing("scopes", () => inner.scopes(range)),
		drop: (scope) => failing("drop", () => inner.drop(scope)),
		watch: (scope, listener) =>
			failing("watch", async () => {
				const own = (signal: Signal): void => listener(signal);
				listeners.add(own);
				const unwatch = await inner.watch(scope, (signal) => hear(own, signal));
				return () => {
					listeners.delete(own);
					unwatch();
				};
			}),
	});

	return {
		backend,
		faults,
		signal(type) {
			for (const listener of listeners) listener({ type });
		},
		heal() {
			Object.assign(faults, faultless);
			faults.slow.clear();
			return struck;
		},
	};
}
