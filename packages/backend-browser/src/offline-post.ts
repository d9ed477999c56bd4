/** What an offline queue asks the server: how far it has come, and to take what comes next. */
import type { Batch, BatchAnswer, Commit, Entry, Failure, ReadAnswer, ScopeId } from "@holdfast/core";
import { countOf, queueKey } from "@holdfast/core/wire";
import type { WaitingWrite } from "./offline-write.js";
import type { OfflineWrites } from "./offline-writes.js";
import type { RemoteParts } from "./remote-backend.js";

/** How long after it was made a batch may be applied, in ms. */
const batchLife = 30_000;

/** How many keys one read may ask for, beside the count. */
const mostKeys = 900;

/** How far the server has come with a queue in a scope. */
export interface Counted {
	/** The queue's name. */
	readonly name: string;
	/** See `countSent`. */
	readonly sequence: number;
	/** Of the last write. */
	readonly revision: number;
	/** What was asked for with it. */
	readonly entries?: ReadonlyMap<string, Entry | null>;
}

/** One page's way to the server. */
export class OfflinePost {
	readonly parts: RemoteParts;
	/** How many writes may go together: fewer once the server has said that they were too large. */
	most = Number.POSITIVE_INFINITY;
	readonly #writer = crypto.randomUUID().replaceAll("-", "");
	#sequence = 0;
	#offset = 0;

	constructor(parts: RemoteParts) {
		this.parts = parts;
	}

	/** Asks how many writes of this queue the server has in each scope, and what these keys hold there. */
	count(
		writes: OfflineWrites,
		scopes: readonly ScopeId[],
		keys: readonly string[] = [],
	): Promise<Counted | Failure>[] {
		const { reads, clock, identity } = this.parts;
		const { lines } = writes;
		const { name } = lines;
		const asked = [...new Set(keys)].slice(0, mostKeys);
		const counter = queueKey(identity.origin ?? "", name);
		const before = scopes.map((scope) => lines.of(scope).sent[0]);
		const answers = reads.read(scopes.map((scope) => ({ scope, keys: [counter, ...asked] })));
		return answers.map(async (answering: Promise<ReadAnswer | Failure>, i) => {
			const answer = await answering;
			if ("failed" in answer) return answer;
			this.#offset = answer.now - clock.now();
			const [count, ...entries] = answer.entries;
			const sequence = count?.value.number ?? 0;
			const sent = before[i] as number;
			// The server has lost what it held: what is sent from now on is told apart by what it counts now.
			if (countOf(sequence) < sent) await writes.counted(scopes[i] as ScopeId, sent, countOf(sequence));
			const found = asked.map((key, at) => [key, entries[at] ?? null] as const);
			return {
				name,
				sequence,
				revision: count?.revision ?? 0,
				...(keys.length > 0 && { entries: new Map(found) }),
			};
		});
	}

	/** Hands commits of a scope over. */
	post(scope: ScopeId, commits: readonly Commit[], { keep }: WaitingWrite): Promise<BatchAnswer | Failure> {
		const { commits: sending, clock, random } = this.parts;
		const batch: Batch = {
			scope,
			writer: this.#writer,
			sequence: ++this.#sequence,
			until: clock.now() + this.#offset + batchLife,
			floor: 0,
			step: 1 + Math.floor(random() * 4096),
			commits,
			keep,
		};
		return sending.add(batch, false);
	}
}
