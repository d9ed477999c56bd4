/** What is known of a key: its schema, its default, its ttl, and how older values become current ones. */
import type { Codec, Value } from "./backend.js";
import { type Duration, parseTtl } from "./duration.js";
import { HoldfastError } from "./error.js";
import { freezeCopy } from "./immutable.js";
import { isSame } from "./same.js";
import type { InputOf, OutputOf, StandardResult, StandardSchema } from "./standard-schema.js";
import { givenValue } from "./value.js";

/** Turns a value of one version into one of the next. */
// biome-ignore lint/suspicious/noExplicitAny: the shape of an old version exists in no type any more
export type Migration = (old: any) => unknown;

/** Options of {@link field}. */
export interface FieldOptions<S extends StandardSchema> {
	/** What an absent key reads as. A default of the schema itself (zod's `.default()`) does the same. */
	readonly default?: InputOf<S>;
	/** How long an entry lives after each write of it. Goes before the scope's and the manager's. */
	readonly ttl?: Duration;
	/** Steps from version to version: the first turns version 0 into 1. Values are stored with their version. */
	readonly migrations?: readonly Migration[];
}

/** A schema with options, made by {@link field}. */
export interface Field<S extends StandardSchema = StandardSchema, Defaulted extends boolean = boolean> {
	readonly schema: S;
	readonly options: FieldOptions<S>;
	readonly defaulted: Defaulted;
}

/**
 * A schema with a default, a ttl or migrations, for {@link defineState}.
 *
 * @example
 * ```ts
 * const state = defineState({
 *   user: {
 *     draft: field(z.string(), { ttl: "1d" }),
 *     filters: field(z.object({ min: z.number() }), { migrations: [(old) => ({ min: old.minimum })] }),
 *   },
 * });
 * ```
 */
export function field<S extends StandardSchema, const O extends FieldOptions<S>>(
	schema: S,
	options: O,
): Field<S, "default" extends keyof O ? true : false> {
	return { schema, options, defaulted: ("default" in options) as never };
}

/** What a state definition may say of a key. */
export type AnyField = StandardSchema | Field;

/** The schema of a field. */
export type SchemaOf<F> = F extends Field<infer S> ? S : F;

/** A type whose arrays and objects are readonly through and through: what is frozen fits it, and so does what is not. */
export type ReadonlyDeep<T> = T extends
	| Date
	| URL
	| RegExp
	| ReadonlyMap<unknown, unknown>
	| ReadonlySet<unknown>
	| ArrayBufferView
	| ArrayBuffer
	? T
	: T extends object
		? { readonly [K in keyof T]: ReadonlyDeep<T[K]> }
		: T;

/** What may be written: also what was read, which is frozen. */
export type WrittenValue<F> =
	SchemaOf<F> extends infer S ? ReadonlyDeep<Exclude<InputOf<S>, undefined> | DefinedOutput<S>> : never;

/** What a schema gives, without `undefined`: absent keys are not stored. */
export type DefinedOutput<S> = Exclude<OutputOf<S>, undefined>;

/** What is stored, and read where the key is present. */
export type StoredData<F> = DefinedOutput<SchemaOf<F>>;

/** What a read answers: `undefined` is possible only where there is no default. */
export type ReadData<F> =
	F extends Field<infer S, infer Defaulted>
		? Defaulted extends true
			? DefinedOutput<S>
			: undefined extends InputOf<S>
				? OutputOf<S>
				: OutputOf<S> | undefined
		: undefined extends InputOf<F>
			? OutputOf<F>
			: OutputOf<F> | undefined;

const isField = (field: AnyField): field is Field => !("~standard" in field);

/** What a schema says at once; `undefined` where it wants to answer later. */
function ask(schema: StandardSchema, input: unknown): StandardResult<unknown> | undefined {
	const result = schema["~standard"].validate(input);
	if (!(result instanceof Promise)) return result;
	// Nobody waits for it: unheard, its failure would end a Node process.
	result.catch(() => {});
	return undefined;
}

/** A field as the code works with it. */
export class FieldRule {
	readonly ttl: number | undefined;
	readonly schema: StandardSchema | undefined;
	readonly #migrations: readonly Migration[];
	readonly #given: { readonly default?: unknown };
	#default: { readonly data: unknown } | undefined;

	constructor(field: AnyField | undefined) {
		const options: FieldOptions<StandardSchema> = field !== undefined && isField(field) ? field.options : {};
		this.schema = field !== undefined && isField(field) ? field.schema : field;
		if (field !== undefined && this.schema?.["~standard"] === undefined)
			throw new HoldfastError("invalid-argument", "a field is no Standard Schema");
		this.#migrations = options.migrations ?? [];
		this.#given = options;
		this.ttl = options.ttl === undefined ? undefined : parseTtl(options.ttl);
	}

	/** Whether its values are stored with a version. */
	get isVersioned(): boolean {
		return this.#migrations.length > 0;
	}

	/** The frozen default, `undefined` where there is none. */
	get default(): unknown {
		this.#default ??= { data: this.#makeDefault() };
		return this.#default.data;
	}

	/** Validates and freezes what is to be written. */
	write(input: unknown, codec: Codec): Value {
		if (input === undefined)
			throw new HoldfastError("invalid-value", "undefined can't be stored: use delete");
		const value = givenValue(this.#validate(input, "validation-failed"), codec, this.#migrations.length);
		if (!this.#plain) value.checked = { by: this, data: value.data(codec) };
		return value;
	}

	/** What a stored value reads as: migrated where it is older, validated, frozen. */
	read(value: Value, codec: Codec): unknown {
		let data = value.data(codec);
		if (this.#plain) return data;
		if (value.checked?.by === this) return value.checked.data;
		if (value.version > this.#migrations.length)
			throw new HoldfastError(
				"schema-mismatch",
				`the stored value has version ${value.version}, this program knows ${this.#migrations.length}: update it`,
			);
		const migrated = this.#migrations.slice(value.version).reduce((old, migrate) => migrate(old), data);
		const fitting = this.#validate(migrated, "schema-mismatch");
		// A schema that copies what fits must not change the reference.
		if (!isSame(fitting, data, codec)) data = freezeCopy(fitting).data;
		value.checked = { by: this, data };
		return data;
	}

	get #plain(): boolean {
		return this.schema === undefined && this.#migrations.length === 0;
	}

	#makeDefault(): unknown {
		if ("default" in this.#given)
			return freezeCopy(this.#validate(this.#given.default, "validation-failed")).data;
		const result = this.schema && ask(this.schema, undefined);
		return result !== undefined && result.issues === undefined ? freezeCopy(result.value).data : undefined;
	}

	#validate(input: unknown, code: "validation-failed" | "schema-mismatch"): unknown {
		if (this.schema === undefined) return input;
		const result = ask(this.schema, input);
		if (result === undefined) throw new HoldfastError("invalid-argument", "the schema must answer at once");
		if (result.issues === undefined) return result.value;
		const said = result.issues.map(({ message }) => message).join("; ");
		const what =
			code === "validation-failed"
				? "the schema refuses this value"
				: "the stored value does not fit the schema, add a migration";
		throw new HoldfastError(code, `${what}: ${said}`, { issues: result.issues });
	}
}
