/** A SQL database as a backend. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Commit,
	type CommitOutcome,
	type Failure,
	HoldfastError,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
	type Sender,
	type Signal,
	type Soon,
	type Traits,
	type Unwatch,
} from "@holdfast/core";
import type { Packed } from "./commit.js";
import { EmbeddedCommits } from "./embedded-commits.js";
import { EmbeddedStore } from "./embedded-store.js";
import { failureOfCall, rejectionOf } from "./failure.js";
import { Hub } from "./hub.js";
import type { Opened } from "./opened.js";
import { type SqlOptions, usual } from "./options.js";
import { Packs } from "./packs.js";
import { listEntries, listScopes, readEntries, readHeads, readLog } from "./read.js";
import { sqliteEngine } from "./sqlite-engine.js";
import type { Steps } from "./statement.js";
import type { Store } from "./store.js";
import { dropScope, tidyScope, type Untidy, untidy } from "./tidy.js";

interface Running extends Opened {
	readonly hub: Hub;
	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[];
	commitNow?(sender: Sender, commit: Omit<Commit, "id">, step: number): CommitOutcome | undefined;
}

// So many scopes are tidied when somebody asks which are due.
const tidyAtOnce = 100;

const deafness =
	"Postgres takes LISTEN and delivers no notification, as behind a pooler in transaction mode: changes of other processes are found by polling. Give the URL of a direct connection to hear of them at once";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A backend on an SQL database, which is opened at the first call. */
export class SqlBackend implements Backend {
	readonly name = "sql";
	readonly traits: Traits;
	readonly #open: () => Promise<Opened>;
	readonly #options: SqlOptions;
	#opening: Promise<Running> | undefined;
	#running: Running | undefined;
	#closed = false;
	readonly #problems = new Set<string>();
	readonly #concerned = new Set<(problem: string) => void>();

	constructor(open: () => Promise<Opened>, traits: Traits, options: SqlOptions) {
		this.#open = open;
		this.traits = traits;
		this.#options = options;
	}

	read(asks: readonly ReadAsk[]): Soon<ReadAnswer | Failure>[] {
		const answers = this.#ask((language) => readEntries(language, asks, this.#offset()));
		if (answers instanceof HoldfastError) return asks.map(() => failureOfCall(answers));
		return answers instanceof Promise
			? asks.map((_, i) => answers.then((all) => all[i] as ReadAnswer, failureOfCall))
			: answers.slice();
	}

	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[] {
		if (this.#running !== undefined) return this.#running.commit(batches);
		const running = this.#run();
		const answers = running.then(({ commit }) => commit(batches));
		return batches.map((_, i) =>
			answers.then(
				(all) => all[i] as Soon<BatchAnswer | Failure>,
				(error: unknown) => failureOfCall(rejectionOf(this.#engine(), error)),
			),
		);
	}

	commitNow(sender: Sender, commit: Omit<Commit, "id">, step: number): CommitOutcome | undefined {
		return this.#running?.commitNow?.(sender, commit, step);
	}

	list(scope: ScopeId, range: KeyRange): Soon<ListPage> {
		return this.#answer((language) => listEntries(language, scope, range, this.#offset()));
	}

	log(scope: ScopeId, after: number, query: LogQuery): Soon<LogPage> {
		return this.#answer((language) => readLog(language, scope, after, query, this.#offset()));
	}

	async watch(scope: ScopeId, listener: (signal: Signal) => void): Promise<Unwatch> {
		try {
			const { hub, listener: hears } = await this.#run();
			hears?.start({
				hint: (scopes) => hub.hint(scopes),
				listening: (now) => hub.listening(now),
				deaf: () => this.#tellProblem(deafness),
				get isWatched() {
					return hub.isWatched;
				},
			});
			return await hub.watch(scope, listener);
		} catch (error) {
			throw rejectionOf(this.#engine(), error);
		}
	}

	async scopes(range: ScopeRange): Promise<ScopePage> {
		// Who asks for due scopes keeps house: logs age though nobody writes, and what is empty goes.
		if (range.due === true) await this.#tidy().catch(() => {});
		return this.#answer((language) => listScopes(language, range, this.#offset()));
	}

	async drop(scope: ScopeId): Promise<void> {
		try {
			const { store, hub, listener } = await this.#run();
			for (let tries = 0; ; tries++) {
				const dropped = await this.#write(store, () => dropScope(store.language, scope, this.#offset()));
				if (dropped === undefined && tries < 200) {
					await pause(5 + Math.random() * 20);
					continue;
				}
				if (dropped === undefined)
					throw new HoldfastError("unavailable", "the scope's row was locked all the time");
				if (dropped.there) {
					hub.hint([scope]);
					listener?.send([scope]);
				}
				// It goes now, rather than when somebody keeps house.
				if (dropped.leaves) void this.#tidy().catch(() => {});
				return;
			}
		} catch (error) {
			throw rejectionOf(this.#engine(), error);
		}
	}

	problems(listener: (problem: string) => void): Unwatch {
		this.#concerned.add(listener);
		for (const problem of this.#problems) listener(problem);
		return () => void this.#concerned.delete(listener);
	}

	async close({ timeout = 5000 }: { readonly timeout?: number } = {}): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		let running: Running | undefined;
		const end = async (): Promise<void> => {
			running = this.#running ?? (await this.#opening);
			this.#running = undefined;
			running?.hub.close();
			running?.listener?.close();
			await running?.store.close();
		};
		let timer: ReturnType<typeof setTimeout> | undefined;
		const late = new Promise<void>((resolve) => {
			timer = setTimeout(resolve, timeout);
		});
		await Promise.race([end().catch(() => {}), late]);
		clearTimeout(timer);
		running?.sockets?.hangUp();
	}

	#tellProblem(problem: string): void {
		if (this.#problems.has(problem)) return;
		this.#problems.add(problem);
		for (const listener of [...this.#concerned]) listener(problem);
	}

	#offset(): number {
		return this.#options.clockOffset?.() ?? 0;
	}

	#engine() {
		return this.#running?.store.language.engine ?? sqliteEngine;
	}

	#run(): Promise<Running> {
		if (this.#closed) return Promise.reject(new HoldfastError("closed", "the backend was closed"));
		this.#opening ??= this.#start().catch((error: unknown) => {
			// The next call tries again.
			this.#opening = undefined;
			throw error;
		});
		return this.#opening;
	}

	async #start(): Promise<Running> {
		const opened = await this.#open();
		const { store, listener } = opened;
		const { least = usual.least, most = usual.most } = this.#options.poll ?? {};
		let version = -1;
		const hub = new Hub({
			heads: async (scopes) => store.read(readHeads(store.language, scopes)),
			...(store instanceof EmbeddedStore
				? {
						async changed() {
							const before = version;
							version = store.version();
							return version !== before;
						},
					}
				: {}),
			least,
			most,
		});
		const tell = (packed: readonly Packed[]): void => hub.tell(packed);
		const offset = (): number => this.#offset();
		let commit: Running["commit"];
		let commitNow: Running["commitNow"];
		if (store instanceof EmbeddedStore) {
			const commits = new EmbeddedCommits(store, offset, tell);
			commit = (batches) => commits.commit(batches);
			commitNow = (sender, commit, step) => commits.commitNow(sender, commit, step);
		} else {
			const hint =
				listener === undefined ? undefined : (scopes: readonly ScopeId[]) => [listener.hint(scopes)];
			const packs = new Packs(store, offset, tell, hint);
			commit = (batches) => batches.map((batch) => packs.commit(batch));
		}
		this.#running = { ...opened, hub, commit, ...(commitNow === undefined ? {} : { commitNow }) };
		return this.#running;
	}

	/** An answer, or why there is none: at once where the database is within the process. */
	#ask<T>(steps: (language: Store["language"]) => Steps<T>): Soon<T> | HoldfastError {
		const running = this.#running;
		if (running === undefined)
			return this.#run()
				.then(({ store }) => store.read(steps(store.language)))
				.catch((error: unknown) => {
					throw rejectionOf(this.#engine(), error);
				});
		const { store } = running;
		const again = (error: unknown): never => {
			throw rejectionOf(store.language.engine, error);
		};
		try {
			const answer = store.read(steps(store.language));
			if (!(answer instanceof Promise)) return answer;
			// Reading twice does no harm: the connection that broke may have been the pool's last old one.
			return answer
				.catch(async (error: unknown) => {
					for (let tries = 0; ; tries++) {
						if (!store.language.engine.isDisconnect(error) || tries >= 5 || this.#closed) throw error;
						await pause(20 * 2 ** tries);
						try {
							return await store.read(steps(store.language));
						} catch (next) {
							error = next;
						}
					}
				})
				.catch(again);
		} catch (error) {
			return rejectionOf(store.language.engine, error);
		}
	}

	#answer<T>(steps: (language: Store["language"]) => Steps<T>): Soon<T> {
		const answer = this.#ask(steps);
		if (answer instanceof HoldfastError) throw answer;
		return answer;
	}

	/** Runs a transaction that may be run again. */
	async #write<T>(store: Store, steps: () => Steps<T>): Promise<T> {
		const { engine } = store.language;
		for (let tries = 0; ; tries++)
			try {
				return await store.write(steps());
			} catch (error) {
				const { cause } = error as Error;
				if (tries >= 20 || !(engine.isTransient(cause) || engine.isDisconnect(cause))) throw error;
				await pause(Math.min(250, 5 * 2 ** tries));
			}
	}

	async #tidy(): Promise<void> {
		const { store } = await this.#run();
		const scopes = await store.read(untidy(store.language, tidyAtOnce, this.#offset()));
		for (const scope of scopes) {
			let left: Untidy | undefined = {};
			while (left !== undefined && !this.#closed) {
				const rest: Untidy = left;
				left = await this.#write(store, () => tidyScope(store.language, scope, this.#offset(), rest));
				// Others have their turn, also where each transaction is one call.
				if (left !== undefined) await pause(0);
			}
		}
	}
}
