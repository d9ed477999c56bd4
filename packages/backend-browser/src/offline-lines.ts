/** One user's writes as a page knows them: in a line for each scope, kept up by what each commit of a tab changes. No input or output. */
import type { Clock, Cursor, ScopeId } from "@holdfast/core";
import { Line } from "./offline-line.js";
import {
	idOf,
	nameKey,
	nothingSent,
	type PlacedRow,
	type Row,
	type RowKind,
	type RowsObserver,
	revisionIn,
	rowKey,
	type Sent,
} from "./offline-rows.js";
import { StoredWrites } from "./offline-stored.js";
import { type Kept, keysOf, type WaitingWrite, writeOf } from "./offline-write.js";

/** Who follows the writes. */
export interface LinesObserver {
	/** They have changed, in other tabs too. */
	changed(): void;
	/** These keys look otherwise with what waits over them. */
	touched(scope: ScopeId, keys: ReadonlySet<string>): void;
	/** The server has a write, as of that revision, or a later one as long as that is all that is known: `guess` is what was told before. */
	stored(write: WaitingWrite, revision: Cursor, guess?: Cursor): void;
	/** The present life of a scope: see `KnownScope`. */
	life(scope: ScopeId): number;
}

/** What is refused where nothing is. */
export const noneRefused: readonly WaitingWrite[] = [];

/** The lines of one user. */
export class Lines implements RowsObserver {
	/** All writes, in the order in which they were made. */
	readonly all = new Map<string, WaitingWrite>();
	/** Those that were refused; the same array until they change. */
	refused = noneRefused;
	/** The queue's own name: by it the server tells what was sent. */
	name = "";
	readonly #observer: LinesObserver;
	readonly #lines = new Map<ScopeId, Line>();
	readonly #stored: StoredWrites;
	#tokens = 0;

	constructor(observer: LinesObserver, clock: Clock) {
		this.#observer = observer;
		this.#stored = new StoredWrites(clock, observer.life);
	}

	/** The line of a scope. */
	of(scope: ScopeId): Line {
		const line = this.#lines.get(scope) ?? new Line();
		this.#lines.set(scope, line);
		return line;
	}

	/** The present life of a scope: see `KnownScope`. */
	life(scope: ScopeId): number {
		return this.#observer.life(scope);
	}

	/** The scopes whose first write can be sent. */
	get sendable(): readonly ScopeId[] {
		return [...this.#lines].flatMap(([scope, { first }]) =>
			first === undefined || first.refused !== undefined ? [] : [scope],
		);
	}

	/** The writes that were made of the result of one, and of theirs. */
	dependents(id: string): readonly WaitingWrite[] {
		const ids = new Set([id]);
		// Each comes after the one that it was made of.
		return [...this.all.values()].filter(
			({ id: own, after }) => after !== undefined && ids.has(after) && ids.add(own),
		);
	}

	/**
	 * The writes that a view of a scope, of that revision, does not have, in order, or those of them that change a key; what was refused is not
	 * among them, nor what was made of it.
	 */
	missing(scope: ScopeId, head: Cursor, key?: string): readonly WaitingWrite[] {
		const missing: WaitingWrite[] = [];
		const stored = this.#stored.of(scope);
		for (const { revision, write } of stored.values())
			if (revision > head && (key === undefined || keysOf(write).includes(key))) missing.push(write);
		const gone = new Set<string | undefined>();
		for (const write of this.of(scope).of(key)) {
			const { id, refused, after } = write;
			if (refused !== undefined || (gone.size > 0 && gone.has(after))) gone.add(id);
			else if (!stored.has(id)) missing.push(write);
		}
		return missing;
	}

	/** The revision that a token stands for, of a key that its write changed; `undefined` while it has none. */
	revisionOf(scope: ScopeId, token: number, key: string): Cursor | undefined {
		return this.#stored.revisionOf(scope, token, key);
	}

	/** The server has so many of a scope, the last as of that revision. */
	counted(scope: ScopeId, sent: Sent, isNoted = (_: WaitingWrite): boolean => true): void {
		const line = this.of(scope);
		let [n] = line.sent;
		for (const write of line.of()) {
			if (++n > sent[0]) return;
			if (isNoted(write)) this.note(write, revisionIn(sent, n));
		}
	}

	/** A commit is stored: one of these, perhaps. */
	heard(scope: ScopeId, commit: string, revision: Cursor): void {
		const write = this.all.get(idOf(scope, commit));
		if (write !== undefined) this.note(write, revision);
	}

	/** The server has a write as of a revision of its own, or of a later one as long as that is all that is known. */
	note(write: WaitingWrite, revision: Cursor): void {
		const guess = this.#stored.of(write.scope).get(write.id)?.revision;
		if (this.#stored.add(write, revision)) this.#observer.stored(write, revision, guess);
	}

	apply(rows: readonly Row[]): void {
		const touched = new Map<ScopeId, Set<string>>();
		const touch = (write: WaitingWrite): void => {
			const keys = touched.get(write.scope) ?? new Set();
			for (const key of keysOf(write)) keys.add(key);
			touched.set(write.scope, keys);
		};
		const gone = new Set<WaitingWrite>();
		const counts = new Map<ScopeId, Sent>();
		let isDecided = false;
		for (const { key, value } of rows) {
			const [kind] = key.split("/", 1) as [RowKind];
			const of = key.slice(kind.length + 1);
			const before = this.all.get(of);
			// Without these there is no telling what the server has: to send on could lose a write, or send it twice.
			if (value === null && (key === nameKey || kind === "sent")) throw new TypeError(`${key} can't be read`);
			if (key === nameKey) this.name = value as string;
			else if (kind === "sent") counts.set(of, (value as Sent | undefined) ?? nothingSent);
			else if (kind === "latest") this.of(of).latest = value as string | undefined;
			else if (value !== undefined) {
				const write = writeOf(of, value as Kept | null, --this.#tokens);
				this.all.set(of, write);
				this.of(write.scope).put(write);
				touch(write);
				isDecided ||= before?.refused !== write.refused;
			} else if (before !== undefined) gone.add(before);
		}
		for (const [scope, sent] of counts) {
			// Another tab has sent it; else it was given up.
			if (sent[1] > 0) this.counted(scope, sent, (write) => gone.has(write));
			this.of(scope).sent = sent;
		}
		for (const write of gone) {
			this.all.delete(write.id);
			this.of(write.scope).delete(write);
			isDecided ||= write.refused !== undefined;
			if (!this.#stored.of(write.scope).has(write.id)) touch(write);
		}
		if (isDecided) this.refused = [...this.all.values()].filter(({ refused }) => refused !== undefined);
		for (const [scope, keys] of touched) this.#observer.touched(scope, keys);
		this.#observer.changed();
	}

	replace(rows: readonly PlacedRow[]): void {
		const there = new Set(rows.map(({ key }) => key));
		const known = [
			...Array.from(this.all.keys(), (id) => rowKey("writes", id)),
			...Array.from(this.#lines.keys(), (scope) => rowKey("sent", scope)),
		];
		const gone = known.flatMap((key) => (there.has(key) ? [] : [{ key }]));
		const placeOf = ({ value }: Row): number => (value as Partial<Kept> | null)?.place ?? 0;
		const placed = rows.toSorted((a, b) => a.createdRevision - b.createdRevision || placeOf(a) - placeOf(b));
		this.apply([...gone, ...placed]);
	}
}
