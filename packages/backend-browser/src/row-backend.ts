/** A browser's storage as a backend. */
import {
	type Backend,
	type Batch,
	type BatchAnswer,
	type Clock,
	type Failure,
	type KeyRange,
	type ListPage,
	type LogPage,
	type LogQuery,
	lockUnder,
	type ReadAnswer,
	type ReadAsk,
	type ScopeId,
	type ScopePage,
	type ScopeRange,
	type Signal,
	type Soon,
	type Traits,
	type Unwatch,
} from "@holdfast/core";
import { commitBatches, type Judged, type Parts } from "./commit.js";
import { DeviceClock } from "./device-clock.js";
import { releaseLeft } from "./left-locks.js";
import { Presence } from "./presence.js";
import { listEntries, listScopes, readEntries, readKnown, readLog } from "./reading.js";
import { parseRecords } from "./records.js";
import type { RowStore, Steps, Work, Writes } from "./row-store.js";
import { ScopeCache } from "./scope-cache.js";
import { asError, asFailure, failureOf, StoreFailure } from "./store-failure.js";
import { type LeftLock, type Message, TabChannel } from "./tab-channel.js";
import { dropScope, tidyScope, untidy } from "./tidy.js";

/** How safe what a browser stores is: see {@link BrowserBackend.storage}. */
export type StorageState = "persisted" | "evictable" | "blocked";

/** A place for rows, and the name under which its users tell one another. */
export interface Place {
	readonly rows: RowStore;
	readonly channel: string;
	/** Whether its users find out who else is there. */
	readonly hasPresence?: boolean;
}

/** What a {@link RowBackend} tells who opens its place. */
interface Events {
	/** The connection was taken away; `lost`: what was stored is gone. */
	disturbed(lost: boolean): void;
	/** A transaction does not begin, or does again. */
	blocked(isBlocked: boolean): void;
}

/** Options of a {@link RowBackend}. */
export interface RowBackendOptions {
	readonly traits: Traits;
	readonly clock: Clock;
	open(events: Events): Soon<Place>;
}

// So many scopes are tidied when somebody asks which are due.
const tidyAtOnce = 100;

// What is longer is read from the log rather than copied to every tab.
const toldBytes = 256 * 1024;

type Listener = (signal: Signal) => void;

/** A backend on rows that several tabs may share. */
export class RowBackend implements Backend {
	readonly name = "browser";
	readonly traits: Traits;
	readonly #options: RowBackendOptions;
	readonly #cache = new ScopeCache();
	readonly #clock: DeviceClock;
	readonly #watched = new Map<ScopeId, Set<Listener>>();
	readonly #problems = new Set<string>();
	readonly #troubled = new Set<(problem: string) => void>();
	/** The locks that this tab holds. */
	readonly #held = new Map<string, LeftLock>();
	#place: Soon<Place> | undefined;
	#channel: TabChannel | undefined;
	#presence: Presence | undefined;
	/** While the page is away: when it is back. */
	#away: PromiseWithResolvers<void> | undefined;
	/** How many calls that write are not answered: who reads after them waits for them. */
	#writing = 0;
	#closed = false;
	#isBlocked = false;
	#isPersisted = false;

	constructor(options: RowBackendOptions) {
		this.#options = options;
		this.traits = options.traits;
		this.#clock = new DeviceClock(options.clock);
	}

	get storage(): StorageState {
		return this.#isBlocked ? "blocked" : this.#isPersisted ? "persisted" : "evictable";
	}

	async persist(): Promise<boolean> {
		this.#isPersisted = (await globalThis.navigator?.storage?.persist?.()) ?? false;
		return this.#isPersisted;
	}

	read(asks: readonly ReadAsk[]): Soon<ReadAnswer | Failure>[] {
		const place = this.#place;
		const knows = !this.#closed && this.#writing === 0 && place !== undefined && !(place instanceof Promise);
		const known = knows ? readKnown(this.#parts(place.rows), asks) : undefined;
		if (known !== undefined) return known.slice();
		const answers = this.#attempt<readonly (ReadAnswer | Failure)[]>(
			"readonly",
			(parts) => readEntries(parts, asks),
			(error) => asks.map(() => asFailure(error)),
		);
		return each(asks, answers);
	}

	commit(batches: readonly Batch[]): Soon<BatchAnswer | Failure>[] {
		return each(batches, this.#commit(batches));
	}

	list(scope: ScopeId, range: KeyRange): Soon<ListPage> {
		return this.#ask("readonly", (parts) => listEntries(parts, scope, range));
	}

	log(scope: ScopeId, after: number, query: LogQuery): Soon<LogPage> {
		return this.#ask("readonly", (parts) => readLog(parts, scope, after, query));
	}

	async watch(scope: ScopeId, listener: Listener): Promise<Unwatch> {
		try {
			await this.#opened();
		} catch (error) {
			throw asError(error);
		}
		const listeners = this.#watched.get(scope) ?? new Set();
		this.#watched.set(scope, listeners.add(listener));
		await this.#channel?.open();
		return () => {
			if (listeners.delete(listener) && listeners.size === 0) this.#watched.delete(scope);
		};
	}

	async scopes(range: ScopeRange): Promise<ScopePage> {
		// Who asks for due scopes keeps house: logs age though nobody writes, and what is empty goes.
		if (range.due === true) await this.#tidy().catch(() => {});
		return this.#ask("readonly", (parts) => listScopes(parts, range));
	}

	async drop(scope: ScopeId): Promise<void> {
		const wasThere = await this.#ask("readwrite", (parts, writes) => dropScope(parts, scope, writes));
		if (wasThere) this.#changed(scope);
	}

	problems(listener: (problem: string) => void): Unwatch {
		this.#troubled.add(listener);
		for (const problem of this.#problems) listener(problem);
		return () => void this.#troubled.delete(listener);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		globalThis.removeEventListener?.("pagehide", this.#hidden);
		globalThis.removeEventListener?.("pageshow", this.#shown);
		this.#watched.clear();
		const place = this.#place;
		this.#channel?.close();
		this.#presence?.leave();
		await Promise.resolve(place).then(
			(opened) => opened?.rows.release(),
			() => {},
		);
	}

	/** Who only reads need not wait until others know that it is there, unless it wrote before. */
	#opened(mode?: IDBTransactionMode): Soon<Place> {
		if (this.#closed) throw new StoreFailure("closed", "the backend was closed: make a new one");
		this.#place ??= this.#open();
		// What a page does while it is left has no time to wait.
		const entering = this.#away === undefined ? this.#presence?.enter() : undefined;
		if (entering === undefined || (mode === "readonly" && this.#writing === 0)) return this.#place;
		return entering.then(() => this.#opened());
	}

	#open(): Soon<Place> {
		const place = this.#options.open({
			disturbed: (lost) => this.#disturbed(lost),
			blocked: (isBlocked) => {
				this.#isBlocked = isBlocked;
			},
		});
		const opened = (found: Place): Place => {
			this.#place = found;
			this.#channel = new TabChannel(found.channel, (message) => this.#hear(message));
			void this.#channel.open();
			if (found.hasPresence === true)
				this.#presence = new Presence(found.channel, (message) => this.#channel?.tell(message));
			globalThis.addEventListener?.("pagehide", this.#hidden);
			globalThis.addEventListener?.("pageshow", this.#shown);
			void globalThis.navigator?.storage?.persisted?.().then(
				(isPersisted) => {
					this.#isPersisted ||= isPersisted;
				},
				() => {},
			);
			return found;
		};
		if (!(place instanceof Promise)) return opened(place);
		return place.then(opened, (error: unknown) => {
			this.#place = undefined;
			throw error;
		});
	}

	#parts({ losesAnswers, mostBehind }: RowStore): Parts {
		const era = this.#presence?.alone;
		return { cache: this.#cache, clock: this.#clock, remembers: losesAnswers, mostBehind, era };
	}

	/** Does work in a transaction, and makes of a failure what is to be answered: at once where the storage answers at once. */
	#attempt<T>(
		mode: IDBTransactionMode,
		steps: (parts: Parts, writes: Writes) => Steps<T>,
		failed: (error: unknown) => Soon<T>,
	): Soon<T> {
		const run = ({ rows }: Place): Soon<T> => {
			const parts = this.#parts(rows);
			const work: Work<T> = (writes, isMistaken = false) => {
				if (isMistaken) this.#cache.clear();
				return steps(parts, writes);
			};
			return rows.run(mode, work);
		};
		try {
			const place = this.#opened(mode);
			const answer = place instanceof Promise ? place.then(run) : run(place);
			if (!(answer instanceof Promise)) return answer;
			if (mode === "readonly") return answer.catch(failed);
			this.#writing++;
			const answered = (): void => {
				this.#writing--;
			};
			return answer.finally(answered).catch(failed);
		} catch (error) {
			return failed(error);
		}
	}

	#ask<T>(mode: IDBTransactionMode, steps: (parts: Parts, writes: Writes) => Steps<T>): Soon<T> {
		return this.#attempt(mode, steps, (error) => {
			throw asError(error);
		});
	}

	#commit(batches: readonly Batch[]): Soon<readonly (BatchAnswer | Failure)[]> {
		const failed = (error: unknown): Soon<readonly Judged[]> => this.#failed(batches, error);
		const judged = this.#attempt<readonly Judged[]>(
			"readwrite",
			(parts, writes) => commitBatches(parts, batches, writes),
			failed,
		);
		const answers = (all: readonly Judged[]): Soon<readonly (BatchAnswer | Failure)[]> => {
			for (const one of all) this.#committed(one);
			const found = all.map(({ answer }) => answer);
			const back = this.#back();
			return back === undefined ? found : back.then(() => found);
		};
		return judged instanceof Promise ? judged.then(answers) : answers(judged);
	}

	/** Until when answers wait: others must not believe to be alone once a commit is answered. */
	#back(): Promise<void> | undefined {
		if (this.#closed || this.#presence === undefined) return undefined;
		return this.#away?.promise.then(() => this.#back()) ?? this.#presence.enter();
	}

	#failed(batches: readonly Batch[], error: unknown): Soon<readonly Judged[]> {
		for (const { scope } of batches) this.#cache.forget(scope);
		const { reason } = failureOf(error);
		const [batch] = batches;
		if (reason === "full" && batches.length > 1) {
			// One scope must not fail another's commit.
			const alone = async (): Promise<readonly Judged[]> => {
				const answers: Judged[] = [];
				for (const one of batches)
					answers.push(
						...(await this.#attempt<readonly Judged[]>(
							"readwrite",
							(parts, writes) => commitBatches(parts, [one], writes),
							(again) => this.#failed([one], again),
						)),
					);
				return answers;
			};
			return alone();
		}
		const answer = (one: Batch): BatchAnswer | Failure =>
			// Nothing was written, and nothing is remembered: the same batch may succeed once there is room.
			reason === "full"
				? {
						head: one.floor,
						now: this.#clock.now(),
						next: null,
						outcomes: one.commits.map(() => ({ ok: false, why: "full", index: 0, entry: null }) as const),
					}
				: asFailure(error);
		return (batch === undefined ? [] : batches).map((one) => ({
			batch: one,
			answer: answer(one),
			records: [],
			text: undefined,
			ended: false,
		}));
	}

	#committed({ batch: { scope }, records, text, ended, state, era }: Judged): void {
		if (state?.row !== undefined) state.era = era;
		if (ended) this.#changed(scope);
		if (records.length === 0) return;
		for (const { changes, revision } of records)
			for (const { key, type } of changes) {
				if (!key.startsWith(lockUnder)) continue;
				if (type === "set") this.#held.set(`${scope} ${key}`, { scope, key, revision });
				else this.#held.delete(`${scope} ${key}`);
			}
		this.#signal(scope, { type: "records", records });
		// Who comes after this reads it.
		if (this.#presence?.alone !== undefined) return;
		const isLong = text === undefined || text.length > toldBytes;
		this.#channel?.tell({ scope, records: isLong ? undefined : text });
	}

	/** Tells here and elsewhere that a scope has to be looked at. */
	#changed(scope: ScopeId): void {
		this.#signal(scope, { type: "wake" });
		this.#channel?.tell({ scope });
	}

	#hear(message: Message): void {
		if ("left" in message) {
			void this.#release(message.left);
			return;
		}
		if ("hello" in message) return;
		if ("entered" in message || "yielded" in message) {
			this.#presence?.hear(message);
			return;
		}
		const { scope, records: text } = message;
		if (!this.#watched.has(scope) && !this.#cache.has(scope)) return;
		if (text === undefined) {
			this.#signal(scope, { type: "wake" });
			return;
		}
		const records = parseRecords(text);
		this.#cache.hear(scope, records);
		this.#signal(scope, { type: "records", records });
	}

	/** Releases what a page that ended held, whichever tab comes first. */
	async #release(left: readonly LeftLock[]): Promise<void> {
		for (const lock of left) {
			const released = await this.#attempt<readonly Judged[]>(
				"readwrite",
				(parts, writes) => releaseLeft(parts, lock, writes),
				() => [],
			);
			for (const one of released) this.#committed(one);
		}
	}

	#signal(scope: ScopeId, signal: Signal): void {
		const listeners = this.#watched.get(scope);
		if (listeners !== undefined) for (const listener of [...listeners]) listener(signal);
	}

	#wakeAll(): void {
		for (const scope of [...this.#watched.keys()]) this.#signal(scope, { type: "wake" });
	}

	#disturbed(lost: boolean): void {
		this.#cache.clear();
		if (lost) {
			const problem =
				"the browser's storage was deleted, by another tab, the user or the browser itself: it begins again empty";
			this.#problems.add(problem);
			for (const listener of this.#troubled) listener(problem);
		}
		this.#wakeAll();
	}

	// Fields, so that they can be taken off again.
	readonly #hidden = (event: Event): void => {
		// A page that may come back keeps its locks; their time runs out if it does not.
		if (!(event as PageTransitionEvent).persisted && this.#held.size > 0)
			this.#channel?.tell({ left: [...this.#held.values()] });
		this.#channel?.close();
		// A page that holds a lock is not kept for the way back.
		this.#away = Promise.withResolvers();
		this.#presence?.leave();
	};

	readonly #shown = (event: Event): void => {
		if (!(event as PageTransitionEvent).persisted) return;
		this.#away?.resolve();
		this.#away = undefined;
		void this.#channel?.open();
		this.#wakeAll();
	};

	async #tidy(): Promise<void> {
		for (const scope of await this.#ask("readonly", (parts) => untidy(parts, tidyAtOnce)))
			await this.#ask("readwrite", (parts, writes) => tidyScope(parts, scope, writes));
	}
}

/** An answer each, of one for all. */
const each = <T>(asks: readonly unknown[], answers: Soon<readonly T[]>): Soon<T>[] =>
	answers instanceof Promise
		? asks.map((_, i) => answers.then((all) => all[i] as T))
		: (answers.slice() as T[]);
