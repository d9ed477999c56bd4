/** A layer that counts and times what goes through it. */
import type { Backend, Signal, Soon } from "./backend.js";
import { type Clock, systemClock } from "./clock.js";
import { isLater } from "./soon.js";

/** The operations of a backend. A `peek` is a read that a near cache answered. */
export type Operation =
	| "read"
	| "peek"
	| "commit"
	| "list"
	| "log"
	| "watch"
	| "scopes"
	| "drop"
	| "close"
	| "signal";

/** One operation, as an {@link Observer} sees it. */
export interface Observation {
	readonly operation: Operation;
	/** The backend's name. */
	readonly backend: string;
	/** How long it took, in ms; 0 for a signal. */
	readonly duration: number;
	/** How many scopes were read or committed to, entries or records came back, or records were pushed. */
	readonly count: number;
	/** About how many bytes of values went out and came back. */
	readonly bytes: number;
	/** `failed`: rejected, or answered with at least one failure. */
	readonly outcome: "ok" | "failed";
}

/** Hears of each operation; an OpenTelemetry histogram is a few lines on top. What it throws is ignored. */
export type Observer = (observation: Observation) => void;

interface Sizes {
	readonly count: number;
	readonly bytes: number;
}

const valueBytes = (values: readonly ({ readonly value: { readonly size: number } } | null)[]): number =>
	values.reduce((sum, entry) => sum + (entry?.value.size ?? 0), 0);

const recordBytes = (records: Extract<Signal, { type: "records" }>["records"]): number =>
	records.reduce((sum, { changes }) => sum + valueBytes(changes.map(({ entry }) => entry)), 0);

/**
 * Makes a layer that tells an observer of every operation.
 *
 * @example
 * ```ts
 * const layers = [instrument(({ operation, duration }) => histogram.record(duration, { operation }))];
 * const manager = createStateManager({ backend: memory(), layers });
 * ```
 */
export const instrument =
	(observer: Observer, clock: Clock = systemClock): ((backend: Backend) => Backend) =>
	(backend) => {
		const tell = (
			operation: Operation,
			started: number,
			{ count, bytes }: Sizes,
			outcome: Observation["outcome"],
		) => {
			const duration = operation === "signal" ? 0 : clock.monotonic() - started;
			try {
				observer({ operation, backend: backend.name, duration, count, bytes, outcome });
			} catch {
				// An observer must not change what it observes.
			}
		};
		const observe = <T>(operation: Operation, call: () => Soon<T>, sizes: (answer: T) => Sizes): Soon<T> => {
			const started = clock.monotonic();
			const answered = (answer: T): T => {
				tell(operation, started, sizes(answer), "ok");
				return answer;
			};
			const failed = (error: unknown): never => {
				tell(operation, started, { count: 0, bytes: 0 }, "failed");
				throw error;
			};
			let answer: Soon<T>;
			try {
				answer = call();
			} catch (error) {
				return failed(error);
			}
			return isLater(answer) ? answer.then(answered, failed) : answered(answer);
		};
		/** One observation for all answers of a call, once the last is there. */
		const observeAll = <T extends object>(
			operation: Operation,
			call: () => Soon<T>[],
			bytes: (answer: T) => number,
		): Soon<T>[] => {
			const started = clock.monotonic();
			const failed = (): void => tell(operation, started, { count: 0, bytes: 0 }, "failed");
			let answers: Soon<T>[];
			try {
				answers = call();
			} catch (error) {
				failed();
				throw error;
			}
			const done = (all: readonly T[]): void => {
				const sum = all.reduce((total, answer) => total + ("failed" in answer ? 0 : bytes(answer)), 0);
				const outcome = all.some((answer) => "failed" in answer) ? "failed" : "ok";
				tell(operation, started, { count: all.length, bytes: sum }, outcome);
			};
			if (answers.some(isLater)) void Promise.all(answers).then(done, failed);
			else done(answers as T[]);
			return answers;
		};
		const nothing = (): Sizes => ({ count: 1, bytes: 0 });
		return {
			name: backend.name,
			traits: backend.traits,
			read: (asks) =>
				observeAll(
					"read",
					() => backend.read(asks),
					(answer) => ("failed" in answer ? 0 : valueBytes(answer.entries)),
				),
			...(backend.peek !== undefined && {
				peek(ask, maxAge) {
					const started = clock.monotonic();
					const answer = backend.peek?.(ask, maxAge);
					if (answer !== undefined)
						tell("peek", started, { count: 1, bytes: valueBytes(answer.entries) }, "ok");
					return answer;
				},
			}),
			commit(batches) {
				const sent = batches
					.flatMap(({ commits }) => commits.flatMap((commit) => commit.do))
					.reduce((sum, mutation) => sum + (mutation.op === "put" ? mutation.value.size : 0), 0);
				let first = true;
				const bytes = (): number => {
					const counted = first ? sent : 0;
					first = false;
					return counted;
				};
				return observeAll("commit", () => backend.commit(batches), bytes);
			},
			list: (scope, range) =>
				observe(
					"list",
					() => backend.list(scope, range),
					({ entries }) => ({
						count: entries.length,
						bytes: valueBytes(entries),
					}),
				),
			log: (scope, after, query) =>
				observe(
					"log",
					() => backend.log(scope, after, query),
					({ records }) => ({
						count: records.length,
						bytes: recordBytes(records),
					}),
				),
			watch(scope, listener) {
				const heard = (signal: Signal): void => {
					const records = signal.type === "records" ? signal.records : [];
					tell("signal", 0, { count: records.length, bytes: recordBytes(records) }, "ok");
					listener(signal);
				};
				return observe("watch", () => backend.watch(scope, heard), nothing);
			},
			scopes: (range) =>
				observe(
					"scopes",
					() => backend.scopes(range),
					({ scopes }) => ({ count: scopes.length, bytes: 0 }),
				),
			drop: (scope) => observe("drop", () => backend.drop(scope), nothing),
			...(backend.problems !== undefined && { problems: backend.problems.bind(backend) }),
			close: async (options) => observe("close", () => backend.close(options), nothing),
		};
	};
