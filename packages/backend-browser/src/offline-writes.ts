/** One user's writes that wait for the server, in the page's own store: kept in order, over a reload, and shared by the tabs. */
import type { Clock, Commit, Entry, Retention, Scope, ScopeId } from "@holdfast/core";
import { encodeCommit } from "@holdfast/core/wire";
import { Lines, type LinesObserver } from "./offline-lines.js";
import { idOf, nameKey, QueueRows, rowKey, type Sent } from "./offline-rows.js";
import { type Done, standsAt } from "./offline-run.js";
import { type Kept, type Premise, type Refusal, updateOf, type WaitingWrite } from "./offline-write.js";

/** What was seen of a scope's writes. */
export interface Seen {
	/** The one that was kept last. */
	readonly latest: string | undefined;
	/** How many were sent. */
	readonly sent: number;
}

/** How many writes are given up in one commit: a commit has a limit. */
const givenUpAtOnce = 400;

const keyOf = (id: string): string => rowKey("writes", id);

const sentKey = (scope: ScopeId): string => rowKey("sent", scope);

const latestKey = (scope: ScopeId): string => rowKey("latest", scope);

/** The writes of one user to one server. */
export class OfflineWrites {
	readonly user: string;
	/** As this page knows them. */
	readonly lines: Lines;
	readonly #scope: Scope;
	readonly #rows: QueueRows;
	readonly #clock: Clock;

	private constructor(user: string, scope: Scope, lines: Lines, clock: Clock) {
		this.user = user;
		this.lines = lines;
		this.#scope = scope;
		this.#clock = clock;
		this.#rows = new QueueRows(scope, clock, lines);
	}

	/** Opens them. */
	static async open(
		user: string,
		scope: Scope,
		observer: LinesObserver,
		clock: Clock,
	): Promise<OfflineWrites> {
		await scope.getOrSet(nameKey, () => crypto.randomUUID());
		const writes = new OfflineWrites(user, scope, new Lines(observer, clock), clock);
		try {
			await writes.#rows.at(0);
		} catch (error) {
			writes.close();
			throw error;
		}
		return writes;
	}

	/** Keeps commits. Resolves when the store has them. */
	async add(scope: ScopeId, commits: readonly Commit[], keep: Retention): Promise<void> {
		await this.#commit((tx) => this.#put(tx, scope, commits, keep, {}));
	}

	/** What an update of a scope is made of stands as long as this does: see {@link OfflineWrites.addUpdate}. */
	seen(scope: ScopeId): Seen {
		const { latest, sent } = this.lines.of(scope);
		return { latest, sent: sent[0] };
	}

	/**
	 * Keeps an update. Resolves with `kept` when the store has it; with `overtaken` if another tab has kept something since, so that it is yet to be seen
	 * what the update would be made of; with `gone` if something was sent since, perhaps what it was made of. Then nothing is kept.
	 */
	async addUpdate(
		scope: ScopeId,
		commit: Commit,
		keep: Retention,
		premise: Premise,
		seen: Seen,
	): Promise<"kept" | "overtaken" | "gone"> {
		return this.#commit(async (tx) => {
			const [latest, sent] = await Promise.all([tx.get(latestKey(scope)), tx.get(sentKey(scope))]);
			if (((sent as Sent | undefined)?.[0] ?? 0) !== seen.sent) return "gone";
			if (latest !== seen.latest) return "overtaken";
			if (premise.after !== undefined && !(await tx.has(keyOf(premise.after)))) return "gone";
			this.#put(tx, scope, [commit], keep, premise);
			return "kept";
		});
	}

	/**
	 * Writes to a scope are stored, the last of them as its `n`th; they were sent in that life of it: if that is over, the server has lost them since.
	 * Does nothing where another tab has noted it.
	 */
	async stored(scope: ScopeId, done: readonly Done[], n: number, life: number): Promise<void> {
		const { id: last } = (done.at(-1) as Done).write;
		const isLost = life !== this.lines.life(scope);
		const revisions = isLost ? [0] : done.map(({ revision }) => revision).reverse();
		const known = new Map(done.map((one) => [one.write.id, one]));
		for (;;) {
			const { latest } = this.seen(scope);
			const isNoted = await this.#commit(async (tx) => {
				const sent = (await tx.get(sentKey(scope))) as Sent | undefined;
				if (!(await tx.has(keyOf(last))) || (sent?.[0] ?? 0) >= n) return true;
				// Another tab has kept something, perhaps made of these: it is yet to be seen.
				if ((await tx.get(latestKey(scope))) !== latest) return false;
				for (const id of known.keys()) tx.delete(keyOf(id));
				tx.set(sentKey(scope), [n, ...revisions]);
				for (const { id, after } of this.lines.of(scope).of()) {
					const premise = after === undefined || known.has(id) ? undefined : known.get(after);
					const kept = premise && ((await tx.get(keyOf(id))) as Kept | undefined);
					if (kept === undefined) continue;
					const { after: _, commit, ...rest } = kept;
					const { key } = updateOf(commit);
					const condition = { key, revision: standsAt(premise as Done, key, kept.base) };
					tx.set(keyOf(id), { ...rest, commit: { ...commit, if: [condition] } } satisfies Kept);
				}
				if (!isLost) for (const { write, revision } of done) this.lines.note(write, revision);
				return true;
			});
			if (isNoted) return;
		}
	}

	/** The server has counted fewer than this device. Does nothing where that has counted on meanwhile. */
	async counted(scope: ScopeId, before: number, n: number): Promise<void> {
		await this.#commit(async (tx) => {
			const sent = (await tx.get(sentKey(scope))) as Sent | undefined;
			if (sent?.[0] === before) tx.set(sentKey(scope), [n, 0] satisfies Sent);
		});
	}

	/** A write was refused for good. */
	async refuse({ id }: WaitingWrite, refused: Refusal): Promise<void> {
		await this.#change(id, (kept) => ({ ...kept, refused }));
	}

	/** Has an update write something else, of what is there now. */
	async merge({ id }: WaitingWrite, value: string, theirs: Entry | null): Promise<void> {
		const revision = theirs?.revision ?? 0;
		await this.#change(id, ({ base: _, after: __, merged, commit, ...kept }) => {
			const mine = updateOf(commit);
			const isMine = mine.op === "put" && mine.value === value;
			const next = isMine ? merged : revision;
			const put = { op: "put" as const, key: mine.key, value, ttl: mine.op === "put" ? mine.ttl : null };
			return {
				...kept,
				...(theirs !== null && { base: theirs.value.text }),
				...(next !== undefined && { merged: next }),
				commit: { ...commit, if: [{ key: mine.key, revision }], do: [put, ...commit.do.slice(1)] },
			};
		});
	}

	/** Has a refused write sent again, in its place; answers whether it was one. */
	async retry(id: string): Promise<boolean> {
		return this.#change(id, ({ refused, ...kept }) => (refused === undefined ? undefined : kept));
	}

	/** Forgets a refused write; answers whether it was one. */
	async discard(id: string): Promise<boolean> {
		if (this.lines.all.get(id)?.refused === undefined) return false;
		await this.giveUp(id);
		return true;
	}

	/** Forgets a write whose fate is known, and those that were made of it. */
	async giveUp(id: string): Promise<void> {
		const gone = [id, ...this.lines.dependents(id).map((write) => write.id)];
		// From the last on: none is left without what it was made of, should this page end in the middle.
		while (gone.length > 0) {
			const some = gone.splice(-givenUpAtOnce);
			await this.#commit((tx) => {
				for (const one of some) tx.delete(keyOf(one));
			});
		}
	}

	/** Forgets all. */
	async giveUpAll(): Promise<void> {
		while (this.lines.all.size > 0)
			await this.#commit((tx) => {
				// What is on its way is counted under the name that the queue had: what comes next is not taken for it.
				tx.set(nameKey, crypto.randomUUID());
				for (const { id, scope } of [...this.lines.all.values()].slice(0, givenUpAtOnce)) {
					tx.delete(keyOf(id));
					tx.delete(sentKey(scope));
				}
			});
	}

	/** Stops following them. They stay where they are. */
	close(): void {
		this.#rows.close();
	}

	async #change(id: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> {
		return this.#commit(async (tx) => {
			const kept = (await tx.get(keyOf(id))) as Kept | null | undefined;
			const changed = kept ? change(kept) : undefined;
			if (changed !== undefined) tx.set(keyOf(id), changed);
			return changed !== undefined;
		});
	}

	async #commit<T>(work: (tx: Tx) => T | Promise<T>): Promise<T> {
		const { revision, value } = await this.#scope.commit(work);
		// What is decided next is decided by what is kept now.
		await this.#rows.at(revision);
		return value;
	}

	#put(tx: Tx, scope: ScopeId, commits: readonly Commit[], keep: Retention, premise: Premise): void {
		for (const [place, commit] of commits.entries()) {
			const kept: Kept = {
				scope,
				commit: encodeCommit(commit),
				keep,
				at: this.#clock.now(),
				place,
				...premise,
			};
			const id = idOf(scope, commit.id);
			tx.set(keyOf(id), kept);
			tx.set(latestKey(scope), id);
		}
	}
}

type Tx = Parameters<Parameters<Scope["commit"]>[0]>[0];
