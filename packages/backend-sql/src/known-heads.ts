/** Entries as a backend's last commits left them, without their values: who puts a key that is known need not read what it replaces. */
import type { Batch, Entry, ScopeId } from "@holdfast/core";
import { type Difference, namedKeys } from "./loaded-scope.js";
import { withoutValue } from "./rows.js";

// Of so many entries at most, in all scopes together.
const mostHeads = 20_000;

interface Known {
	head: number;
	/** Whether the scope was found as it had been left, or new: it is likely to be so again. */
	sure: boolean;
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
	readonly #scopes = new Map<ScopeId, Known>();
	/** The scope that was written last. */
	#newest: ScopeId | undefined;
	#count = 0;

	/** The entries that are known of a scope with this head. */
	at(scope: ScopeId, head: number): ReadonlyMap<string, Entry | null> | undefined {
		const known = this.#scopes.get(scope);
		return known?.head === head ? known.entries : undefined;
	}

	/** Whether all that a batch needs to know of entries is likely to be known. */
	covers(batch: Batch): boolean {
		const known = this.#scopes.get(batch.scope);
		if (known?.sure !== true) return false;
		for (const [key, needsValue] of namedKeys(batch)) if (needsValue || !known.entries.has(key)) return false;
		return true;
	}

	/** The entries that a batch names, where all that is needed to apply it is known or likely: of values, numbers alone. */
	named(batch: Batch, head: number): NamedHeads | undefined {
		const known = this.#scopes.get(batch.scope);
		if (known?.sure !== true || known.head !== head) return undefined;
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

	/** Notes what a commit did to a scope that had the head `before`. */
	keep(scope: ScopeId, before: number, head: number, { put, extended, deleted }: Difference): void {
		const found = this.#scopes.get(scope);
		const left = found?.head === before;
		// Those that were written last are last; who writes one scope again and again need not move it there.
		if (!left || scope !== this.#newest) this.#forget(scope);
		else this.#count -= found.entries.size;
		const known: Known = left ? found : { head, sure: false, grows: false, entries: new Map() };
		known.head = head;
		// A new one is as empty as it was left.
		known.sure = left || before === 0;
		this.#newest = scope;
		for (const { key, createdRevision } of put)
			if (known.entries.get(key) === undefined) known.grows = createdRevision > before;
		for (const key of deleted) known.entries.set(key, null);
		// Metadata may be large.
		for (const entries of [put, extended])
			for (const entry of entries)
				if (entry.metadata === undefined) known.entries.set(entry.key, withoutValue(entry));
				else known.entries.delete(entry.key);
		this.#scopes.set(scope, known);
		this.#count += known.entries.size;
		if (this.#count <= mostHeads) return;
		for (const oldest of this.#scopes.keys()) {
			if (this.#count <= mostHeads) break;
			this.#forget(oldest);
		}
	}

	#forget(scope: ScopeId): void {
		this.#count -= this.#scopes.get(scope)?.entries.size ?? 0;
		this.#scopes.delete(scope);
	}
}
