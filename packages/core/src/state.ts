/** Typed state: which keys, values and events a kind of scope has, inferred end to end. */

import { HoldfastError } from "./error.js";
import { type AnyField, FieldRule, type ReadData, type StoredData, type WrittenValue } from "./field.js";
import { compilePattern, type Pattern } from "./pattern.js";
import type { OutputOf, StandardSchema } from "./standard-schema.js";

/** Keys and key families (`positions/*`) with their schemas. */
export type Fields = { readonly [key: string]: AnyField };

/** Event types with the schemas of their payloads. */
export type EventSchemas = { readonly [type: string]: StandardSchema };

/** What {@link defineState} takes: fields for each kind of scope, and events. */
export type StateShape = { readonly [kind: string]: Fields } & { readonly events?: EventSchemas };

/** A state definition: gives a manager its types, validation, defaults and ttls. */
export interface StateDefinition<Shape extends StateShape = StateShape> {
	readonly shape: Shape;
}

/** The shape of a state definition, or one itself. */
export type ShapeOf<D extends StateShape | StateDefinition> =
	D extends StateDefinition<infer Shape> ? Shape : D extends StateShape ? D : never;

/** A schema of whatever: without a state definition nothing is checked. */
// biome-ignore lint/suspicious/noExplicitAny: without a state definition values are any, as in JSON.parse
export type AnySchema = StandardSchema<any, any>;

/** The fields of a manager without a state definition: any key, any value. */
export type UntypedFields = { readonly "**": AnySchema };

/** The events of a manager without a state definition. */
export type UntypedEvents = { readonly [type: string]: AnySchema };

/** The state of a manager without a state definition. */
export type UntypedState = { readonly [kind: string]: UntypedFields } & { readonly events: UntypedEvents };

/**
 * Defines typed state. Wrong keys and values become compile errors, and are refused at run time.
 *
 * @example
 * ```ts
 * const state = defineState({
 *   shared: { counter: z.number().default(0), "positions/*": z.object({ quantity: z.number() }) },
 *   user: { theme: z.enum(["light", "dark"]) },
 *   events: { trade_executed: z.object({ symbol: z.string() }) },
 * });
 * ```
 */
export const defineState = <const Shape extends StateShape>(shape: Shape): StateDefinition<Shape> => ({
	shape,
});

/** The keys that a pattern stands for: `positions/*` is `positions/${string}`. */
export type KeysOf<P extends string> = P extends "*" | "**"
	? string
	: P extends `${infer Start}/**`
		? `${Start}/${string}`
		: P extends `${infer Start}*${infer End}`
			? `${Start}${string}${End extends "" ? "" : KeysOf<End>}`
			: P;

/** Every key that fields allow. */
export type KeyIn<F extends Fields> = KeysOf<keyof F & string>;

/** The first segments of keys that have several. */
export type Heads<K> = K extends `${infer Head}/${string}` ? Head : never;

/** Every pattern that can match a key of the fields. */
export type PatternIn<F extends Fields> =
	| (keyof F & string)
	| KeyIn<F>
	| "*"
	| "**"
	| `${Heads<keyof F>}/*`
	| `${Heads<keyof F>}/**`;

/** The field that a key belongs to: an exact one, else the families that match. */
export type FieldNameAt<F extends Fields, K extends string> = K extends keyof F & string
	? K
	: { [P in keyof F & string]: K extends KeysOf<P> ? P : never }[keyof F & string];

/** The fields whose keys a pattern can match. */
export type FieldNamesIn<F extends Fields, P extends string> = P extends keyof F & string
	? P
	: {
			[Q in keyof F & string]: KeysOf<Q> extends KeysOf<P> ? Q : KeysOf<P> extends KeysOf<Q> ? Q : never;
		}[keyof F & string];

/** What a key's value is when written. */
export type ValueTo<F extends Fields, K extends string> = WrittenValue<F[FieldNameAt<F, K>]>;

/** What a key's value is where it is present. */
export type ValueAt<F extends Fields, K extends string> = StoredData<F[FieldNameAt<F, K>]>;

/** What reading a key answers: with `undefined` unless it has a default. */
export type ValueFrom<F extends Fields, K extends string> = ReadData<F[FieldNameAt<F, K>]>;

/** Keys with their values under a pattern, as a union that `key` discriminates. */
export type MembersOf<F extends Fields, P extends string> = {
	[Q in FieldNamesIn<F, P>]: { readonly key: KeysOf<Q>; readonly value: StoredData<F[Q]> };
}[FieldNamesIn<F, P>];

/** The fields of a kind of scope. */
export type FieldsOf<Shape extends StateShape, Kind extends string> = Kind extends keyof Shape
	? Shape[Kind] extends Fields
		? Shape[Kind]
		: never
	: Record<never, never>;

/** The events of a state definition. */
export type EventsOf<Shape extends StateShape> = Shape["events"] extends EventSchemas
	? Shape["events"]
	: Record<never, never>;

/** What an event's payload is when emitted. */
export type PayloadTo<E extends EventSchemas, T extends string> = WrittenValue<E[T]>;

/** What an event's payload is when heard. */
export type PayloadOf<E extends EventSchemas, T extends string> = OutputOf<E[T]>;

const cacheSize = 10_000;

/** The rules of one kind of scope: finds a key's field. */
export class FieldRules {
	readonly #exact = new Map<string, FieldRule>();
	readonly #families: { readonly pattern: Pattern; readonly rule: FieldRule }[] = [];
	readonly #found = new Map<string, FieldRule>();
	readonly #anything: FieldRule | undefined;

	/** No fields: any key, any value. */
	constructor(fields: Fields | undefined) {
		this.#anything = fields === undefined ? new FieldRule(undefined) : undefined;
		for (const [key, declared] of Object.entries(fields ?? {})) {
			const pattern = compilePattern(key);
			const rule = new FieldRule(declared);
			if (pattern.exact === undefined) this.#families.push({ pattern, rule });
			else this.#exact.set(pattern.exact, rule);
		}
	}

	/**
	 * The field of an encoded key: an exact one, else the first family that matches.
	 *
	 * @throws {@link HoldfastError} `unknown-key`.
	 */
	at(key: string): FieldRule {
		if (this.#anything !== undefined) return this.#anything;
		const known = this.#exact.get(key) ?? this.#found.get(key);
		if (known !== undefined) return known;
		const rule = this.#families.find(({ pattern }) => pattern.matches(key))?.rule;
		if (rule === undefined)
			throw new HoldfastError(
				"unknown-key",
				'the state definition has no such key: add it, or a family "name/*"',
			);
		if (this.#found.size >= cacheSize) this.#found.clear();
		this.#found.set(key, rule);
		return rule;
	}
}

/**
 * A state definition as the code works with it.
 *
 * @internal
 */
export class StateRules {
	readonly #shape: StateShape | undefined;
	readonly #kinds = new Map<string, FieldRules>();
	readonly #events: FieldRules;

	constructor(state: StateDefinition | undefined) {
		if (state !== undefined && state.shape === undefined)
			throw new HoldfastError("invalid-argument", "state is no definition: use defineState");
		this.#shape = state?.shape;
		this.#events = new FieldRules(state === undefined ? undefined : (state.shape.events ?? {}));
	}

	/** The fields of a kind of scope. */
	kind(kind: string): FieldRules {
		const known = this.#kinds.get(kind);
		if (known !== undefined) return known;
		const rules = new FieldRules(this.#shape === undefined ? undefined : (this.#shape[kind] ?? {}));
		this.#kinds.set(kind, rules);
		return rules;
	}

	/** Whether there is no definition: any key of any kind takes any value. */
	get isUntyped(): boolean {
		return this.#shape === undefined;
	}

	/** The rule of an event type. */
	event(type: string): FieldRule {
		return this.#events.at(type);
	}
}
