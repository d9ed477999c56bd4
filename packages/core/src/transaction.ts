/** What a transaction reads becomes conditions, what it writes becomes mutations. */
import type { Duration } from "./duration.js";
import type { EntriesOf, StateEntry } from "./scope.js";
import type {
	EventSchemas,
	Fields,
	KeyIn,
	PatternIn,
	PayloadTo,
	ValueAt,
	ValueFrom,
	ValueTo,
} from "./state.js";

/** The hand that `commit` gives its function. Reads see the transaction's own writes. */
export interface Transaction<F extends Fields, E extends EventSchemas> {
	/** Reads a value; that it has not changed becomes a condition. */
	get<K extends KeyIn<F>>(key: K): Promise<ValueFrom<F, K>>;
	/** Reads a value with its revision, as the store has it. */
	entry<K extends KeyIn<F>>(key: K): Promise<StateEntry<K, ValueAt<F, K>> | undefined>;
	/** Whether a key is present. */
	has(key: KeyIn<F>): Promise<boolean>;
	/** Lists entries as the store has them (without this transaction's writes); that the whole listing still stands becomes a condition. */
	list<const P extends PatternIn<F> = "**">(pattern?: P): Promise<readonly EntriesOf<F, P>[]>;
	/** Writes a value. */
	set<K extends KeyIn<F>>(key: K, value: ValueTo<F, K>, options?: { readonly ttl?: Duration | null }): void;
	/** Removes a key. */
	delete(key: KeyIn<F>): void;
	/** Adds to a number; past a bound the whole commit fails as `out-of-bounds`. */
	increment(
		key: KeyIn<F>,
		by?: number,
		options?: { readonly min?: number; readonly max?: number; readonly ttl?: Duration },
	): void;
	/** Extends a deadline; an absent key fails the commit as `conflict`. */
	touch(key: KeyIn<F>, ttl: Duration): void;
	/** States a fact: it and the changes are one commit. */
	emit<T extends keyof E & string>(type: T, payload: PayloadTo<E, T>): void;
}
