/** Answers to reads, listings and logs as they cross the wire. */
import type { Failure, ListPage, LogPage, ReadAnswer, ScopePage } from "../backend.js";
import { decodeEntry, encodeEntry } from "./entry.js";
import { decodeFailure, encodeFailure } from "./failure.js";
import type {
	Envelope,
	ListResponse,
	LogResponse,
	ScopesResponse,
	WireFailure,
	WireReadAnswer,
} from "./messages.js";
import { decodeRecord, encodeRecord } from "./record.js";

/** The answer to a read, or its failure, as it is sent. */
export const encodeReadAnswer = (answer: ReadAnswer | Failure): WireReadAnswer | WireFailure =>
	"failed" in answer
		? encodeFailure(answer)
		: {
				cursor: answer.head,
				now: answer.now,
				next: answer.next,
				entries: answer.entries.map((entry) => entry && encodeEntry(entry)),
			};

/** What {@link encodeReadAnswer} made. */
export const decodeReadAnswer = (answer: WireReadAnswer | WireFailure): ReadAnswer | Failure =>
	"failed" in answer
		? decodeFailure(answer)
		: {
				head: answer.cursor,
				now: answer.now,
				next: answer.next,
				entries: answer.entries.map((entry) => entry && decodeEntry(entry)),
			};

/** A page of a listing as it is sent. */
export const encodeListPage = ({
	entries,
	next,
	head,
	now,
}: ListPage): Omit<ListResponse, keyof Envelope> => ({
	entries: entries.map(encodeEntry),
	cursor: head,
	next,
	now,
});

/** What {@link encodeListPage} made. */
export const decodeListPage = ({ entries, cursor, next, now }: ListResponse): ListPage => ({
	entries: entries.map(decodeEntry),
	next,
	head: cursor,
	now,
});

/** A page of a log as it is sent. */
export const encodeLogPage = ({ records, more, head, now }: LogPage): Omit<LogResponse, keyof Envelope> => ({
	records: records.map(encodeRecord),
	more,
	cursor: head,
	now,
});

/** What {@link encodeLogPage} made, in the words of who asked. */
export const decodeLogPage = ({ records, more, cursor, now, origin }: LogResponse): LogPage => ({
	records: records.map((record) => decodeRecord(record, origin)),
	more,
	head: cursor,
	now,
});

/** A page of scopes as it is sent. */
export const encodeScopePage = ({ scopes, more, now }: ScopePage): Omit<ScopesResponse, keyof Envelope> => ({
	scopes: scopes.map(({ scope, head, next }) => ({ s: scope, head, next })),
	more,
	now,
});

/** What {@link encodeScopePage} made. */
export const decodeScopePage = ({ scopes, more, now }: ScopesResponse): ScopePage => ({
	scopes: scopes.map(({ s, head, next }) => ({ scope: s, head, next })),
	more,
	now,
});
