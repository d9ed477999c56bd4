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
	LogRecord,
	Mutation,
	Refused,
} from "@holdfast/core";
import { spanUnder, storedValue } from "@holdfast/core";

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

const commitArguments = ({
	id,
	origin,
	metadata,
	quiet,
	if: conditions = [],
	do: mutations,
}: Commit): Argument[] => [
	id,
	origin ?? "",
	metadata === undefined ? "" : JSON.stringify(metadata),
	quiet === true ? 1 : 0,
	conditions.length,
	...conditions.flatMap(conditionArguments),
	mutations.length,
	...mutations.flatMap(mutationArguments),
];

/** Whether a commit may take the script's short way. */
const isLean = ({ if: conditions = [], do: [first, ...more] }: Commit): boolean =>
	first !== undefined &&
	more.length === 0 &&
	"key" in first &&
	first.key !== null &&
	conditions.every((condition) => "key" in condition);

/** A batch as the commit script reads it, after the clock's offset. */
export const batchArguments = (batch: Batch, channel: string): Argument[] => [
	batch.scope,
	channel,
	batch.writer,
	batch.sequence,
	Math.ceil(batch.until),
	batch.floor,
	batch.step,
	batch.keep.changes.count,
	batch.keep.changes.age,
	batch.keep.events.count,
	batch.keep.events.age,
	batch.commits.length > 0 && batch.commits.every(isLean) ? 1 : 0,
	batch.commits.length,
	...batch.commits.flatMap(commitArguments),
];

/** An entry as a field of the scope's hash holds it. */
export function parseEntry(key: string, raw: string): Entry {
	const [header, revision, created, expires, size] = /^(\d+) (\d+) (\d+) (\d+) /.exec(raw) as unknown as [
		string,
		string,
		string,
		string,
		string,
	];
	// The size is in bytes; metadata is JSON, so its end is found by length only where it is plain ASCII.
	const rest = raw.slice(header.length);
	const metadata = takeBytes(rest, Number(size));
	return {
		key,
		value: storedValue(rest.slice(metadata.length)),
		revision: Number(revision),
		createdRevision: Number(created),
		expiresAt: expires === "0" ? null : Number(expires),
		metadata: metadata === "" ? undefined : (JSON.parse(metadata) as Json),
	};
}

function takeBytes(text: string, bytes: number): string {
	const ascii = text.slice(0, bytes);
	return Buffer.byteLength(ascii) === bytes ? ascii : Buffer.from(text).subarray(0, bytes).toString();
}

type WireOutcome =
	| [1, number, number, number[]]
	| [0, Refused["why"], number, [string, string] | null, Json?];

interface WireAnswer {
	readonly f?: Failure["failed"];
	readonly h: number;
	readonly n: number;
	readonly x: number | null;
	readonly o: readonly WireOutcome[];
}

function parseOutcome(outcome: WireOutcome): CommitOutcome {
	if (outcome[0] === 1) return { ok: true, revision: outcome[1], changes: outcome[2], numbers: outcome[3] };
	const [, why, index, entry, note] = outcome;
	const refused = { ok: false, why, index, entry: entry === null ? null : parseEntry(...entry) } as const;
	return note === undefined ? refused : { ...refused, note };
}

const judged: Partial<Record<Failure["failed"], string>> = {
	superseded: "a later batch of this writer was applied",
	conflict: "this writer sent another batch under the same sequence",
	overdue: "the batch arrived after its time",
};

/** What the commit script answers. */
export function parseAnswer(text: string): BatchAnswer | Failure {
	const { f: failed, h: head, n: now, x: next, o: outcomes } = JSON.parse(text) as WireAnswer;
	if (failed !== undefined) return { failed, message: judged[failed] ?? failed, now };
	return { head, now, next, outcomes: outcomes.map(parseOutcome) };
}

type WireChange = ["s", string, number, number, string] | ["d" | "x", string];

interface WireRecord {
	readonly r: number;
	readonly p: number;
	readonly i: string;
	readonly t: number;
	readonly o: string;
	readonly m: Json | null;
	readonly q: 0 | 1;
	readonly c: readonly WireChange[];
	readonly e: readonly [string, string][];
	readonly v: number;
}

function parseRecord(record: WireRecord): LogRecord {
	const { r: revision, m, v: previousEvents } = record;
	const metadata = m ?? undefined;
	const change = (given: WireChange): Change => {
		if (given[0] !== "s") return { type: given[0] === "d" ? "delete" : "expire", key: given[1], entry: null };
		const [, key, createdRevision, expires, text] = given;
		const expiresAt = expires === 0 ? null : expires;
		return {
			type: "set",
			key,
			entry: { key, value: storedValue(text), revision, createdRevision, expiresAt, metadata },
		};
	};
	return {
		revision,
		previous: record.p,
		id: record.i,
		time: record.t,
		origin: record.o === "" ? undefined : record.o,
		metadata,
		quiet: record.q === 1,
		changes: record.c.map(change),
		events: record.e.map(([type, text]): EventFact => ({ type, payload: storedValue(text) })),
		previousEvents,
	};
}

/** Records as they are published, or as the log holds them. */
export const parseRecords = (json: string): LogRecord[] =>
	(JSON.parse(json) as WireRecord[]).map(parseRecord);
