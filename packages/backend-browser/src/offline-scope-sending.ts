/** Sends what an offline queue holds for one scope: in runs, and nothing before it is known what became of the run before. */
import { type Failure, isHoldfastError, type Refused, type ScopeId } from "@holdfast/core";
import { countOf, countSent, markedAnew } from "@holdfast/core/wire";
import { type Resolving, settle } from "./offline-conflict.js";
import type { Counted, OfflinePost } from "./offline-post.js";
import { finalOf, refusalOf } from "./offline-refusal.js";
import { commitsOf, type Done, foundAgain, runOf } from "./offline-run.js";
import { keysOf, type WaitingWrite } from "./offline-write.js";
import type { OfflineWrites } from "./offline-writes.js";

/** How often in a row the server may count otherwise before it is left alone for a while. */
const miscountLimit = 3;

/** What a scope is sent with. */
export interface ScopeSendingParts {
	readonly post: OfflinePost;
	readonly resolving: Resolving;
	readonly writes: OfflineWrites;
	/** Whether it still is this page's turn. */
	mine(): boolean;
}

/** One turn of sending, in one scope. */
export class ScopeSending {
	readonly #scope: ScopeId;
	readonly #parts: ScopeSendingParts;
	#miscounts = 0;
	/** The life of the scope in which the server was asked last: see `KnownScope`. */
	#life: number;

	constructor(scope: ScopeId, parts: ScopeSendingParts) {
		this.#scope = scope;
		this.#parts = parts;
		this.#life = parts.writes.lines.life(scope);
	}

	/** Goes on from what the server has counted; answers whether nothing is left to be tried again. */
	async send(counting: Promise<Counted | Failure>): Promise<boolean> {
		const { writes, mine } = this.#parts;
		for (let counted = await counting; ; ) {
			// Another tab may have gone on with it while this one waited: what is first, and how many were sent, is looked at together.
			const line = writes.lines.of(this.#scope);
			const { first } = line;
			const [sent] = line.sent;
			if (first === undefined || first.refused !== undefined) return true;
			if ("failed" in counted) return this.#fail(first, counted);
			if (!this.#isFor || !mine()) return false;
			const more = countOf(counted.sequence) - sent;
			let next: Counted | Failure | boolean;
			if (counted.name !== writes.lines.name || more < 0) next = await this.#count();
			else if (more > 0) next = await this.#catchUp([...line.of()].slice(0, more), counted, sent + more);
			else next = await this.#sendRun(line.of(), first, counted);
			if (typeof next === "boolean") return next;
			counted = next;
		}
	}

	get #isFor(): boolean {
		const { post, writes } = this.#parts;
		return post.parts.identity.user === writes.user;
	}

	#count(keys?: readonly string[]): Promise<Counted | Failure> {
		const { post, writes } = this.#parts;
		this.#life = writes.lines.life(this.#scope);
		return post.count(writes, [this.#scope], keys)[0] as Promise<Counted | Failure>;
	}

	/** Notes what was sent while its answer was lost. Nothing is sent before that, so that it can only be these. */
	async #catchUp(lost: readonly WaitingWrite[], counted: Counted, n: number): Promise<Counted | Failure> {
		const { revision, entries } = counted;
		if (entries === undefined) return this.#count(lost.flatMap(keysOf));
		this.#miscounts = 0;
		await this.#parts.writes.stored(this.#scope, foundAgain(lost, revision, entries), n, this.#life);
		return counted;
	}

	async #sendRun(
		line: Iterable<WaitingWrite>,
		first: WaitingWrite,
		counted: Counted,
	): Promise<Counted | Failure | boolean> {
		const { post, writes } = this.#parts;
		const { parts, most } = post;
		const { name, sequence } = counted;
		const run = runOf(line, most, parts.clock.now());
		if (run.length === 0) {
			const message = "it waited longer than the server remembers whether it was sent";
			await writes.refuse(first, { code: "timeout", message });
			return true;
		}
		const mark = markedAnew(sequence, parts.random());
		const sequences = run.map((_, i) => mark + i + 1);
		const commits = commitsOf(run, sequence, sequences, parts.identity.origin ?? "", name);
		this.#life = writes.lines.life(this.#scope);
		const answer = await post.post(this.#scope, commits, first);
		if ("failed" in answer) {
			if (run.length === 1 || !isHoldfastError(answer.cause, "too-large")) return this.#fail(first, answer);
			post.most = run.length >> 1;
			return counted;
		}
		const done: Done[] = [];
		for (const outcome of answer.outcomes) {
			if (!outcome.ok) break;
			done.push({ ...outcome, write: run[done.length] as WaitingWrite });
		}
		const last = done.at(-1);
		if (last !== undefined) {
			this.#miscounts = 0;
			await writes.stored(this.#scope, done, countOf(sequence) + done.length, this.#life);
		}
		const reached: Counted =
			last === undefined
				? counted
				: { name, sequence: sequences[done.length - 1] as number, revision: last.revision };
		const write = run[done.length];
		return write === undefined
			? reached
			: this.#refused(write, answer.outcomes[done.length] as Refused, reached);
	}

	/** The server has refused a write, and with it those behind it. */
	async #refused(
		write: WaitingWrite,
		refused: Refused,
		reached: Counted,
	): Promise<Counted | Failure | boolean> {
		// It was another one's turn to be counted.
		if (refused.why === "bound" && refused.index === write.made.do.length)
			return ++this.#miscounts < miscountLimit && this.#count();
		const closed = await this.#close(write, reached);
		const counted = closed ?? (await this.#count());
		// An earlier attempt may have arrived after all, and be what it was refused for.
		if ("failed" in counted || countOf(counted.sequence) !== countOf(reached.sequence)) return counted;
		const { resolving, writes } = this.#parts;
		if (refused.why === "condition" && (await settle(resolving, writes, write, refused.entry)))
			return counted;
		await writes.refuse(write, refusalOf(refused));
		return true;
	}

	/** Sees to it that no earlier attempt can arrive any more: what is decided about a write now is not overtaken by it. */
	async #close(write: WaitingWrite, reached: Counted): Promise<Counted | undefined> {
		const { post } = this.#parts;
		const { random, identity } = post.parts;
		const { name, sequence } = reached;
		const mark = markedAnew(sequence, random());
		const commit = {
			id: crypto.randomUUID(),
			do: [countSent(identity.origin ?? "", name, mark, sequence)],
		};
		const answer = await post.post(this.#scope, [commit], write);
		const isClosed = !("failed" in answer) && answer.outcomes[0]?.ok === true;
		return isClosed ? { ...reached, sequence: mark } : undefined;
	}

	async #fail(write: WaitingWrite, failure: Failure): Promise<boolean> {
		const refusal = finalOf(failure);
		// Somebody else may have been refused it.
		if (refusal === undefined || !this.#isFor) return false;
		await this.#parts.writes.refuse(write, refusal);
		return true;
	}
}
