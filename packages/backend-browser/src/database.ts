/** Rows in IndexedDB: one database, one object store, array keys. */
import { promisifyRequest } from "idb-keyval";
import type { Ask, Marked, RowRange, RowStore, Steps, Work, Writes } from "./row-store.js";
import { failureOf, StoreFailure } from "./store-failure.js";

const storeName = "rows";

/** How often a transaction is tried whose connection was closed under it. */
const tries = 5;

/** Options of a {@link Database}. */
export interface DatabaseOptions {
	readonly name: string;
	readonly durability: IDBTransactionDurability;
	/** How long a transaction may take, in ms. */
	readonly patience: number;
	/** Called when its connection was taken away; `lost`: it had to be made anew, so what it held is gone. */
	readonly disturbed: (lost: boolean) => void;
	/** Called when a transaction does not begin, or does again. */
	readonly blocked: (isBlocked: boolean) => void;
}

interface Running {
	/** When it is given up, by the monotonic clock. */
	readonly until: number;
	giveUp(): void;
}

// An array sorts behind all texts and numbers (Indexed Database API 3.0, "compare two keys").
const end: readonly never[] = [];

function keyRange({ table, scope, after, upTo }: RowRange): IDBKeyRange {
	if (scope === undefined) return IDBKeyRange.bound([table], [table, end]);
	const from = after === undefined ? [table, scope] : [table, scope, after];
	return IDBKeyRange.bound(from, [table, scope, upTo ?? end], after !== undefined);
}

function newestOf(store: IDBObjectStore, range: RowRange): Promise<unknown[]> {
	const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
	const rows: unknown[] = [];
	const request = store.openCursor(keyRange(range), "prev");
	request.onerror = () => reject(request.error);
	request.onsuccess = () => {
		const { result: cursor } = request;
		if (cursor !== null) rows.push(cursor.value);
		if (cursor === null || rows.length === range.limit) resolve(rows);
		else cursor.continue();
	};
	return promise;
}

function answer(store: IDBObjectStore, ask: Ask): Promise<unknown> {
	if ("key" in ask) return promisifyRequest(store.get(ask.key as string[]));
	if (ask.range.newest === true) return newestOf(store, ask.range);
	return promisifyRequest(store.getAll(keyRange(ask.range), ask.range.limit));
}

const writesTo = (store: IDBObjectStore): Writes => ({
	put: (key, row) => void store.put(row, key as string[]),
	delete: (key) => void store.delete(key as string[]),
	deleteAll: (range) => void store.delete(keyRange(range)),
});

/**
 * idb-keyval's idea of a store, a function from work to its transaction, with what it leaves out: durability, connections that are taken away,
 * and transactions that another tab does not let begin.
 */
export class Database implements RowStore {
	readonly losesAnswers = true;
	readonly mostBehind = 4000;
	readonly #options: DatabaseOptions;
	/** The transactions that have not ended, the oldest first. */
	readonly #running = new Set<Running>();
	#timer: ReturnType<typeof setTimeout> | undefined;
	#opening: Promise<IDBDatabase> | undefined;
	#db: IDBDatabase | undefined;
	/** Whether it was open before, so that a new database means that the old one is gone. */
	#known = false;

	constructor(options: DatabaseOptions) {
		this.#options = options;
	}

	async run<T>(mode: IDBTransactionMode, work: Work<T>): Promise<T> {
		let isMistaken = false;
		for (let tried = 1; ; tried++) {
			const db = this.#db ?? (await this.#patiently(this.#open()));
			let transaction: IDBTransaction;
			try {
				transaction = db.transaction(storeName, mode, { durability: this.#options.durability });
			} catch (error) {
				// Closed by then: it is opened again. Safari closes without a word.
				this.#forget(db);
				if (tried < tries && (error as Error).name === "InvalidStateError") continue;
				throw failureOf(error);
			}
			try {
				return await this.#drive(transaction, work, isMistaken);
			} catch (error) {
				isMistaken = error === mistaken;
				// Aborted because the connection was taken away: nothing was written.
				const isCutOff = error instanceof StoreFailure && error.cause === cutOff;
				if (!isMistaken && (tried === tries || !isCutOff)) throw error;
			}
		}
	}

	release(): void {
		void this.#opening?.then(
			(db) => this.#forget(db),
			() => {},
		);
	}

	async #drive<T>(transaction: IDBTransaction, work: Work<T>, isMistaken: boolean): Promise<T> {
		const store = transaction.objectStore(storeName);
		const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
		let failure: unknown;
		let isSent = false;
		transaction.oncomplete = () => resolve();
		transaction.onabort = () => reject(failure ?? transaction.error ?? cutOff);
		// Who waits for the answer of a read does not wait for the end.
		ended.catch(() => {});
		// What another transaction of ours is about to write is not to be assumed, nor to be read before it is written.
		const assumes = !isMistaken && this.#running.size === 0;
		const running: Running = {
			until: performance.now() + this.#options.patience,
			giveUp: () => {
				failure = isSent ? unanswered() : blocked();
				try {
					transaction.abort();
				} catch {
					// It was sent already.
				}
				reject(failure);
			},
		};
		this.#running.add(running);
		this.#timer ??= setTimeout(this.#giveUpLate, this.#options.patience);
		// A transaction that is aborted before it begins tells no request of it in time.
		const unlessEnded = <A>(answers: Promise<A>): Promise<A> =>
			Promise.race([answers, ended.then(() => answers)]);
		try {
			// The first step is taken at once and each other one in the last answer's own callback: that keeps the transaction alive.
			const steps: Steps<T> = work(writesTo(store), isMistaken);
			let checked: Promise<unknown> | undefined;
			let step = steps.next();
			while (step.done !== true) {
				const assumed =
					assumes && checked === undefined
						? step.value.flatMap((ask) => ("key" in ask && ask.assumed) || [])
						: [];
				const answers = Promise.all(step.value.map((ask) => answer(store, ask)));
				if (assumed.length < step.value.length) step = steps.next(await unlessEnded(answers));
				else {
					checked = answers.then((found) => {
						if (!assumed.every(({ mark }, i) => (found[i] as Marked | undefined)?.mark === mark))
							throw mistaken;
					});
					// Where the work fails before, nobody waits for it.
					checked.catch(() => {});
					step = steps.next(assumed);
				}
			}
			if (checked !== undefined) await unlessEnded(checked);
			if (transaction.mode === "readwrite") {
				isSent = true;
				transaction.commit();
				await ended;
			}
			this.#options.blocked(false);
			return step.value;
		} catch (error) {
			try {
				transaction.abort();
			} catch {
				// It has ended.
			}
			const cause = failure ?? transaction.error ?? error;
			if (cause === mistaken) throw cause;
			throw cause === cutOff || isAbort(cause)
				? new StoreFailure("unavailable", "the connection to the browser's storage was closed", cutOff)
				: failureOf(cause);
		} finally {
			this.#running.delete(running);
		}
	}

	/** Gives up what is late: one timer for all, because a page commits more often than it has something to give up. */
	readonly #giveUpLate = (): void => {
		this.#timer = undefined;
		const now = performance.now();
		for (const { until, giveUp } of this.#running) {
			if (until > now) {
				this.#timer = setTimeout(this.#giveUpLate, until - now);
				return;
			}
			this.#options.blocked(true);
			giveUp();
		}
	};

	#open(): Promise<IDBDatabase> {
		this.#opening ??= this.#connect().catch((error: unknown) => {
			this.#opening = undefined;
			throw failureOf(error);
		});
		return this.#opening;
	}

	async #connect(): Promise<IDBDatabase> {
		if (typeof indexedDB === "undefined")
			throw new StoreFailure("unavailable", "there is no IndexedDB here: use another storage on a server");
		// Where storage is forbidden this throws a SecurityError.
		const request = indexedDB.open(this.#options.name);
		let isNew = false;
		request.onupgradeneeded = () => {
			isNew = true;
			request.result.createObjectStore(storeName);
		};
		const db = await promisifyRequest(request);
		// Another tab deletes the database: it would wait for us.
		db.onversionchange = () => {
			this.#forget(db);
			this.#options.disturbed(false);
		};
		// The browser took it away: evicted, or its data was cleared.
		db.onclose = () => {
			this.#forget(db);
			this.#options.disturbed(false);
		};
		if (isNew && this.#known) this.#options.disturbed(true);
		this.#known = true;
		this.#db = db;
		return db;
	}

	async #patiently<T>(opening: Promise<T>): Promise<T> {
		let late: ReturnType<typeof setTimeout> | undefined;
		const over = new Promise<never>((_, reject) => {
			late = setTimeout(() => {
				this.#options.blocked(true);
				reject(blocked());
			}, this.#options.patience);
		});
		try {
			return await Promise.race([opening, over]);
		} finally {
			clearTimeout(late);
		}
	}

	#forget(db: IDBDatabase): void {
		db.close();
		if (this.#db !== db) return;
		this.#db = undefined;
		this.#opening = undefined;
	}
}

// What a transaction ends with that took for granted what is not so.
const mistaken = new Error("the store holds something else");

// What a transaction ends with whose connection was closed by the browser: that has no error of its own.
const cutOff = new Error("the connection was closed");

const isAbort = (error: unknown): boolean => (error as Error | null)?.name === "AbortError";

const blocked = (): StoreFailure =>
	new StoreFailure(
		"blocked",
		"another tab holds the browser's storage, perhaps a frozen one: nothing was written; try again, or ask to close other tabs",
	);

const unanswered = (): StoreFailure =>
	new StoreFailure("unknown", "the browser's storage did not say in time whether the commit was made");
