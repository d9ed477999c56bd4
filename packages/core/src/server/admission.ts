/** What of a page's commits goes on to the store, and as what: nothing that a page sends is taken at its word. */
import type { Add, Commit, Condition, Json, Mutation, ScopeId } from "../backend.js";
import { type ErrorCode, type HoldfastError, isHoldfastError } from "../error.js";
import type { FieldRule } from "../field.js";
import {
	decodeKey,
	encodeKey,
	lockUnder,
	parseScopeId,
	reservedKey,
	reservedUnder,
	utf8Length,
} from "../key.js";
import type { ManagerParts } from "../live-manager.js";
import { scopeError } from "../store.js";
import { givenValue, storedValue } from "../value.js";
import { decodeMutation } from "../wire/commit.js";
import type { WireCommit, WireMutation } from "../wire/messages.js";
import { queueKey, queueLife } from "../wire/queue.js";
import { withinSchema } from "./number-bounds.js";
import type { Principal } from "./principal.js";

/** What admission works with. */
export interface AdmissionParts extends Pick<ManagerParts, "state" | "kind" | "bounds"> {
	readonly codec: ManagerParts["store"]["codec"];
	/** The longest lease of a lock, in ms. */
	readonly lockTtl: number;
	/** The longest ttl of an entry whose field and kind of scope have none, in ms; `null`: for ever. */
	readonly ttl: number | null;
}

/**
 * Refuses a key that core would never have made (it might be a second name of another), and what is reserved and none of this principal's business.
 *
 * @throws {@link HoldfastError} `invalid-key`, `denied`.
 */
export function checkKey(scope: ScopeId, key: string, principal: Principal): void {
	if (key.startsWith(reservedUnder)) {
		if (isLock(key) || isOwnQueue(key, principal)) return;
		throw scopeError(scope, "denied", "this segment is not for pages: only locks and one's own queues are", {
			key,
		});
	}
	try {
		if (encodeKey(decodeKey(key)) === key) return;
	} catch {
		// Said below.
	}
	throw scopeError(scope, "invalid-key", "this is no encoded key", { key });
}

function isLock(key: string): boolean {
	if (!key.startsWith(lockUnder)) return false;
	try {
		return reservedKey("lock", decodeKey(key.slice(lockUnder.length))) === key;
	} catch {
		return false;
	}
}

const isOwnQueue = (key: string, { tag }: Principal): boolean => {
	const own = queueKey(tag, "");
	return key.startsWith(own) && /^[\w-]{1,64}$/.test(key.slice(own.length));
};

/** Who else holds a lock can read that, so that it is nothing but that. */
function isHolder(data: unknown): boolean {
	if (typeof data !== "object" || data === null) return false;
	const { holder, ...rest } = data as { readonly holder?: unknown };
	return typeof holder === "string" && /^[\w.-]{1,128}$/.test(holder) && Object.keys(rest).length === 0;
}

const mostOf = (ttl: number | null, most: number | null): number | null =>
	ttl === null ? most : most === null ? ttl : Math.min(ttl, most);

/** Judges commits of one principal to one scope. */
export class Admission {
	readonly #scope: ScopeId;
	readonly #kind: string;
	readonly #principal: Principal;
	readonly #isAdmin: boolean;
	readonly #parts: AdmissionParts;

	constructor(scope: ScopeId, principal: Principal, isAdmin: boolean, parts: AdmissionParts) {
		this.#scope = scope;
		this.#kind = parseScopeId(scope).kind;
		this.#principal = principal;
		this.#isAdmin = isAdmin;
		this.#parts = parts;
	}

	/** The commit that goes on to the store, or the error that it is refused for. */
	admit(commit: WireCommit, origin: string): Commit | HoldfastError {
		try {
			const { id, if: conditions, metadata, quiet } = commit;
			for (const condition of conditions ?? []) this.#checkCondition(condition);
			const admitted: Commit = {
				id,
				do: this.#mutations(commit),
				origin: this.#isAdmin && commit.origin !== undefined ? commit.origin : origin,
				...(conditions !== undefined && { if: conditions }),
				...this.#metadata(metadata),
				...(quiet === true && { quiet }),
			};
			this.#measure(admitted);
			return admitted;
		} catch (error) {
			if (isHoldfastError(error)) return error;
			// Nested too deeply for what walks it, say.
			return this.#refuse("invalid-value", "the commit can't be taken in");
		}
	}

	#mutations({ do: mutations, if: conditions = [] }: WireCommit): Mutation[] {
		const keys = mutations.flatMap((mutation) => ("key" in mutation ? [mutation.key] : []));
		if (new Set(keys).size < keys.length)
			throw this.#refuse("invalid-argument", "the commit has two mutations of one key: merge them");
		return mutations.map((mutation) => {
			const key = "key" in mutation ? mutation.key : undefined;
			if (this.#isAdmin) return this.#trusted(mutation);
			if (mutation.op === "seal" || key === null)
				throw this.#refuse("denied", "only an admin may seal a scope or extend it as a whole");
			if (key?.startsWith(lockUnder)) return this.#lock(mutation, key, conditions);
			if (key?.startsWith(reservedUnder)) return this.#queued(mutation, key);
			return this.#owned(mutation);
		});
	}

	/** What an admin sends: a schema holds for them too. */
	#trusted(mutation: WireMutation): Mutation {
		const isReserved = "key" in mutation && (mutation.key?.startsWith(reservedUnder) ?? true);
		return isReserved || mutation.op === "seal" || this.#parts.state.isUntyped
			? decodeMutation(mutation)
			: this.#fitting(mutation);
	}

	#owned(mutation: WireMutation): Mutation {
		if (mutation.op === "emit") {
			if (mutation.type.startsWith(reservedUnder))
				throw this.#refuse("denied", "no event has such a type", mutation.type);
			checkKey(this.#scope, mutation.type, this.#principal);
		} else if (mutation.op !== "seal") checkKey(this.#scope, mutation.key as string, this.#principal);
		return this.#fitting(mutation);
	}

	/** By the rules of its field. */
	#fitting(mutation: WireMutation): Mutation {
		switch (mutation.op) {
			case "emit":
				return {
					...mutation,
					payload: this.#value(mutation.type, mutation.payload, this.#eventRule(mutation.type)),
				};
			case "put": {
				const rule = this.#rule(mutation.key);
				const ttl = this.#isAdmin ? mutation.ttl : mostOf(mutation.ttl, this.#longest(rule));
				return { ...mutation, value: this.#value(mutation.key, mutation.value, rule), ttl };
			}
			case "touch": {
				const { key, ttl } = mutation;
				const rule = this.#rule(key as string);
				return { ...mutation, ttl: this.#isAdmin ? ttl : (mostOf(ttl, this.#longest(rule)) as number) };
			}
			case "add":
				return this.#isAdmin ? mutation : this.#add(mutation);
			case "delete":
				this.#rule(mutation.key);
				return mutation;
			case "seal":
				return mutation;
		}
	}

	#rule(key: string): FieldRule {
		return this.#at(key, () => this.#parts.state.kind(this.#kind).at(key));
	}

	#eventRule(type: string): FieldRule {
		return this.#at(type, () => this.#parts.state.event(type));
	}

	#longest(rule: FieldRule): number | null {
		return rule.ttl ?? this.#parts.kind(this.#kind).ttl ?? this.#parts.ttl;
	}

	#add(add: Add): Add {
		const rule = this.#rule(add.key);
		const bounded = withinSchema(add, rule);
		if (bounded === undefined)
			throw this.#refuse(
				"validation-failed",
				"it can't be made sure that the sum fits the field's schema: use update, or a plain number schema",
				add.key,
			);
		const longest = this.#longest(rule);
		return longest === null ? bounded : { ...bounded, ttl: mostOf(add.ttl ?? null, longest) as number };
	}

	/** Decoded, migrated and validated by the server's own schema, and encoded anew: what is stored is what the server makes of it. */
	#value(key: string, sent: string, rule: FieldRule): Extract<Mutation, { op: "put" }>["value"] {
		const { codec, bounds } = this.#parts;
		const bytes = utf8Length(sent);
		if (bytes > bounds.valueBytes)
			throw this.#refuse(
				"too-large",
				`the value has ${bytes} bytes, the limit is ${bounds.valueBytes}: split it`,
				key,
			);
		// What begins as a number does is taken for one, see `value.ts`.
		if (/^-?\d/.test(sent) && !Number.isFinite(Number(sent)))
			throw this.#refuse("invalid-value", "this is no number", key);
		let data: unknown;
		try {
			data = rule.read(storedValue(sent), codec);
		} catch (error) {
			if (!isHoldfastError(error)) throw this.#refuse("invalid-value", "the value can't be decoded", key);
			const { code, message, issues } = error;
			throw this.#refuse(issues === undefined ? code : "validation-failed", message, key, issues);
		}
		return this.#at(key, () => rule.write(data, codec));
	}

	/** What a lock needs, and nothing else: taken where it is free, extended and given back by its token. */
	#lock(mutation: WireMutation, key: string, conditions: readonly Condition[]): Mutation {
		const { lockTtl } = this.#parts;
		checkKey(this.#scope, key, this.#principal);
		const token = conditions.find((condition) => "key" in condition && condition.key === key);
		const revision = token !== undefined && "key" in token ? token.revision : undefined;
		const isTaking = mutation.op === "put" && revision === 0;
		const isHeld = (mutation.op === "touch" || mutation.op === "delete") && (revision ?? 0) > 0;
		if (!isTaking && !isHeld)
			throw this.#refuse(
				"denied",
				"a lock is taken where it is free, and extended and given back by its token",
				key,
			);
		// It can't be shortened here: whoever takes it believes to hold it for as long as was asked.
		if ("ttl" in mutation && (mutation.ttl ?? Number.POSITIVE_INFINITY) > lockTtl)
			throw this.#refuse(
				"invalid-argument",
				`a lock lives ${lockTtl} ms at most: ask for less, and renew it`,
				key,
			);
		if (mutation.op !== "put") return decodeMutation(mutation);
		const data = this.#plain(mutation.value);
		if (!isHolder(data)) throw this.#refuse("invalid-value", "a lock holds the name of its holder only", key);
		return { ...mutation, value: givenValue(data) };
	}

	/** How far a queue was sent: counted one by one, so that what was sent before is refused. */
	#queued(mutation: WireMutation, key: string): Mutation {
		checkKey(this.#scope, key, this.#principal);
		if (mutation.op === "delete") return mutation;
		if (mutation.op === "add" && Math.abs(mutation.by) < 2 && mutation.base === undefined) {
			const { min, max, ttl = Number.POSITIVE_INFINITY } = mutation;
			if (typeof min === "number" && min >= 0 && min === max && ttl <= queueLife) return mutation;
		}
		throw this.#refuse("denied", "a queue counts what it has sent, one by one", key);
	}

	#plain(sent: string): unknown {
		try {
			return JSON.parse(sent);
		} catch {
			return undefined;
		}
	}

	#checkCondition(condition: Condition): void {
		if (this.#isAdmin) return;
		if ("key" in condition) checkKey(this.#scope, condition.key, this.#principal);
		else if (condition.under.startsWith(reservedUnder))
			throw this.#refuse("denied", "what is reserved can't be listed");
		else if (condition.under !== "" && !condition.under.endsWith("/"))
			throw this.#refuse("invalid-argument", "a listing is under a prefix that ends in /");
	}

	/** The user is the server's to say. */
	#metadata(metadata: Json | undefined): { metadata?: Json } {
		if (this.#isAdmin) return metadata === undefined ? {} : { metadata };
		const user = this.#principal.subject;
		if (metadata === undefined) return { metadata: { user } };
		if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata))
			throw this.#refuse("invalid-argument", "metadata must be an object: the server adds the user to it");
		return { metadata: { ...metadata, user } };
	}

	#measure({ do: mutations }: Commit): void {
		const { commitMutations, commitBytes } = this.#parts.bounds;
		if (mutations.length > commitMutations)
			throw this.#refuse(
				"too-large",
				`the commit has ${mutations.length} mutations, the limit is ${commitMutations}: split it`,
			);
		let bytes = 0;
		for (const mutation of mutations)
			if (mutation.op === "put") bytes += mutation.key.length + utf8Length(mutation.value.text);
			else if (mutation.op === "emit") bytes += mutation.type.length + utf8Length(mutation.payload.text);
		if (bytes > commitBytes)
			throw this.#refuse("too-large", `the commit has ${bytes} bytes, the limit is ${commitBytes}: split it`);
	}

	/** Work whose errors name the scope and the key. */
	#at<T>(key: string, work: () => T): T {
		try {
			return work();
		} catch (error) {
			throw isHoldfastError(error) ? this.#refuse(error.code, error.message, key, error.issues) : error;
		}
	}

	#refuse(code: ErrorCode, message: string, key?: string, issues?: HoldfastError["issues"]): HoldfastError {
		return scopeError(this.#scope, code, message, { key: key === undefined ? key : decodeKey(key), issues });
	}
}
