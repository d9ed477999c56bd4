/** Sends the writes of an offline queue to the server: each scope's in order, each once. */
import {
	type Batch,
	type BatchAnswer,
	type Codec,
	type Delete,
	decodeKey,
	type Entry,
	type ErrorCode,
	type Failure,
	isHoldfastError,
	type Put,
	parseScopeId,
	type Refused,
	type ScopeId,
	type StateRules,
	storedValue,
	type Value,
} from "@holdfast/core";
import {
	type CommitResponse,
	countSent,
	decodeBatchAnswer,
	encodeBatch,
	queueKey,
	queueLife,
} from "@holdfast/core/wire";
import { nameOfScope, type Refusal, type WaitingWrite } from "./offline-write.js";
import type { OfflineWrites } from "./offline-writes.js";
import type { RemoteParts } from "./remote-backend.js";
import { failureOf } from "./remote-failure.js";
import type { Reads } from "./remote-reads.js";

/** How long after it was made a batch may be applied, in ms. */
const batchLife = 30_000;

/** How often in a row the server may count otherwise before it is left alone for a while. */
const miscountLimit = 3;

/** An update that was made of what is not there any more. */
export interface Conflict {
	/** As errors name it: `user/ada`. */
	readonly scope: string;
	readonly key: string;
	/** What the update made of `base`; `undefined`: it deleted the key. */
	readonly mine: unknown;
	/** What is there now; `undefined`: nothing. */
	readonly theirs: unknown;
	/** What the update was made of; `undefined`: there was nothing. */
	readonly base: unknown;
}

/** Settles a {@link Conflict}: answers what is to be written, or `undefined` to give the update up. May be called again for the same one. */
export type Resolve = (conflict: Conflict) => unknown;

/** How conflicts are settled. */
export interface Resolving {
	readonly resolve: Resolve | undefined;
	readonly rules: StateRules;
	readonly codec: Codec;
}

/** Refusals that say nothing about the write: it is sent again later. */
const passing = new Set<ErrorCode>(["unauthenticated", "identity-changed", "failed"]);

const codes: Record<Refused["why"], ErrorCode> = {
	condition: "conflict",
	absent: "conflict",
	bound: "out-of-bounds",
	type: "not-a-number",
	full: "full",
	sealed: "sealed",
	rejected: "failed",
};

function refusalOf({ why, cause }: Refused): Refusal {
	if (isHoldfastError(cause)) return { code: cause.code, message: cause.message };
	return { code: codes[why], message: `the store refused it: ${why}` };
}

/** The refusal that a failure is for good, or `undefined` where it may pass. */
function finalOf({ failed, cause }: Failure): Refusal | undefined {
	if (failed !== "refused" || !isHoldfastError(cause) || passing.has(cause.code)) return undefined;
	return { code: cause.code, message: cause.message };
}

/** How many writes of a queue the server has in a scope, and the revision of the last. */
interface Counted {
	/** The queue's name. */
	readonly name: string;
	readonly n: number;
	readonly revision: number;
}

/** One page's sending. */
export class Sending {
	readonly #parts: RemoteParts;
	readonly #resolving: Resolving;
	readonly #writer = crypto.randomUUID().replaceAll("-", "");
	#sequence = 0;

	constructor(parts: RemoteParts, resolving: Resolving) {
		this.#parts = parts;
		this.#resolving = resolving;
	}

	/** Sends what can be sent, while it is `mine` to send; answers whether nothing is left to be tried again. */
	async send(writes: OfflineWrites, mine: () => boolean): Promise<boolean> {
		const sending = writes.sendable.map((scope) => this.#sendScope(writes, scope, mine));
		// The turn is over once all have ended, also where the device's store fails for one of them.
		const ended = await Promise.allSettled(sending);
		return ended.every((one) => one.status === "fulfilled" && one.value);
	}

	async #sendScope(writes: OfflineWrites, scope: ScopeId, mine: () => boolean): Promise<boolean> {
		let counted: Counted | undefined;
		let miscounts = 0;
		for (;;) {
			// Another tab may have gone on with it while this one waited: what is first, and how many were sent, is looked at together.
			const sent = writes.sent(scope);
			const write = writes.first(scope);
			if (write === undefined || write.refused !== undefined) return true;
			if (!this.#isFor(writes) || !mine()) return false;
			if (counted?.name !== writes.name) {
				const count = await this.#count(writes, scope);
				if ("failed" in count) return this.#fail(writes, write, count);
				// The server has lost what it held: what is sent from now on is told apart by what it counts now.
				if (count.n < sent) await writes.counted(scope, sent, count.n);
				counted = count;
				continue;
			}
			if (counted.n > sent) {
				// Its answer was lost: one is sent only once the answer to the one before it is noted, so that it can only be this one.
				await writes.stored(write, sent + 1, counted.revision);
				continue;
			}
			if (counted.n < sent) {
				counted = undefined;
				continue;
			}
			if (write.at + queueLife < this.#parts.clock.now()) {
				const message = "it waited longer than the server remembers whether it was sent";
				await writes.refuse(write, { code: "timeout", message });
				return true;
			}
			const { name } = counted;
			const n: number = counted.n + 1;
			const answer = await this.#post(writes, write, n);
			if ("failed" in answer) return this.#fail(writes, write, answer);
			const outcome = answer.outcomes[0];
			if (outcome?.ok === true) {
				await writes.stored(write, n, outcome.revision);
				counted = { name, n, revision: outcome.revision };
				miscounts = 0;
				continue;
			}
			// An earlier attempt may have arrived after all, and be what it was refused for.
			const count = await this.#count(writes, scope);
			if ("failed" in count) return this.#fail(writes, write, count);
			counted = count;
			if (counted.n >= n) continue;
			const refused = outcome as Refused;
			if (refused.why === "bound" && refused.index === write.commit.do.length) {
				if (++miscounts < miscountLimit) continue;
				return false;
			}
			if (refused.why === "condition" && (await this.#merge(writes, write, refused.entry))) continue;
			await writes.refuse(write, refusalOf(refused));
			return true;
		}
	}

	/** Asks the application what becomes of an update whose condition fails; answers whether it said so. */
	async #merge(writes: OfflineWrites, write: WaitingWrite, theirs: Entry | null): Promise<boolean> {
		const { resolve, rules, codec } = this.#resolving;
		if (resolve === undefined) return false;
		const { made, base, id, scope } = write;
		const [mutation] = made.do as readonly [Put | Delete];
		const { key } = mutation;
		try {
			const rule = rules.kind(parseScopeId(scope).kind).at(key);
			const read = (value: Value | undefined): unknown => value && rule.read(value, codec);
			const merged = await resolve({
				scope: nameOfScope(scope),
				key: decodeKey(key),
				mine: read(mutation.op === "put" ? mutation.value : undefined),
				theirs: read(theirs?.value),
				base: read(base === undefined ? base : storedValue(base)),
			});
			if (merged === undefined) await writes.giveUp(id);
			else await writes.merge(write, rule.write(merged, codec).text, theirs);
		} catch (error) {
			await writes.refuse(write, { code: "conflict", message: `it could not be merged: ${error}` });
		}
		return true;
	}

	#isFor({ user }: OfflineWrites): boolean {
		return this.#parts.identity.user === user;
	}

	async #fail(writes: OfflineWrites, write: WaitingWrite, failure: Failure): Promise<boolean> {
		const refusal = finalOf(failure);
		// Somebody else may have been refused it.
		if (refusal === undefined || !this.#isFor(writes)) return false;
		await writes.refuse(write, refusal);
		return true;
	}

	/** How many writes of this queue the server has in a scope. */
	async #count({ name }: OfflineWrites, scope: ScopeId): Promise<Counted | Failure> {
		const key = queueKey(this.#parts.identity.origin ?? "", name);
		const answer = await (this.#parts.reads.read([{ scope, keys: [key] }])[0] as ReturnType<
			Reads["read"]
		>[number]);
		if ("failed" in answer) return answer;
		this.#offset = answer.now - this.#parts.clock.now();
		const [entry] = answer.entries;
		return { name, n: entry?.value.number ?? 0, revision: entry?.revision ?? 0 };
	}

	#offset = 0;

	async #post(
		{ name }: OfflineWrites,
		{ scope, made, keep, after }: WaitingWrite,
		n: number,
	): Promise<BatchAnswer | Failure> {
		const { calls, clock, identity, random } = this.#parts;
		const [first] = made.do as readonly [Put | Delete];
		// What it was made of is stored, as of a revision that nobody noted: whether that stands can't be said.
		const unknown = after !== undefined && { if: [{ key: first.key, revision: Number.MAX_SAFE_INTEGER }] };
		const batch: Batch = {
			scope,
			writer: this.#writer,
			sequence: ++this.#sequence,
			until: clock.now() + this.#offset + batchLife,
			floor: 0,
			step: 1 + Math.floor(random() * 4096),
			commits: [{ ...made, ...unknown, do: [...made.do, countSent(identity.origin ?? "", name, n)] }],
			keep,
		};
		try {
			const body = JSON.stringify({ batches: [encodeBatch(batch)] });
			const { batches } = await calls.post<CommitResponse>("commit", body);
			return decodeBatchAnswer(batches[0] as CommitResponse["batches"][number]);
		} catch (error) {
			return failureOf(error);
		}
	}
}
