/** Entries as a backend's last commits left them, without their values: who puts a key that is known need not read what it replaces. */
import type { Batch, Entry, ScopeId } from "@holdfast/core";
import { type Difference, namedKeys } from "./loaded-scope.js";
import { Recent } from "./recent.js";
import { withoutValue } from "./rows.js";

// So many entries and scopes at most.
const mostHeads = 20_000;

/** How a batch is tried first: by a guess, by a guess behind a look, or behind its scope's lock. */
export type Way = "guess" | "look" | "lock";

interface Known {
	head: number;
	/**
	 * A guess where the scope was found as it had been left, or new: it is likely to be so again. A lock where somebody else wrote it between a look and
	 * the guess behind.
	 */
	way: Way;
	/** Whether a key that was not known was a new one the last time: it is likely to be so again. */
	grows: boolean;
	/** `null`: there is no such entry. */
	readonly entries: Map<string, Entry | null>;
}

/** What is known of the entries that a batch names. */
export interface NamedHeads {
	readonly entries: readonly Entry[];
	/** Keys that are not known, and likely to be new. */
	readonly fresh: readonly string[];
}

/**
 * What is known holds while the scope has the same head, since no two commits leave the same one. Only a Touch moves none: what may have a
 * deadline has to be read.
 */
export class KnownHeads {
	readonly #scopes = new Recent<ScopeId, Known>();
	#count = 0;

	/** The entries that are known of a scope with this head. */
	at(scope: ScopeId, head: number): ReadonlyMap<string, Entry | null> | undefined {
		const known = this.#scopes.get(scope);
		return known?.head === head ? known.entries : undefined;
	}

	/** The way that is likely to do for a batch of a scope; `undefined`: nothing is known of it. */
	wayOf(scope: ScopeId): Way | undefined {
		return this.#scopes.get(scope)?.way;
	}

	/** Whether all that a batch needs to know of entries is likely to be known. */
	covers(batch: Batch): boolean {
		const known = this.#scopes.get(batch.scope);
		if (known?.way !== "guess") return false;
		for (const [key, needsValue] of namedKeys(batch)) if (needsValue || !known.entries.has(key)) return false;
		return true;
	}

	/** The entries that a batch names, where all that is needed to apply it is known or likely: of values, numbers alone. */
	named(batch: Batch, head: number): NamedHeads | undefined {
		const known = this.#scopes.get(batch.scope);
		if (known?.way !== "guess" || known.head !== head) return undefined;
		const entries: Entry[] = [];
		const fresh: string[] = [];
		const find = (key: string, adds: boolean): boolean => {
			const entry = known.entries.get(key);
			if (entry === undefined) {
				fresh.push(key);
				return known.grows;
			}
			if (adds && entry !== null && entry.value.number === undefined) return false;
			if (entry !== null) entries.push(entry);
			return true;
		};
		for (const commit of batch.commits) {
			for (const condition of commit.if ?? [])
				if (!("key" in condition) || !find(condition.key, false)) return undefined;
			for (const mutation of commit.do)
				if ("key" in mutation && mutation.key !== null && !find(mutation.key, mutation.op === "add"))
					return undefined;
		}
		return { entries, fresh };
	}

	/**
	 * Notes what a commit did to a scope that had the head `before`.
	 *
	 * @param seen - the entries that a look before it had found; `null`: there was no such entry.
	 */
	keep(
		scope: ScopeId,
		before: number,
		head: number,
		{ put, extended, deleted }: Difference,
		seen?: ReadonlyMap<string, Entry | null>,
	): void {
		const found = this.#scopes.get(scope);
		const known = this.#take(scope, before);
		// A new one is as empty as it was left.
		if (found === known || before === 0 || (found === undefined && seen !== undefined)) known.way = "guess";
		else known.way = found?.way === "lock" && seen === undefined ? "lock" : "look";
		known.head = head;
		for (const [key, entry] of seen ?? []) {
			known.grows = entry === null;
			note(known, key, entry);
		}
		for (const { key, createdRevision } of put)
			if (known.entries.get(key) === undefined) known.grows = createdRevision > before;
		for (const key of deleted) note(known, key, null);
		for (const entries of [put, extended]) for (const entry of entries) note(known, entry.key, entry);
		this.#put(scope, known);
	}

	/** Notes that somebody else wrote a scope between a look at it, which found this head, and the commit behind. */
	miss(scope: ScopeId, head: number): void {
		this.#put(scope, { ...this.#take(scope, head), way: "lock" });
	}

	/** What is known of a scope with this head, to be put back. */
	#take(scope: ScopeId, head: number): Known {
		const known = this.#scopes.get(scope);
		if (known !== undefined) this.#count -= sizeOf(known);
		return known?.head === head ? known : { head, way: "look", grows: false, entries: new Map() };
	}

	#put(scope: ScopeId, known: Known): void {
		this.#scopes.set(scope, known);
		this.#count += sizeOf(known);
		while (this.#count > mostHeads) {
			const oldest = this.#scopes.oldest() as ScopeId;
			this.#count -= sizeOf(this.#scopes.get(oldest) as Known);
			this.#scopes.delete(oldest);
		}
	}
}

const sizeOf = ({ entries }: Known): number => 1 + entries.size;

function note({ entries }: Known, key: string, entry: Entry | null): void {
	// Metadata may be large.
	if (entry?.metadata === undefined) entries.set(key, entry && withoutValue(entry));
	else entries.delete(key);
}
