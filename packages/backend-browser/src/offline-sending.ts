/** Sends the writes of an offline queue to the server: each scope's in order, each once. */
import {
	type Batch,
	type BatchAnswer,
	type Clock,
	type ErrorCode,
	type Failure,
	isHoldfastError,
	type Refused,
	type ScopeId,
} from "@holdfast/core";
import {
	type CommitResponse,
	countSent,
	decodeBatchAnswer,
	decodeCommit,
	encodeBatch,
	queueKey,
	queueLife,
} from "@holdfast/core/wire";
import type { OfflineWrites, Refusal, WaitingWrite } from "./offline-writes.js";
import type { Calls } from "./remote-calls.js";
import { failureOf } from "./remote-failure.js";
import type { Identity } from "./remote-identity.js";
import type { Reads } from "./remote-reads.js";

/** How long after it was made a batch may be applied, in ms. */
const batchLife = 30_000;

/** How often in a row the server may count otherwise before it is left alone for a while. */
const miscountLimit = 3;

/** What sending works with. */
export interface SendingParts {
	readonly calls: Calls;
	readonly reads: Reads;
	readonly clock: Clock;
	readonly identity: Identity;
	readonly random: () => number;
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

/** One page's sending. */
export class Sending {
	readonly #parts: SendingParts;
	readonly #writer = crypto.randomUUID().replaceAll("-", "");
	#sequence = 0;

	constructor(parts: SendingParts) {
		this.#parts = parts;
	}

	/** Sends what can be sent; answers whether nothing is left to be tried again. */
	async send(writes: OfflineWrites): Promise<boolean> {
		const done = await Promise.all(writes.sendable.map((scope) => this.#sendScope(writes, scope)));
		return done.every(Boolean);
	}

	async #sendScope(writes: OfflineWrites, scope: ScopeId): Promise<boolean> {
		let counted: number | undefined;
		let miscounts = 0;
		for (;;) {
			const write = writes.first(scope);
			if (write === undefined || write.refused !== undefined) return true;
			if (!this.#isFor(writes)) return false;
			if (counted === undefined) {
				const count = await this.#count(writes, scope);
				if (typeof count !== "number") return this.#fail(writes, write, count);
				counted = count;
			}
			const sent = writes.sent(scope);
			if (counted > sent) {
				// Its answer was lost: one is sent only once the answer to the one before it is noted, so that it can only be this one.
				await writes.stored(write, sent + 1);
				continue;
			}
			// The server has lost what it held: what is sent from now on is told apart by what it counts now.
			if (counted < sent) await writes.counted(scope, counted);
			if (write.at + queueLife < this.#parts.clock.now()) {
				const message = "it waited longer than the server remembers whether it was sent";
				await writes.refuse(write, { code: "timeout", message });
				return true;
			}
			const n: number = counted + 1;
			const answer = await this.#post(writes, write, n);
			if ("failed" in answer) return this.#fail(writes, write, answer);
			const outcome = answer.outcomes[0];
			if (outcome?.ok === true) {
				await writes.stored(write, n);
				counted = n;
				miscounts = 0;
				continue;
			}
			// An earlier attempt may have arrived after all, and be what it was refused for.
			const count = await this.#count(writes, scope);
			if (typeof count !== "number") return this.#fail(writes, write, count);
			counted = count;
			if (counted >= n) continue;
			const refused = outcome as Refused;
			if (refused.why === "bound" && refused.index === write.commit.do.length) {
				if (++miscounts < miscountLimit) continue;
				return false;
			}
			await writes.refuse(write, refusalOf(refused));
			return true;
		}
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
	async #count({ name }: OfflineWrites, scope: ScopeId): Promise<number | Failure> {
		const key = queueKey(this.#parts.identity.origin ?? "", name);
		const answer = await (this.#parts.reads.read([{ scope, keys: [key] }])[0] as ReturnType<
			Reads["read"]
		>[number]);
		if ("failed" in answer) return answer;
		this.#offset = answer.now - this.#parts.clock.now();
		return answer.entries[0]?.value.number ?? 0;
	}

	#offset = 0;

	async #post(
		{ name }: OfflineWrites,
		{ scope, commit, keep }: WaitingWrite,
		n: number,
	): Promise<BatchAnswer | Failure> {
		const { calls, clock, identity, random } = this.#parts;
		const made = decodeCommit(commit);
		const batch: Batch = {
			scope,
			writer: this.#writer,
			sequence: ++this.#sequence,
			until: clock.now() + this.#offset + batchLife,
			floor: 0,
			step: 1 + Math.floor(random() * 4096),
			commits: [{ ...made, do: [...made.do, countSent(identity.origin ?? "", name, n)] }],
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
