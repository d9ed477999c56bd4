/** Turns what an application wants written into mutations and drafts of commits, within the limits and by the rules of its kind. */
import type {
	Add,
	Commit,
	CommitOutcome,
	Condition,
	Emit,
	Mutation,
	Put,
	Refused,
	Touch,
	Value,
} from "./backend.js";
import { type Duration, parseTtl } from "./duration.js";
import { type ErrorDetails, HoldfastError } from "./error.js";
import { freezeCopy } from "./immutable.js";
import { decodeKey, reservedKey, utf8Length } from "./key.js";
import type { Reading } from "./reading.js";
import type { WriteOptions } from "./scope.js";
import { refusalError, type Store, scopeError } from "./store.js";

/** The bounds of what a manager hands over. */
export interface Bounds {
	readonly valueBytes: number;
	readonly commitMutations: number;
	readonly commitBytes: number;
}

/** A commit without what is added when it is sent. */
export type Draft = Omit<Commit, "id">;

/** Bounds and ttl of an addition. */
export interface AddOptions {
	readonly min?: number;
	readonly max?: number;
	readonly ttl?: Duration;
}

/** The most bytes of a commit's metadata, as JSON: each entry and each record carries it. */
export const metadataBytes = 16_384;

// How much larger than estimated an encoded value can be, see `Value.size`.
const worstSize = 6;

function sizeOf(mutations: readonly Mutation[], size: (value: Put["value"]) => number): number {
	let bytes = 0;
	for (const mutation of mutations) {
		if (mutation.op === "put") bytes += mutation.key.length + size(mutation.value);
		else if (mutation.op === "emit") bytes += mutation.type.length + size(mutation.payload);
		else bytes += 16;
	}
	return bytes;
}

/** Makes the mutations of one scope. Its errors name the scope and the key. */
export class Drafting {
	readonly #store: Store;
	readonly #reading: Reading;
	readonly #bounds: Bounds;
	readonly #ttl: number | null;

	constructor(store: Store, reading: Reading, bounds: Bounds, ttl: number | null) {
		this.#store = store;
		this.#reading = reading;
		this.#bounds = bounds;
		this.#ttl = ttl;
	}

	put(key: string, input: unknown, ttl: Duration | null | undefined): Put {
		const rule = this.#reading.rule(key);
		try {
			const value = this.#checked(rule.write(input, this.#store.codec));
			const ms = ttl === undefined ? (rule.ttl ?? this.#ttl) : ttl === null ? null : parseTtl(ttl);
			return { op: "put", key, value, ttl: ms };
		} catch (error) {
			throw this.#reading.located(error, key);
		}
	}

	/** Of a type as the application wrote it. */
	emit(name: string, input: unknown): Emit {
		const type = this.#reading.key(name);
		const write = (): Value => this.#checked(this.#reading.eventRule(type).write(input, this.#store.codec));
		return { op: "emit", type, payload: this.#reading.locate(type, write) };
	}

	add(key: string, by: number, { min, max, ttl }: AddOptions): Add {
		const rule = this.#reading.rule(key);
		if (rule.isVersioned)
			throw this.#error("invalid-argument", "a field with migrations can't be added to: use update", {
				key: decodeKey(key),
			});
		for (const number of [by, min, max])
			if (number !== undefined && !Number.isFinite(number))
				throw this.#error(
					"invalid-argument",
					`${number} can't be added or be a bound: give a finite number`,
					{
						key: decodeKey(key),
					},
				);
		const ms = ttl === undefined ? (rule.ttl ?? this.#ttl) : this.touch(key, ttl).ttl;
		return {
			op: "add",
			key,
			by,
			...(min !== undefined && { min }),
			...(max !== undefined && { max }),
			...(ms !== null && { ttl: ms }),
		};
	}

	touch(key: string, ttl: Duration): Touch {
		return { op: "touch", key, ttl: this.#reading.locate(key, () => parseTtl(ttl)) };
	}

	/** `deferrable`: what the conditions say may also be judged later. */
	draft(
		mutations: readonly Mutation[],
		conditions: readonly Condition[],
		options: WriteOptions,
		deferrable = conditions.length === 0,
	): Draft {
		const { metadata, notify, fence, durability } = options;
		const draft: { -readonly [K in keyof Draft]: Draft[K] } = { do: mutations, origin: this.#store.origin };
		if (fence !== undefined) {
			fence.check();
			draft.if = [...conditions, { key: reservedKey("lock", fence.name), revision: fence.token }];
		} else if (conditions.length > 0) draft.if = conditions;
		if (metadata !== undefined) draft.metadata = this.#metadata(metadata);
		if (notify === false) draft.quiet = true;
		if (durability === "deferred" && deferrable && fence === undefined) draft.deferred = true;
		return draft;
	}

	/** Checks a commit against the limits; answers about how many bytes it takes. */
	measure(mutations: readonly Mutation[]): number {
		const { commitMutations, commitBytes } = this.#bounds;
		if (mutations.length > commitMutations)
			throw this.#error(
				"too-large",
				`the commit has ${mutations.length} mutations, the limit is ${commitMutations}: split it`,
			);
		const bytes = sizeOf(mutations, (value) => value.size);
		if (bytes * worstSize <= commitBytes) return bytes;
		const exact = sizeOf(mutations, ({ text }) => utf8Length(text));
		if (exact > commitBytes)
			throw this.#error("too-large", `the commit has ${exact} bytes, the limit is ${commitBytes}: split it`);
		return exact;
	}

	/** The error of a refused commit whose own conditions were so many; a fence comes after them. */
	refusal(refused: Refused, { fence }: WriteOptions, conditions: number, key?: string): HoldfastError {
		return fence !== undefined && refused.why === "condition" && refused.index === conditions
			? this.#error("lease-lost", `the lease of lock ${JSON.stringify(fence.name)} is over`, {
					key,
					reason: refused.entry === null ? "expired" : "taken",
				})
			: refusalError(this.#reading.scope, refused, key);
	}

	/** Whether a commit was refused because what it read has changed, so that it is worth another try. */
	isStale(outcome: CommitOutcome, conditions: number): outcome is Refused {
		return !outcome.ok && outcome.why === "condition" && outcome.index < conditions;
	}

	#checked(value: Value): Value {
		const { valueBytes } = this.#bounds;
		if (value.size * worstSize <= valueBytes) return value;
		const bytes = utf8Length(value.text);
		if (bytes <= valueBytes) return value;
		throw new HoldfastError(
			"too-large",
			`the value has ${bytes} bytes, the limit is ${valueBytes}: split it`,
		);
	}

	#metadata(metadata: unknown): Commit["metadata"] & {} {
		let text: string;
		let plain: unknown;
		try {
			text = JSON.stringify(metadata);
			plain = freezeCopy(JSON.parse(text)).data;
		} catch (cause) {
			throw this.#error("invalid-value", "metadata must be plain JSON", { cause });
		}
		const bytes = utf8Length(text);
		if (bytes <= metadataBytes) return plain as Commit["metadata"] & {};
		throw this.#error(
			"too-large",
			`metadata has ${bytes} bytes, the limit is ${metadataBytes}: put less in it`,
		);
	}

	#error(
		code: "invalid-argument" | "invalid-value" | "lease-lost" | "too-large",
		message: string,
		details?: ErrorDetails,
	) {
		return scopeError(this.#reading.scope, code, message, details);
	}
}
