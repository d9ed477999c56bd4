/** Rows in `sessionStorage`: the tab's own, there after a reload, gone with the tab. */
import type { Ask, RowKey, RowRange, RowStore, Table, Work } from "./row-store.js";
import { failureOf, isFull } from "./store-failure.js";

/** What of the Storage interface is used. */
export type Items = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

type Change = readonly [item: string, text: string | null];

interface Found {
	readonly item: string;
	readonly sub: string | number;
}

/** A place for rows whose transactions are done at once. */
export class SessionStore implements RowStore {
	readonly losesAnswers: boolean = false;
	readonly mostBehind: number = 0;
	readonly #items: Items;
	readonly #prefix: string;
	readonly #journal: string;

	/** @param prefix - what the names of all its items begin with. */
	constructor(items: Items, prefix: string) {
		this.#items = items;
		this.#prefix = prefix;
		this.#journal = `${prefix}journal`;
		this.#recover();
	}

	run<T>(_mode: IDBTransactionMode, work: Work<T>): T {
		const changes: Change[] = [];
		const steps = work({
			put: (key, row) => void changes.push([this.#itemOf(key), JSON.stringify(row)]),
			delete: (key) => void changes.push([this.#itemOf(key), null]),
			deleteAll: (range) => {
				for (const { item } of this.#find(range)) changes.push([item, null]);
			},
		});
		try {
			let step = steps.next();
			while (step.done !== true) step = steps.next(step.value.map((ask) => this.#answer(ask)));
			this.#make(changes);
			return step.value;
		} catch (error) {
			throw failureOf(error);
		}
	}

	release(): void {}

	/** Removes everything. */
	clear(): void {
		for (const item of this.#itemsUnder(this.#prefix)) this.#items.removeItem(item);
	}

	// No escaping: ids and keys come without spaces.
	#itemOf([table, scope, sub]: RowKey): string {
		return `${this.#prefix}${table} ${scope}${sub === undefined ? "" : ` ${sub}`}`;
	}

	#itemsUnder(prefix: string): string[] {
		const found: string[] = [];
		for (let i = 0; i < this.#items.length; i++) {
			const item = this.#items.key(i);
			if (item?.startsWith(prefix)) found.push(item);
		}
		return found;
	}

	#find({ table, scope, after, upTo, limit, newest }: RowRange): Found[] {
		const prefix = `${this.#prefix}${table} ${scope === undefined ? "" : `${scope} `}`;
		const found: Found[] = this.#itemsUnder(prefix)
			.map((item) => ({ item, sub: subOf(table, item.slice(prefix.length)) }))
			.filter(
				({ sub }) => (after === undefined || sub > after) && (upTo === undefined || (sub as number) <= upTo),
			)
			.sort((a, b) => (a.sub < b.sub ? -1 : 1));
		if (newest === true) found.reverse();
		return found.slice(0, limit);
	}

	#answer(ask: Ask): unknown {
		if ("key" in ask) return this.#read(this.#itemOf(ask.key));
		return this.#find(ask.range).map(({ item }) => this.#read(item));
	}

	#read(item: string): unknown {
		const text = this.#items.getItem(item);
		return text === null ? undefined : JSON.parse(text);
	}

	/** Makes room at the cost of the logs of changes if there is none: who loses its place there gets a reset. */
	#make(changes: readonly Change[]): void {
		try {
			this.#apply(changes);
		} catch (error) {
			const log = `${this.#prefix}l `;
			const logged = this.#itemsUnder(log);
			if (!isFull(error) || (logged.length === 0 && !changes.some(([item]) => item.startsWith(log))))
				throw error;
			for (const item of logged) this.#items.removeItem(item);
			this.#apply(changes.filter(([item]) => !item.startsWith(log)));
		}
	}

	/**
	 * All or nothing, also if the tab ends in the middle: first it is written down how it was or how it will be, whichever takes less room, so
	 * that what makes room always finds some.
	 */
	#apply(changes: readonly Change[]): void {
		if (changes.length === 0) return;
		const before = Array.from(new Map(changes), ([item]): Change => [item, this.#items.getItem(item)]);
		const goal = sizeOf(changes) < sizeOf(before) ? changes : before;
		this.#items.setItem(this.#journal, JSON.stringify(goal));
		try {
			this.#setAll(changes);
		} catch (error) {
			// Until it is as it was, a tab that ends here finds in the journal what to do.
			this.#setAll(before);
			this.#items.removeItem(this.#journal);
			throw error;
		}
		this.#items.removeItem(this.#journal);
	}

	/** Ends what a tab was in the middle of when it ended. */
	#recover(): void {
		const journal = this.#items.getItem(this.#journal);
		if (journal === null) return;
		this.#setAll(JSON.parse(journal));
		this.#items.removeItem(this.#journal);
	}

	#setAll(changes: readonly Change[]): void {
		// What goes leaves its room to what comes.
		for (const change of changes) if (change[1] === null) this.#set(change);
		for (const change of new Map(changes)) if (change[1] !== null) this.#set(change);
	}

	#set([item, text]: Change): void {
		if (text === null) this.#items.removeItem(item);
		else this.#items.setItem(item, text);
	}
}

const sizeOf = (changes: readonly Change[]): number =>
	changes.reduce((sum, [item, text]) => sum + item.length + (text?.length ?? 0), 0);

const subOf = (table: Table, text: string): string | number =>
	table === "l" || table === "v" ? Number(text) : text;
