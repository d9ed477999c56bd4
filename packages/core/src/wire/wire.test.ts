import fc from "fast-check";
import { expect, test } from "vitest";
import type { Batch, BatchAnswer, Entry, Failure, LogRecord, ReadAnswer } from "../backend.js";
import { jsonCodec } from "../codec.js";
import { HoldfastError } from "../error.js";
import { failureError, refusalError } from "../store.js";
import { givenValue } from "../value.js";
import {
	codeOf,
	decodeBatchAnswer,
	decodeCommit,
	decodeError,
	decodeFailure,
	decodeReadAnswer,
	decodeRecord,
	EventSplitter,
	encodeBatch,
	encodeBatchAnswer,
	encodeError,
	encodeFailure,
	encodeReadAnswer,
	encodeRecord,
	formatEvent,
	ownOrigin,
	packRecords,
	type StreamMessage,
	statusOf,
	unpackRecords,
} from "./index.js";

const across = <T>(part: T): T => JSON.parse(JSON.stringify(part));

const entry = (key: string, data: unknown, more: Partial<Entry> = {}): Entry => ({
	key,
	value: givenValue(data),
	revision: 20,
	createdRevision: 10,
	expiresAt: null,
	metadata: undefined,
	...more,
});

const plain = (part: unknown): unknown =>
	JSON.parse(
		JSON.stringify(part, (_, member) =>
			typeof member?.data === "function" ? { text: member.text } : member,
		),
	);

test("a record keeps everything that it says", () => {
	const metadata = { user: "ada", why: [1, null] };
	const record: LogRecord = {
		revision: 20,
		previous: 15,
		id: "w.1",
		time: 1234.5,
		origin: "tag.w",
		metadata,
		quiet: true,
		changes: [
			{
				type: "set",
				key: "a",
				entry: entry("a", { when: new Date(0), $: "x" }, { metadata, expiresAt: 99 }),
			},
			{ type: "set", key: "b", entry: entry("b", -0, { metadata, createdRevision: 20 }) },
			{ type: "delete", key: "c", entry: null },
			{ type: "expire", key: "d", entry: null },
		],
		events: [{ type: "traded", payload: givenValue(new Map([[1n, Number.NaN]])) }],
		previousEvents: 7,
	};
	const decoded = decodeRecord(across(encodeRecord(record)));
	expect(plain(decoded)).toEqual(plain(record));
	expect(decoded.changes[0]?.entry?.value.data(jsonCodec)).toEqual({ when: new Date(0), $: "x" });
	expect(decoded.events[0]?.payload.data(jsonCodec)).toEqual(new Map([[1n, Number.NaN]]));
});

test("a record that says little is small, and comes back whole", () => {
	const record: LogRecord = {
		revision: 2,
		previous: 0,
		id: "expire-2",
		time: 5,
		origin: undefined,
		metadata: undefined,
		quiet: false,
		changes: [],
		events: [],
		previousEvents: 0,
	};
	expect(encodeRecord(record)).toEqual({ r: 2, p: 0, i: "expire-2", t: 5 });
	expect(decodeRecord(across(encodeRecord(record)))).toEqual(record);
});

test("records of one message leave out what they have in common, and come back whole", () => {
	const parts = fc.record({
		previous: fc.constantFrom(0, 1, 2, 3),
		id: fc.constantFrom("w.1", "w.2", ".1", "w", "tag.w.1", "expire-2", ""),
		origin: fc.constantFrom(undefined, "w", "tag.w", "tag.", "v"),
	});
	const told = (records: readonly LogRecord[]) => unpackRecords(across(packRecords(records)));
	fc.assert(
		fc.property(fc.array(parts, { maxLength: 6 }), (all) => {
			const records = all.map(
				(part, i): LogRecord => ({
					...part,
					revision: i + 1,
					time: 5,
					metadata: undefined,
					quiet: false,
					changes: [],
					events: [],
					previousEvents: 0,
				}),
			);
			expect(told(records)).toEqual(records.map(encodeRecord));
		}),
	);
});

test("records of one writer in a row name it once", () => {
	const records = [1, 2].map(
		(n): LogRecord => ({
			revision: n,
			previous: n - 1,
			id: `w.${n}`,
			time: 5,
			origin: "tag.w",
			metadata: undefined,
			quiet: false,
			changes: [],
			events: [],
			previousEvents: 0,
		}),
	);
	expect(packRecords(records)).toEqual([
		{ r: 1, t: 5, p: 0, n: "1", o: "tag.w" },
		{ r: 2, t: 5, n: "2" },
	]);
});

test("an origin is told to its own writers as they know themselves, and to others as it is", () => {
	const record = { r: 2, p: 0, i: "x", t: 5, o: ownOrigin("mine", "w1") };
	expect(decodeRecord(record, "mine").origin).toBe("w1");
	expect(decodeRecord(record, "min").origin).toBe("mine.w1");
	expect(decodeRecord(record).origin).toBe("mine.w1");
});

test("metadata under the name __proto__ stays data", () => {
	const record = JSON.parse('{"r":2,"p":0,"i":"x","t":5,"m":{"__proto__":{"admin":true}}}');
	const { metadata } = decodeRecord(record);
	expect(Object.keys(metadata as object)).toEqual(["__proto__"]);
	expect((metadata as { admin?: boolean }).admin).toBeUndefined();
});

test("a batch and its answer come across", () => {
	const batch: Batch = {
		scope: "app/shared",
		writer: "w",
		sequence: 3,
		until: 99,
		floor: 5,
		step: 17,
		keep: { changes: { count: 1, age: 2 }, events: { count: 3, age: 4 } },
		commits: [
			{
				id: "w.1",
				if: [
					{ key: "a", revision: 0 },
					{ under: "", count: 1, sum: 2 },
				],
				do: [
					{ op: "put", key: "a", value: givenValue({ a: 1 }), ttl: null },
					{ op: "delete", key: "b" },
					{ op: "touch", key: "c", ttl: 5 },
					{ op: "add", key: "d", by: 1, base: { now: 5 }, max: 9 },
					{ op: "emit", type: "traded", payload: givenValue("x") },
				],
				metadata: { a: [1] },
				quiet: true,
			},
			{ id: "w.2", do: [{ op: "seal", note: "elsewhere" }] },
		],
	};
	const sent = across(encodeBatch(batch));
	expect(sent.commits[0]?.do[0]).toEqual({ op: "put", key: "a", value: '{"a":1}', ttl: null });
	expect(plain(sent.commits.map(decodeCommit))).toEqual(plain(batch.commits));

	const denied = new HoldfastError("validation-failed", "too small", {
		scope: "shared",
		key: "a",
		issues: [{ message: "too small" }],
	});
	const answer: BatchAnswer = {
		head: 20,
		now: 3,
		next: null,
		outcomes: [
			{ ok: true, revision: 20, changes: 2, numbers: [1, 2.5] },
			{ ok: false, why: "condition", index: 1, entry: entry("a", 1) },
			{ ok: false, why: "sealed", index: 0, entry: null, note: { to: "b" } },
			{ ok: false, why: "rejected", index: 0, entry: null, cause: denied },
		],
	};
	const back = decodeBatchAnswer(across(encodeBatchAnswer(answer))) as BatchAnswer;
	expect(plain({ ...back, outcomes: back.outcomes.slice(0, 3) })).toEqual(
		plain({ ...answer, outcomes: answer.outcomes.slice(0, 3) }),
	);
	const rejected = back.outcomes[3];
	if (rejected === undefined || rejected.ok) throw new Error("it was refused");
	const error = refusalError("app/shared", rejected, "a");
	expect(error).toMatchObject({ code: "validation-failed", key: "a", issues: [{ message: "too small" }] });
	expect(error.message).toBe('too small [shared "a"]');
});

test("a read's answer comes across", () => {
	const answer: ReadAnswer = { head: 20, now: 3, next: 99, entries: [entry("a", [1]), null] };
	expect(plain(decodeReadAnswer(across(encodeReadAnswer(answer))))).toEqual(plain(answer));
});

test("a failure comes across, and its error is what the application is told", () => {
	const cause = new HoldfastError("denied", "not yours", { scope: "user/ada" });
	const failure: Failure = { failed: "refused", message: cause.message, cause, now: 7 };
	const decoded = decodeFailure(across(encodeFailure(failure)));
	expect(decoded).toMatchObject({ failed: "refused", now: 7 });
	expect(failureError(decoded, "app/user/ada")).toMatchObject({ code: "denied", scope: "user/ada" });
	const broken = encodeFailure({ failed: "unknown", message: "gone", cause: new Error("password in here") });
	expect(JSON.stringify(broken)).toBe('{"failed":"unknown","message":"gone"}');
});

test("an error comes across without its cause, and says its place once", () => {
	const error = new HoldfastError("too-large", "too large", {
		scope: "user/ada",
		key: 'a"]',
		cause: new Error("secret"),
	});
	const decoded = decodeError(across(encodeError(error)));
	expect(decoded.message).toBe(error.message);
	expect(decoded).toMatchObject({ code: "too-large", scope: "user/ada", key: 'a"]' });
	expect(decoded.cause).toBeUndefined();
	expect(statusOf("too-large")).toBe(413);
	expect(statusOf("invalid-key")).toBe(400);
	expect(codeOf(502)).toBe("unavailable");
	expect(codeOf(401)).toBe("unauthenticated");
});

test("events are found in pieces of any size", () => {
	const messages: StreamMessage[] = [
		{ t: "hello", user: "ada", origin: "o", now: 1, heartbeat: 20_000 },
		{ t: "ready", s: "app/shared", c: 5 },
		{ t: "r", s: "app/shared", records: [{ r: 7, p: 5, i: "a\nb\u2028data: ", t: 1 }] },
		{ t: "bye", why: "slow", retry: 100 },
	];
	const text = messages.map(formatEvent).join("");
	expect(text).toContain("id: 5\n");
	expect(text).toContain("id: 7\n");
	for (const size of [1, 3, 7, text.length]) {
		const heard: StreamMessage[] = [];
		const splitter = new EventSplitter((message) => heard.push(message));
		for (let at = 0; at < text.length; at += size) splitter.push(text.slice(at, at + size));
		expect(heard).toEqual(messages);
	}
});
