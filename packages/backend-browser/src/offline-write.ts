/** A deferred write, as the device keeps it and as a page knows it. */
import {
	type Commit,
	type Cursor,
	type ErrorCode,
	parseScopeId,
	type Retention,
	type ScopeId,
} from "@holdfast/core";
import { decodeCommit, type WireCommit, type WireMutation } from "@holdfast/core/wire";

/** Why a write was refused for good. */
export interface Refusal {
	readonly code: ErrorCode;
	readonly message: string;
}

/** What an update was made of. */
export interface Premise {
	/** The write whose result it changes; its revision is the condition, once it has one. */
	readonly after?: string;
	/** The value that it changes, encoded; absent where there was none. */
	readonly base?: string;
}

/** A write as it is kept. */
export interface Kept extends Premise {
	readonly scope: ScopeId;
	readonly commit: WireCommit;
	readonly keep: Retention;
	/** When it was made, by the device's clock. */
	readonly at: number;
	/** Its place among those that were kept in the same commit. */
	readonly place: number;
	readonly refused?: Refusal;
	/** It writes something else than what those after it were made of: they are held to this revision, which is gone by then. */
	readonly merged?: Cursor;
}

/** A write that waits, or was refused. The same object until it changes. */
export interface WaitingWrite extends Kept {
	readonly id: string;
	/** Its commit, decoded. */
	readonly made: Commit;
	/** Stands for its revision in this page until it has one: below 0. */
	readonly token: number;
}

const unreadable: Refusal = {
	code: "failed",
	message: "a newer version of this page has kept it, which has to send it: load the page anew",
};

const nothing = { count: 0, age: 0 };

/** What is known of a write whose row can't be read at all. */
const unknown = (id: string): Kept => ({
	scope: id.slice(0, id.lastIndexOf("/")),
	commit: { id, do: [] },
	keep: { changes: nothing, events: nothing },
	at: 0,
	place: 0,
});

/** A write as a page knows it, made of its row; `null`: that can't be read. It stays where it is, and is shown as refused. */
export function writeOf(id: string, kept: Kept | null, token: number): WaitingWrite {
	try {
		const { commit } = kept as Kept;
		return { ...(kept as Kept), id, made: decodeCommit(commit), token };
	} catch {
		return { ...unknown(id), ...kept, id, made: { id, do: [] }, token, refused: unreadable };
	}
}

/** The keys that a write changes. */
export const keysOf = ({ made }: Pick<WaitingWrite, "made">): string[] =>
	made.do.flatMap((one) => ("key" in one && one.key !== null ? [one.key] : []));

/** What an update does: it writes its key, or deletes it. */
export const updateOf = ({ do: [first] }: WireCommit) =>
	first as Extract<WireMutation, { op: "put" | "delete" }>;

/** The revision that a key has after a write. */
export function revisionAfter({ made }: WaitingWrite, key: string, revision: Cursor): Cursor {
	return made.do.some((mutation) => mutation.op === "delete" && mutation.key === key) ? 0 : revision;
}

/** A scope as the application names it: `user/ada`. */
export function nameOfScope(scope: ScopeId): string {
	const { kind, id } = parseScopeId(scope);
	return id === undefined ? kind : `${kind}/${id}`;
}
