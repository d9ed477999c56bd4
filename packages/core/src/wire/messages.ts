/**
 * The messages between a page and a server's scopes: JSON over POST, and a stream of events.
 *
 * Names are short because records are sent to every page that watches. A value crosses as the text that the store holds, inside a JSON
 * string: who only carries it does not decode it.
 */
import type {
	Add,
	Condition,
	Cursor,
	Delete,
	Json,
	KeyRange,
	LogQuery,
	Refused,
	Retention,
	ScopeId,
	ScopeRange,
	Seal,
	Touch,
} from "../backend.js";
import type { ErrorCode } from "../error.js";

/** The paths, below the URL that the server is mounted at. */
export const paths = {
	read: "/v1/read",
	list: "/v1/list",
	log: "/v1/log",
	commit: "/v1/commit",
	scopes: "/v1/scopes",
	drop: "/v1/drop",
	stream: "/v1/stream",
} as const;

/** What can be asked of a server. */
export type Route = keyof typeof paths;

/** The content type of several answers that come as soon as each is there: who accepts it gets an {@link Envelope}, then {@link AnswerLine}s. */
export const linesType = "application/x-ndjson";

/** The routes that answer several things at once, and where in their response. */
export const severalIn = { read: "reads", commit: "batches" } as const;

/** The most scopes that one request reads or commits to. */
export const severalLimit = 1000;

/** The header by which a page says whom it believes to be: the subject, percent-encoded. A server that knows better answers `identity-changed`. */
export const userHeader = "Holdfast-User";

/** An entry. */
export interface WireEntry {
	/** The key. */
	readonly k: string;
	/** The value's text. */
	readonly v: string;
	/** The revision. */
	readonly r: number;
	/** The revision that created it, where that is another. */
	readonly c?: number;
	/** When it expires, where it does. */
	readonly x?: number;
	/** The metadata, where there is some. */
	readonly m?: Json;
}

/** What a commit did to a key; a `set` has the value, and revision and metadata of its record. */
export type WireChange =
	| Pick<WireEntry, "k" | "v" | "c" | "x">
	| { readonly k: string; readonly t: "delete" | "expire" };

/** What the log holds of a commit. */
export interface WireRecord {
	/** The revision. */
	readonly r: number;
	/** The head before it. */
	readonly p: number;
	/** The commit's id. */
	readonly i: string;
	/** When, by the store's clock. */
	readonly t: number;
	/** The origin, where there is one. */
	readonly o?: string;
	/** The metadata, where there is some. */
	readonly m?: Json;
	/** Whether listeners are not called for it. */
	readonly q?: 1;
	/** Its changes, where there are any. */
	readonly c?: readonly WireChange[];
	/** Its events, where there are any: type and text of the payload. */
	readonly e?: readonly (readonly [string, string])[];
	/** The revision of the record with events before it, where there is one. */
	readonly f?: number;
}

/** A {@link WireRecord} among those of one message, see `unpackRecords`: what goes without saying is left out, since every page is sent it. */
export type PackedRecord = Omit<WireRecord, "p" | "i" | "o"> & {
	/** The head before it, unless that is the record before it in the message. */
	readonly p?: number;
	/** The commit's id, unless `n` tells it. */
	readonly i?: string;
	/** What stands in the commit's id after the writer's name, which is the last part of the origin, and a point. */
	readonly n?: string;
	/** The origin, unless it is that of the record before it in the message; `null`: there is none. */
	readonly o?: string | null;
};

/** Writes a value, given as its text. */
export interface WirePut {
	readonly op: "put";
	readonly key: string;
	readonly value: string;
	readonly ttl: number | null;
}

/** States a fact, its payload given as text. */
export interface WireEmit {
	readonly op: "emit";
	readonly type: string;
	readonly payload: string;
}

/** A mutation. */
export type WireMutation = WirePut | Delete | Touch | Add | WireEmit | Seal;

/** A commit. */
export interface WireCommit {
	readonly id: string;
	readonly if?: readonly Condition[];
	readonly do: readonly WireMutation[];
	/** Who sent it. A server replaces it by its own name for the writer unless the grant is `admin`. */
	readonly origin?: string;
	/** A server adds the user to it unless the grant is `admin`. */
	readonly metadata?: Json;
	readonly quiet?: boolean;
}

/** A batch of one scope. */
export interface WireBatch {
	readonly s: ScopeId;
	readonly writer: string;
	readonly sequence: number;
	readonly until: number;
	readonly floor: number;
	readonly step: number;
	readonly commits: readonly WireCommit[];
	/** Taken of an `admin` only: to others the server's own retention applies. */
	readonly keep?: Retention;
}

/** An error as JSON. */
export interface WireError {
	readonly code: ErrorCode;
	readonly message: string;
	readonly scope?: string;
	readonly key?: string;
	readonly note?: Json;
	readonly reason?: string;
	readonly issues?: readonly { readonly message: string }[];
}

/** A failure of one read or batch among several. */
export interface WireFailure {
	readonly failed: string;
	readonly message: string;
	readonly now?: number;
	/** What the server refused it for. */
	readonly error?: WireError;
}

/** How one commit ended: applied, with revision, number of changes and sums; or refused. */
export type WireOutcome =
	| readonly [revision: number, changes: number, ...numbers: number[]]
	| {
			readonly why: Refused["why"];
			readonly index: number;
			readonly entry: WireEntry | null;
			readonly note?: Json;
			/** What the server refused it for. */
			readonly error?: WireError;
	  };

/** The answer to a batch. */
export interface WireBatchAnswer {
	readonly head: number;
	readonly now: number;
	readonly next: number | null;
	readonly outcomes: readonly WireOutcome[];
}

/** The answer to a read of one scope. */
export interface WireReadAnswer {
	readonly cursor: Cursor;
	readonly now: number;
	readonly next: number | null;
	readonly entries: readonly (WireEntry | null)[];
}

/** Reads of several scopes, one answer each. */
export interface ReadRequest {
	readonly reads: readonly { readonly s: ScopeId; readonly keys: readonly string[] }[];
}

/** One page of a listing. */
export interface ListRequest {
	readonly s: ScopeId;
	readonly range: KeyRange;
}

/** One page of a log. Whether the cursor holds is for who asks to judge, see `resumes`. */
export interface LogRequest {
	readonly s: ScopeId;
	readonly after: Cursor;
	readonly query: LogQuery;
}

/** Batches of several scopes, one answer each. */
export interface CommitRequest {
	readonly batches: readonly WireBatch[];
}

/** Which scopes there are; needs `admin` of every scope that is told. */
export interface ScopesRequest {
	readonly range: ScopeRange;
}

/** Drops a scope; needs `admin`. */
export interface DropRequest {
	readonly s: ScopeId;
}

/** Opens a stream of several scopes. */
export interface StreamRequest {
	/** Scopes, each from a cursor; without one from now on. */
	readonly subs: readonly { readonly s: ScopeId; readonly c?: Cursor }[];
	/** Whether it ends when all scopes have answered. */
	readonly once?: boolean;
}

/** What each answer tells of who asked. */
export interface Envelope {
	/** The subject, as the server knows it. */
	readonly user: string;
	/** The server's name for this subject's writers: their origin in the log is `<origin>.<writer>`, see `ownOrigin`. */
	readonly origin: string;
}

/** Answers to a {@link ReadRequest}, in its order. */
export interface ReadResponse extends Envelope {
	readonly reads: readonly (WireReadAnswer | WireFailure)[];
}

/** Answers a {@link ListRequest}. */
export interface ListResponse extends Envelope {
	readonly entries: readonly WireEntry[];
	readonly cursor: Cursor;
	readonly next: string | null;
	readonly now: number;
}

/** Answers a {@link LogRequest}. */
export interface LogResponse extends Envelope {
	readonly records: readonly WireRecord[];
	readonly more: boolean;
	readonly cursor: Cursor;
	readonly now: number;
}

/** Answers to a {@link CommitRequest}, in its order. */
export interface CommitResponse extends Envelope {
	readonly batches: readonly (WireBatchAnswer | WireFailure)[];
}

/** One of several answers: which of what was asked it is for, counted from 0. */
export type AnswerLine = readonly [index: number, answer: WireReadAnswer | WireBatchAnswer | WireFailure];

/** Answers a {@link ScopesRequest}. */
export interface ScopesResponse extends Envelope {
	readonly scopes: readonly { readonly s: ScopeId; readonly head: number; readonly next: number | null }[];
	readonly more: boolean;
	readonly now: number;
}

/** Answers a {@link DropRequest}. */
export type DropResponse = Envelope;

/** The body of an answer that is no success. */
export interface ErrorResponse {
	readonly error: WireError;
}

/** Why a stream ends. */
export type ByeReason =
	/** What waited for this client passed the bound: it goes on from its cursors. */
	| "slow"
	/** The stream has lived its time: another is asked for its grants anew. */
	| "lifetime"
	/** The grant has ended, or was revoked: who asks again is told why. */
	| "revoked"
	/** This subject has too many streams on this server, and this is the oldest. */
	| "crowded"
	/** All was told that a `once` asked for. */
	| "once"
	/** The server closes. */
	| "closing";

/** Why a scope's stream does not go on from a cursor. */
export type ResetReason =
	/** The log does not reach back to the cursor, or never held it. */
	| "cursor"
	/** The store lost or dropped what it held. */
	| "store";

/** One event of a stream. */
export type StreamMessage =
	/** Comes first. `heartbeat` in ms: two and a half without a word, and the stream is dead. */
	| ({ readonly t: "hello"; readonly now: number; readonly heartbeat: number } & Envelope)
	/** All up to this cursor was told; what follows is live. */
	| { readonly t: "ready"; readonly s: ScopeId; readonly c: Cursor }
	/** Records, in order; some of them may have been told before. */
	| { readonly t: "r"; readonly s: ScopeId; readonly records: readonly PackedRecord[] }
	/** List the scope anew; records after this cursor follow here. */
	| { readonly t: "reset"; readonly s: ScopeId; readonly c: Cursor; readonly why: ResetReason }
	/** This scope is not told, or not any more. */
	| { readonly t: "denied"; readonly s: ScopeId; readonly error: WireError }
	/** A heartbeat. */
	| { readonly t: "hb"; readonly now: number }
	/** The last event; come again after `retry` ms. */
	| { readonly t: "bye"; readonly why: ByeReason; readonly retry: number };
