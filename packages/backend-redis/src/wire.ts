/** Batches, entries and records as they cross to Redis and back. */
import type {
	Amount,
	Batch,
	BatchAnswer,
	Change,
	Commit,
	CommitOutcome,
	Condition,
	Entry,
	EventFact,
	Failure,
	Json,
	KeyCondition,
	LogRecord,
	Mutation,
	Put,
	ReadAnswer,
	Refused,
} from "@holdfast/core";
import { spanUnder, storedValue } from "@holdfast/core";
import { retentionText, usualRetention } from "./retention.js";

type Argument = string | number;

const conditionArguments = (condition: Condition): Argument[] => {
	if ("key" in condition) return ["k", condition.key, condition.revision];
	const { from, to } = spanUnder(condition.under);
	return ["l", from, to ?? "", condition.count, condition.sum];
};

const amountArgument = (amount: Amount | undefined): Argument =>
	amount === undefined ? "" : typeof amount === "number" ? amount : `n${amount.now}`;

function mutationArguments(mutation: Mutation): Argument[] {
	switch (mutation.op) {
		case "put":
			return ["put", mutation.key, mutation.ttl ?? -1, mutation.value.text];
		case "delete":
			return ["delete", mutation.key];
		case "touch":
			return mutation.key === null ? ["slide", mutation.ttl] : ["touch", mutation.key, mutation.ttl];
		case "add": {
			const { key, by, base, min, max, ttl } = mutation;
			return ["add", key, by, amountArgument(base), amountArgument(min), amountArgument(max), ttl ?? -1];
		}
		case "emit":
			return ["emit", mutation.type, mutation.payload.text];
		case "seal":
			return ["seal", mutation.note === null ? "" : JSON.stringify(mutation.note)];
	}
}

/** What a record says of a commit beside what it did. The origin is not said twice, and not at all where it is the writer, see `log-script.ts`. */
function about({ id, origin = "", metadata, quiet }: Commit, writer: string | undefined): string {
	const isOwn = origin !== "" && id.startsWith(origin);
	const rest = isOwn ? id.slice(origin.length) : "";
	if (origin === writer && metadata === undefined && quiet !== true && /^\.\w+$/.test(rest)) return rest;
	const idText = isOwn ? `[${JSON.stringify(rest)}]` : JSON.stringify(id);
	const metadataText = metadata === undefined ? "null" : JSON.stringify(metadata);
	const text = `${idText},${quiet === true ? 1 : 0},${metadataText}`;
	return isOwn && origin === writer ? text : `${JSON.stringify(origin)},${text}`;
}

/** The way through the commit script: the shortest that can do all of a batch's commits. */
type Way = "plain" | "lean" | "long";

// Each key is an argument of one call in Lua, which takes 8,000.
const leanKeys = 2000;

const keysOf = (commits: readonly Commit[]): number =>
	commits.reduce((sum, { if: conditions = [] }) => sum + conditions.length + 1, 0);

const isPlain = (commit: Commit): boolean => {
	const [first] = commit.do;
	return (
		commit.do.length === 1 &&
		first?.op === "put" &&
		first.ttl === null &&
		(commit.if === undefined || commit.if.length === 0) &&
		commit.metadata === undefined
	);
};

const isLean = ({ if: conditions = [], do: [first, ...more] }: Commit): boolean =>
	first !== undefined &&
	more.length === 0 &&
	"key" in first &&
	first.key !== null &&
	conditions.every((condition) => "key" in condition);

const wayOf = (commits: readonly Commit[]): Way => {
	if (commits.length === 0 || keysOf(commits) > leanKeys) return "long";
	return commits.every(isPlain) ? "plain" : commits.every(isLean) ? "lean" : "long";
};

type LeanMutation = Extract<Mutation, { readonly key: string }>;

function pushLean(args: Argument[], mutation: LeanMutation, conditions: readonly KeyCondition[]): void {
	const ttl = (mutation.op === "delete" ? null : mutation.ttl) ?? -1;
	args.push(`${mutation.op} ${ttl} ${conditions.length}`, mutation.key);
	if (mutation.op === "put") args.push(mutation.value.text);
	else if (mutation.op === "add") {
		const { by, base, min, max } = mutation;
		args.push(by, amountArgument(base), amountArgument(min), amountArgument(max));
	}
	for (const { key, revision } of conditions) args.push(key, revision);
}

function pushCommit(args: Argument[], commit: Commit, writer: string | undefined, way: Way): void {
	args.push(about(commit, writer));
	if (way === "plain") {
		const { key, value } = commit.do[0] as Put;
		args.push(key, value.text);
		return;
	}
	const { metadata, if: conditions = [], do: mutations } = commit;
	args.push(metadata === undefined ? "" : JSON.stringify(metadata));
	if (way === "lean") {
		pushLean(args, mutations[0] as LeanMutation, conditions as readonly KeyCondition[]);
		return;
	}
	args.push(conditions.length);
	for (const condition of conditions) args.push(...conditionArguments(condition));
	args.push(mutations.length);
	for (const mutation of mutations) args.push(...mutationArguments(mutation));
}

/** Adds a batch as the commit script reads it. */
export function pushBatch(args: Argument[], batch: Batch): void {
	const { writer, sequence, until, floor, step, keep, commits } = batch;
	const way = wayOf(commits);
	const start = args.length;
	args.push("", writer);
	// The script puts it between quotes as it is.
	const named = /^\w+$/.test(writer) ? writer : undefined;
	for (const commit of commits) pushCommit(args, commit, named, way);
	const kept = retentionText(keep);
	// Each argument costs; all that is of a known form is one.
	args[start] =
		`${way} ${commits.length} ${args.length - start} ${sequence} ${Math.ceil(until)} ${floor} ${step} ${kept === usualRetention ? "" : kept}`;
}

const scopesAtOnce = 32;
const mutationsAtOnce = 64;

// A sweep may be of a thousand entries.
const weightOf = ({ commits }: Batch): number =>
	commits.length === 0 ? mutationsAtOnce : commits.reduce((sum, commit) => sum + commit.do.length, 0);

/** Batches in order, those together that one run of the commit script does: not so many that others wait long for it. */
export function packed(batches: readonly Batch[]): Batch[][] {
	const packs: Batch[][] = [];
	let room = 0;
	for (const batch of batches) {
		const weight = weightOf(batch);
		const last = packs.at(-1);
		if (last !== undefined && last.length < scopesAtOnce && weight <= room) {
			last.push(batch);
			room -= weight;
		} else {
			packs.push([batch]);
			room = mutationsAtOnce - weight;
		}
	}
	return packs;
}

// A revision is above the clock's microseconds, and below 2^53.
const revisionLength = 16;

const plainEntry = (key: string, text: string, revision: number): Entry => ({
	key,
	value: storedValue(text),
	revision,
	createdRevision: revision,
	expiresAt: null,
	metadata: undefined,
});

/** An entry as a field of the scope's hash holds it; `first` is the revision of the scope's first commit. */
export function parseEntry(key: string, raw: string, first: number): Entry {
	// A letter, not a digit: its place in the first commit.
	if (raw.charCodeAt(0) > 57) return plainEntry(key, raw.slice(1), first);
	// A sign: so many after the scope's first commit.
	if (raw.charCodeAt(0) < 48) {
		const [header, since, born] = /^.([0-9a-f]+)(?:,([0-9a-f]+))? /.exec(raw) as unknown as [
			string,
			string,
			string?,
		];
		const revision = first + Number.parseInt(since, 16);
		const entry = plainEntry(key, raw.slice(header.length), revision);
		return raw[0] === "+" ? entry : { ...entry, createdRevision: first + Number.parseInt(born ?? "0", 16) };
	}
	const revision = Number(raw.slice(0, revisionLength));
	const text = raw.slice(revisionLength + 1);
	if (raw[revisionLength] === " ") return plainEntry(key, text, revision);
	const [header, created, expires, size] = /^(\d{16})(\d+) (\d+) /.exec(text) as unknown as [
		string,
		string,
		string,
		string,
	];
	// The size is in bytes; metadata is JSON, so its end is found by length only where it is plain ASCII.
	const rest = text.slice(header.length);
	const metadata = takeBytes(rest, Number(size));
	return {
		key,
		value: storedValue(rest.slice(metadata.length)),
		revision,
		createdRevision: Number(created),
		expiresAt: expires === "0" ? null : Number(expires),
		metadata: metadata === "" ? undefined : (JSON.parse(metadata) as Json),
	};
}

/**
 * The fields of a scope's hash that a read needs: its head, with the head of its events, its next deadline, and more where it is not plain; and the
 * revision of its first commit, where that is another.
 */
export const readFields = ['"s', '"b'] as const;

/** A read, as the fields of the scope's hash tell it a moment before `now`; `undefined` where a script has to look, as when a deadline has passed by then. */
export function parseRead(
	keys: readonly string[],
	[state, born, ...found]: readonly (string | null)[],
	now: number,
): ReadAnswer | undefined {
	// What a newer version wrote is refused by the script that reads.
	if (state && state.charCodeAt(0) > 57) return undefined;
	const [head = 0, , next = 0, , deadline = 0, sealed = 0] = state?.split(" ").map(Number) ?? [];
	const first = born ? Number(born) : head;
	if (deadline > 0 && deadline <= now && sealed === 0) return undefined;
	const entries: (Entry | null)[] = [];
	for (const [i, key] of keys.entries()) {
		const raw = found[i];
		const entry = raw ? parseEntry(key, raw, first) : null;
		if (entry !== null && entry.expiresAt !== null && entry.expiresAt <= now) return undefined;
		entries.push(entry);
	}
	return { head, now, next: next === 0 ? null : next, entries };
}

function takeBytes(text: string, bytes: number): string {
	const ascii = text.slice(0, bytes);
	return Buffer.byteLength(ascii) === bytes ? ascii : Buffer.from(text).subarray(0, bytes).toString();
}

type WireOutcome =
	| number
	| [number, number, ...number[]]
	| [Refused["why"], number, [string, string] | null, Json?];

type WireAnswer =
	| readonly [head: number, now: number, next: number, outcomes: readonly WireOutcome[]]
	| readonly [failed: Failure["failed"], now: number];

const isRefused = (
	outcome: readonly unknown[],
): outcome is Exclude<WireOutcome, number | [number, ...unknown[]]> => typeof outcome[0] === "string";

const none: readonly number[] = [];

function parseOutcome(outcome: WireOutcome): CommitOutcome {
	if (typeof outcome === "number") return { ok: true, revision: outcome, changes: 1, numbers: none };
	if (!isRefused(outcome)) {
		const [revision, changes, ...numbers] = outcome as [number, number, ...number[]];
		return { ok: true, revision, changes, numbers };
	}
	const [why, index, entry, note] = outcome;
	const refused = { ok: false, why, index, entry: entry === null ? null : parseEntry(...entry, 0) } as const;
	return note === undefined ? refused : { ...refused, note };
}

const judged: Partial<Record<Failure["failed"], string>> = {
	superseded: "a later batch of this writer was applied",
	conflict: "this writer sent another batch under the same sequence",
	overdue: "the batch arrived after its time",
};

/** What the commit script answers. */
export function parseAnswer(text: string): BatchAnswer | Failure {
	const answer = JSON.parse(text) as WireAnswer;
	if (answer.length === 2) {
		const [failed, now] = answer;
		return { failed, message: judged[failed] ?? failed, now };
	}
	const [head, now, next, outcomes] = answer;
	return { head, now, next: next === 0 ? null : next, outcomes: outcomes.map(parseOutcome) };
}

/** A value, with the revision that created it (1: the scope's first) and its deadline if there is more to it; or what became of the key. */
type WireChange = [key: string, text: string, created?: number, expires?: number] | [key: string, end: 0 | 1];

type WireRecord = readonly [
	revision: number,
	previous: number,
	time: number,
	origin: string,
	/** In brackets what follows the origin. */
	id: string | readonly [string],
	quiet: 0 | 1,
	metadata: Json | null,
	changes: readonly WireChange[],
	events?: readonly [string, string][],
	previousEvents?: number,
	/** The revision of the scope's first commit. */
	first?: number,
];

function parseRecord(record: WireRecord): LogRecord {
	const [
		revision,
		previous,
		time,
		origin,
		id,
		quiet,
		about,
		changes,
		events = [],
		previousEvents = 0,
		first,
	] = record;
	const metadata = about ?? undefined;
	const change = ([key, text, born = revision, expires = 0]: WireChange): Change => {
		if (typeof text === "number") return { type: text === 0 ? "delete" : "expire", key, entry: null };
		const expiresAt = expires === 0 ? null : expires;
		const created = born === 1 && first !== undefined ? first : born;
		return {
			type: "set",
			key,
			entry: { key, value: storedValue(text), revision, createdRevision: created, expiresAt, metadata },
		};
	};
	return {
		revision,
		previous,
		id: typeof id === "string" ? id : origin + id[0],
		time,
		origin: origin === "" ? undefined : origin,
		metadata,
		quiet: quiet === 1,
		changes: changes.map(change),
		events: events.map(([type, text]): EventFact => ({ type, payload: storedValue(text) })),
		previousEvents,
	};
}

/** Records as they are published, or as the log holds them. */
export const parseRecords = (json: string): LogRecord[] =>
	(JSON.parse(json) as WireRecord[]).map(parseRecord);
