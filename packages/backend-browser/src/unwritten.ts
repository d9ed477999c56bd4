/**
 * The entries whose rows are behind: the log says what they are. A commit writes its records, and each entry's row once for many commits,
 * as a write-ahead log allows (Mohan et al., "ARIES", 1992): redo is what a tab does when it reads a scope.
 */
import type { LogRecord } from "@holdfast/core";
import type { ScopeRow } from "./scope-row.js";

/** How many rows a commit writes at least once too many are behind: all at once would be felt in the page. */
const rowsAtOnce = 256;

interface Lag {
	/** The first revision that the row does not have, and its place in the log. */
	readonly since: number;
	readonly place: number;
	/** The last revision of it. */
	last: number;
}

/** Up to where a scope's entries have their rows. */
export type Written = ScopeRow["written"];

/** The keys of a scope whose rows are behind, the one that is so for longest first. */
export class Unwritten {
	readonly #lags = new Map<string, Lag>();
	#written = 0;

	/** Notes what a record changed. */
	note({ revision, changes }: LogRecord, place: number): void {
		for (const { key } of changes) {
			const lag = this.#lags.get(key);
			if (lag === undefined) this.#lags.set(key, { since: revision, place, last: revision });
			else lag.last = revision;
		}
	}

	/** Forgets what has its row by now, perhaps from another tab. */
	settle({ revision }: Written): void {
		if (revision <= this.#written) return;
		this.#written = revision;
		for (const [key, { last }] of this.#lags) if (last <= revision) this.#lags.delete(key);
	}

	/**
	 * Takes the keys whose rows must be written now.
	 *
	 * @param added - how many records this transaction adds.
	 * @param mostBehind - how many records rows may be behind: who reads the scope goes through them.
	 */
	take({ changes, trimmed, written }: ScopeRow, added: number, mostBehind: number): readonly string[] {
		const { total } = changes;
		const upTo = total - written.place > mostBehind ? total - mostBehind / 2 : 0;
		const most = Math.max(rowsAtOnce, 2 * added);
		const keys: string[] = [];
		for (const [key, { since, place }] of this.#lags) {
			if (mostBehind > 0 && since > trimmed && (place >= upTo || keys.length >= most)) break;
			keys.push(key);
		}
		for (const key of keys) this.#lags.delete(key);
		return keys;
	}

	/** Up to where all entries have their rows. */
	reach({ head, changes, written }: ScopeRow): Written {
		const [first] = this.#lags.values();
		if (first === undefined) return { revision: head, place: changes.total };
		return first.since > written.revision ? { revision: first.since - 1, place: first.place } : written;
	}
}
