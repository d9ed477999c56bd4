/** Entries as the application sees them: decoded, migrated, validated, and the same reference until they change. */
import type { Change, Entry, EventFact, LogRecord } from "./backend.js";
import { isHoldfastError } from "./error.js";
import type { StateEvent } from "./events.js";
import type { FieldRule } from "./field.js";
import { decodeKey, encodeKey, reservedUnder } from "./key.js";
import { compilePattern, type Pattern } from "./pattern.js";
import type { StateEntry } from "./scope.js";
import type { FieldRules, StateRules } from "./state.js";
import { type Store, scopeError } from "./store.js";
import type { StateChange } from "./subscription.js";
import { wholeNumber } from "./whole-number.js";

interface Known {
	readonly revision: number;
	readonly data: WeakRef<object>;
}

/** Reads what a store holds of one scope by the rules of its kind. */
export class Reading {
	readonly scope: string;
	readonly #store: Store;
	readonly #fields: FieldRules;
	readonly #state: StateRules;
	// What a store holds as text is decoded at each read: who still holds the data of the same revision must get that again.
	readonly #known = new Map<string, Known>();
	readonly #forget = new FinalizationRegistry<string>((key) => {
		if (this.#known.get(key)?.data.deref() === undefined) this.#known.delete(key);
	});

	constructor(scope: string, store: Store, state: StateRules, kind: string) {
		this.scope = scope;
		this.#store = store;
		this.#state = state;
		this.#fields = state.kind(kind);
	}

	/** An application's key, encoded. */
	key(key: string): string {
		// On the hot path: no closure.
		try {
			return encodeKey(key);
		} catch (error) {
			throw this.located(error, key);
		}
	}

	/** An application's pattern. */
	pattern(pattern: string): Pattern {
		return this.locate(pattern, () => compilePattern(pattern));
	}

	/** The rule of an encoded key. */
	rule(key: string): FieldRule {
		return this.locate(key, () => this.#fields.at(key));
	}

	/** The rule of an encoded event type. */
	eventRule(type: string): FieldRule {
		return this.locate(type, () => this.#state.event(type));
	}

	/** An entry's data. Throws `schema-mismatch` where it no longer fits. */
	data(entry: Entry): unknown {
		const { key, revision, value } = entry;
		if (value.given) return this.#read(key, entry);
		const known = this.#known.get(key);
		const held = known?.revision === revision ? known.data.deref() : undefined;
		if (held !== undefined) return held;
		const data = this.#read(key, entry);
		if (typeof data === "object" && data !== null) {
			this.#known.set(key, { revision, data: new WeakRef(data) });
			this.#forget.register(data, key);
		}
		return data;
	}

	/** What was just written of a value. */
	written({ key, value }: Pick<Entry, "key" | "value">): unknown {
		return this.#fields.at(key).read(value, this.#store.codec);
	}

	/** An entry with everything that is known of it. */
	entry(entry: Entry): StateEntry {
		const { key, revision, createdRevision, expiresAt, metadata } = entry;
		return { key: decodeKey(key), value: this.data(entry), revision, createdRevision, expiresAt, metadata };
	}

	/** A change as listeners hear it. */
	change(
		{ type, key, entry }: Change,
		{ revision, origin, metadata }: Pick<LogRecord, "revision" | "origin" | "metadata">,
		replayed = false,
	): StateChange {
		const plain = decodeKey(key);
		const own = origin === this.#store.origin;
		return entry === null
			? {
					key: plain,
					revision,
					metadata,
					own,
					replayed,
					type: type === "expire" ? type : "delete",
					value: undefined,
				}
			: {
					key: plain,
					revision,
					metadata,
					own,
					replayed,
					type: "set",
					value: this.data(entry),
					expiresAt: entry.expiresAt,
				};
	}

	/** A fact as listeners hear it. */
	event({ type, payload }: EventFact, record: LogRecord): StateEvent {
		const data = this.locate(type, () => this.#state.event(type).read(payload, this.#store.codec));
		return { ...this.#about(record), type: decodeKey(type), payload: data };
	}

	/** A whole commit. */
	record(record: LogRecord) {
		const { previous, id, quiet } = record;
		return {
			...this.#about(record),
			type: "commit" as const,
			previous,
			id,
			quiet,
			changes: record.changes
				.filter(({ key }) => !key.startsWith(reservedUnder))
				.map((change) => this.change(change, record)),
			events: record.events.map((fact) => this.event(fact, record)),
		};
	}

	#about({ revision, time, metadata, origin }: LogRecord) {
		return { revision, time, metadata, own: origin === this.#store.origin };
	}

	#read(key: string, { value }: Entry): unknown {
		// On the hot path: no closure, no look-up of the rule where the value was checked by it.
		try {
			return this.#fields.at(key).read(value, this.#store.codec);
		} catch (error) {
			throw this.located(error, key);
		}
	}

	/** Works; an error says which scope and key it is about. */
	locate<T>(key: string | undefined, work: () => T): T {
		try {
			return work();
		} catch (error) {
			throw this.located(error, key);
		}
	}

	/** Refuses options that are no whole numbers from 0. */
	whole(key: string | undefined, given: Readonly<Record<string, number | undefined>>, most?: number): void {
		this.locate(key, () => {
			for (const [name, number] of Object.entries(given))
				if (number !== undefined) wholeNumber(name, number, 0, most);
		});
	}

	/** An error that says which scope, and which key if any, it is about. */
	located(error: unknown, key: string | undefined): unknown {
		const plain = key === undefined ? key : decodeKey(String(key));
		if (isHoldfastError(error)) {
			if (error.scope !== undefined) return error;
			const { message, code, issues, cause } = error;
			return scopeError(this.scope, code, message, {
				key: error.key ?? plain,
				issues,
				cause,
			});
		}
		return scopeError(this.scope, "schema-mismatch", "the stored value can't be decoded, see cause", {
			key: plain,
			cause: error,
		});
	}
}
