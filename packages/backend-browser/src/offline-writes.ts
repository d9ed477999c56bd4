/** One user's writes that wait for the server, in the page's own store: kept in order, over a reload, and shared by the tabs. */
import type {
	Clock,
	Commit,
	Cursor,
	Entry,
	Mirror,
	Retention,
	Scope,
	ScopeId,
	UntypedFields,
} from "@holdfast/core";
import { encodeCommit } from "@holdfast/core/wire";
import { type Done, standsAt } from "./offline-run.js";
import { StoredWrites } from "./offline-stored.js";
import {
	type Kept,
	keysOf,
	type Premise,
	type Refusal,
	updateOf,
	type WaitingWrite,
	writeOf,
} from "./offline-write.js";

/** Who follows the writes. */
export interface WritesObserver {
	/** They have changed, in other tabs too. */
	changed(): void;
	/** These keys look otherwise with what waits over them. */
	touched(scope: ScopeId, keys: ReadonlySet<string>): void;
	/** The server has a write, as of that revision, or a later one as long as that is all that is known: `guess` is what was told before. */
	stored(write: WaitingWrite, revision: Cursor, guess?: Cursor): void;
}

/** How many writes to a scope were sent, the revision of the last, and of those that were sent with it, backwards. */
type Sent = readonly [count: number, ...revisions: readonly [Cursor, ...Cursor[]]];

/** The revision of the `n`th write of those, or a later one. */
const revisionIn = ([count, last, ...others]: Sent, n: number): Cursor =>
	[last, ...others][count - n] ?? last - (count - n);

/** What was seen of a scope's writes. */
export interface Seen {
	/** The one that was kept last. */
	readonly latest: string | undefined;
	/** How many were sent. */
	readonly sent: number;
}

/** How many writes are given up in one commit: a commit has a limit. */
const givenUpAtOnce = 400;

const under = "writes/";

const keyOf = (id: string): string => under + id;

const sentKey = (scope: ScopeId): string => `sent/${scope}`;

/** Holds the id of the write to a scope that was kept last. */
const latestKey = (scope: ScopeId): string => `latest/${scope}`;

/** The queue's own name: by it the server tells what was sent. */
const nameKey = "name";

const idOf = (scope: ScopeId, commit: string): string => `${scope}/${commit}`;

/** The writes of one user to one server. */
export class OfflineWrites {
	readonly user: string;
	/** In the order in which they were made. */
	all: readonly WaitingWrite[] = [];
	readonly #scope: Scope;
	readonly #mirror: Mirror<UntypedFields, "**">;
	readonly #observer: WritesObserver;
	readonly #clock: Clock;
	/** Each write as of a revision of its row. */
	readonly #made = new Map<string, { readonly row: Cursor; readonly write: WaitingWrite }>();
	readonly #stored: StoredWrites;
	readonly #sent = new Map<ScopeId, number>();
	#lines: ReadonlyMap<ScopeId, readonly WaitingWrite[]> = new Map();
	#tokens = 0;
	#looked: readonly unknown[] | undefined;
	#stop = (): void => {};

	private constructor(user: string, scope: Scope, observer: WritesObserver, clock: Clock) {
		this.user = user;
		this.#scope = scope;
		this.#observer = observer;
		this.#clock = clock;
		this.#stored = new StoredWrites(() => clock.monotonic());
		this.#mirror = scope.mirror();
	}

	/** Opens them. */
	static async open(
		user: string,
		scope: Scope,
		observer: WritesObserver,
		clock: Clock,
	): Promise<OfflineWrites> {
		const writes = new OfflineWrites(user, scope, observer, clock);
		try {
			await scope.getOrSet(nameKey, () => crypto.randomUUID());
			await writes.#mirror.ready;
		} catch (error) {
			writes.#mirror.close();
			throw error;
		}
		writes.#stop = writes.#mirror.subscribe(() => writes.#look());
		return writes;
	}

	/** The queue's own name: by it the server tells what was sent. */
	get name(): string {
		return this.#mirror.get(nameKey) as string;
	}

	/** The writes to a scope that wait, or were refused and stand in the way, in order. */
	line(scope: ScopeId): readonly WaitingWrite[] {
		return this.#lines.get(scope) ?? [];
	}

	/** The scopes whose first write can be sent. */
	get sendable(): readonly ScopeId[] {
		return Array.from(this.#lines.keys()).filter((scope) => this.line(scope)[0]?.refused === undefined);
	}

	/** How many writes to a scope were sent, as far as this device knows. What waits is looked at with it: listeners of a mirror are called a moment later. */
	sent(scope: ScopeId): number {
		this.#look();
		return this.#sentTo(scope)[0];
	}

	/** The writes that were made of the result of one, and of theirs. */
	dependents(id: string): readonly WaitingWrite[] {
		const ids = new Set([id]);
		// Each comes after the one that it was made of.
		return this.all.filter(({ id: own, after }) => after !== undefined && ids.has(after) && ids.add(own));
	}

	/**
	 * The writes that a view of a scope, of that revision, does not have, in order; what was refused is not among them, nor what was made of it.
	 */
	missing(scope: ScopeId, head: Cursor): readonly WaitingWrite[] {
		const stored = this.#stored.of(scope);
		const known = new Set(stored.map(({ write }) => write.id));
		const gone = new Set<string>();
		const waiting = this.line(scope).filter(({ id, refused, after = "" }) => {
			const isGone = refused !== undefined || gone.has(after);
			if (isGone) gone.add(id);
			return !isGone && !known.has(id);
		});
		return [...stored.filter(({ revision }) => revision > head).map(({ write }) => write), ...waiting];
	}

	/** The revision that a token stands for, of a key that its write changed; `undefined` while it has none. */
	revisionOf(scope: ScopeId, token: number, key: string): Cursor | undefined {
		return this.#stored.revisionOf(scope, token, key);
	}

	/** The server has so many of a scope, the last as of that revision. */
	heardCount(scope: ScopeId, n: number, revision: Cursor): void {
		const sent = this.sent(scope);
		for (const [i, write] of this.line(scope)
			.slice(0, Math.max(0, n - sent))
			.entries())
			this.#note(write, revisionIn([n, revision], sent + i + 1));
	}

	/** A commit is stored: one of these, perhaps. */
	heard(scope: ScopeId, commit: string, revision: Cursor): void {
		const write = this.#made.get(idOf(scope, commit))?.write;
		if (write !== undefined) this.#note(write, revision);
	}

	/** Keeps commits. Resolves when the store has them. */
	async add(scope: ScopeId, commits: readonly Commit[], keep: Retention): Promise<void> {
		await this.#commit((tx) => this.#put(tx, scope, commits, keep, {}));
	}

	/** What an update of a scope is made of stands as long as this does: see {@link OfflineWrites.addUpdate}. */
	seen(scope: ScopeId): Seen {
		const sent = this.sent(scope);
		return { latest: this.#mirror.get(latestKey(scope)) as string | undefined, sent };
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

	/** Writes to a scope are stored, the last of them as its `n`th. Does nothing where another tab has noted it. */
	async stored(scope: ScopeId, done: readonly Done[], n: number): Promise<void> {
		const { id: last } = (done.at(-1) as Done).write;
		const revisions = done.map(({ revision }) => revision).reverse() as [Cursor, ...Cursor[]];
		const known = new Map(done.map((one) => [one.write.id, one]));
		for (;;) {
			const { latest } = this.seen(scope);
			const isNoted = await this.#commit(async (tx) => {
				const sent = (await tx.get(sentKey(scope))) as Sent | undefined;
				if (!(await tx.has(keyOf(last))) || (sent?.[0] ?? 0) >= n) return true;
				// Another tab has kept something, perhaps made of these: it is yet to be seen.
				if ((await tx.get(latestKey(scope))) !== latest) return false;
				for (const id of known.keys()) tx.delete(keyOf(id));
				tx.set(sentKey(scope), [n, ...revisions] satisfies Sent);
				for (const { id, after } of this.line(scope)) {
					const premise = after === undefined || known.has(id) ? undefined : known.get(after);
					const kept = premise && ((await tx.get(keyOf(id))) as Kept | undefined);
					if (kept === undefined) continue;
					const { after: _, commit, ...rest } = kept;
					const { key } = updateOf(commit);
					const condition = { key, revision: standsAt(premise as Done, key, kept.base) };
					tx.set(keyOf(id), { ...rest, commit: { ...commit, if: [condition] } } satisfies Kept);
				}
				for (const { write, revision } of done) this.#note(write, revision);
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
		if (this.all.find((write) => write.id === id)?.refused === undefined) return false;
		await this.giveUp(id);
		return true;
	}

	/** Forgets a write whose fate is known, and those that were made of it. */
	async giveUp(id: string): Promise<void> {
		const gone = [id, ...this.dependents(id).map((write) => write.id)];
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
		while (this.all.length > 0)
			await this.#commit((tx) => {
				// What is on its way is counted under the name that the queue had: what comes next is not taken for it.
				tx.set(nameKey, crypto.randomUUID());
				for (const { id, scope } of this.all.slice(0, givenUpAtOnce)) {
					tx.delete(keyOf(id));
					tx.delete(sentKey(scope));
				}
			});
	}

	/** Stops following them. They stay where they are. */
	close(): void {
		this.#stop();
		this.#mirror.close();
	}

	async #change(id: string, change: (kept: Kept) => Kept | undefined): Promise<boolean> {
		return this.#commit(async (tx) => {
			const kept = (await tx.get(keyOf(id))) as Kept | undefined;
			const changed = kept && change(kept);
			if (changed !== undefined) tx.set(keyOf(id), changed);
			return changed !== undefined;
		});
	}

	async #commit<T>(work: (tx: Tx) => T | Promise<T>): Promise<T> {
		const { revision, value } = await this.#scope.commit(work);
		// What is decided next is decided by what is kept now; listeners are called a moment later.
		await this.#mirror.at(revision);
		this.#look();
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
			// A commit's id is its own within its scope only.
			const id = idOf(scope, commit.id);
			tx.set(keyOf(id), kept);
			tx.set(latestKey(scope), id);
		}
	}

	/** `revision`: its own, or a later one as long as that is all that is known. */
	#note(write: WaitingWrite, revision: Cursor): void {
		const guess = this.#stored.asOf(write);
		if (this.#stored.add(write, revision)) this.#observer.stored(write, revision, guess);
	}

	#sentTo(scope: ScopeId): Sent {
		return (this.#mirror.get(sentKey(scope)) as Sent | undefined) ?? [0, 0];
	}

	#look(): void {
		const rows = this.#mirror.list();
		if (rows === this.#looked) return;
		this.#looked = rows;
		const found: { readonly write: WaitingWrite; readonly created: Cursor }[] = [];
		const others = new Set(this.all);
		const touched = new Map<ScopeId, Set<string>>();
		const touch = (write: WaitingWrite): void => {
			const keys = touched.get(write.scope) ?? new Set();
			for (const key of keysOf(write)) keys.add(key);
			touched.set(write.scope, keys);
		};
		for (const { key } of rows) {
			if (!key.startsWith(under)) continue;
			const { value, revision, createdRevision } = this.#mirror.entry(key) as {
				readonly value: Kept;
				readonly revision: Cursor;
				readonly createdRevision: Cursor;
			};
			const write = this.#writeOf(key.slice(under.length), value, revision);
			found.push({ write, created: createdRevision });
			if (!others.delete(write)) touch(write);
		}
		found.sort((a, b) => a.created - b.created || a.write.place - b.write.place);
		this.all = found.map(({ write }) => write);
		const lines = this.#lines;
		this.#lines = Map.groupBy(this.all, ({ scope }) => scope);
		const there = new Set(this.all.map(({ id }) => id));
		for (const write of others) {
			if (there.has(write.id)) continue;
			this.#made.delete(write.id);
			const sent = this.#sentTo(write.scope);
			const before = this.#sent.get(write.scope) ?? 0;
			// Another tab has sent it; else it was given up.
			if (sent[0] > before && sent[1] > 0)
				this.#note(write, revisionIn(sent, before + 1 + (lines.get(write.scope) ?? []).indexOf(write)));
			else if (!this.#stored.has(write)) touch(write);
		}
		for (const scope of new Set([...others, ...this.all].map((write) => write.scope)))
			this.#sent.set(scope, this.#sentTo(scope)[0]);
		for (const [scope, keys] of touched) this.#observer.touched(scope, keys);
		this.#observer.changed();
	}

	#writeOf(id: string, kept: Kept, row: Cursor): WaitingWrite {
		const known = this.#made.get(id);
		if (known?.row === row) return known.write;
		const write = writeOf(id, kept, --this.#tokens);
		this.#made.set(id, { row, write });
		return write;
	}
}

type Tx = Parameters<Parameters<Scope["commit"]>[0]>[0];
