/**
 * What a batch does to a scope: one deterministic function without input or output, the same for every store that runs it (memory,
 * browser, SQL). Redis says it again in Lua and is tested against this.
 */
import type {
	Add,
	Amount,
	Batch,
	BatchAnswer,
	Change,
	Commit,
	CommitOutcome,
	Condition,
	Entry,
	EventFact,
	Json,
	LogRecord,
	Mutation,
	Refused,
	Retention,
	Value,
} from "./backend.js";
import { lockUnder } from "./key.js";
import { givenValue } from "./value.js";

/** How many due entries one batch expires at most, besides those that it names. */
export const sweepLimit = 1000;

/** Revision sums of a listing are taken modulo this. */
export const sumModulus = 2 ** 52;

/** A listing in two numbers: how many live entries, and their revisions summed modulo 2^52. */
export interface Tally {
	readonly count: number;
	readonly sum: number;
}

/**
 * A scope as the reducer sees it: a store loads what the batch can touch, lets {@link evaluate} work on it, and writes what changed.
 * Entries past their deadline stay until they are swept; only the reducer decides what counts as live.
 */
export interface ScopeState {
	/** The last revision, 0 where the scope is absent. */
	head: number;
	/** The revision of the last record with events. */
	eventsHead: number;
	/** The scope's own deadline. */
	deadline: number | null;
	/** The seal's note, `undefined` where it is not sealed. */
	seal: Json | undefined;
	keep: Retention | undefined;
	get(key: string): Entry | undefined;
	/** Adds or replaces an entry. */
	put(entry: Entry): void;
	remove(key: string): void;
	/** Entries whose deadline has come, earliest first. */
	due(now: number, limit: number): readonly Entry[];
	/** The earliest deadline of its entries. */
	next(): number | null;
	/** The latest deadline of entries whose key starts so; 0 where there is none. */
	latest(under: string): number;
	/** The live entries under a prefix (see {@link spanUnder}). */
	tally(under: string, now: number): Tally;
	/** Forgets everything: entries, logs, head, deadline. */
	clear(): void;
	/** Whether the store has room for what a commit writes. */
	hasRoom(commit: Judged): boolean;
}

/** A commit as it is judged. Without an id it is named by who sent it and its revision. */
export type Judged = Omit<Commit, "id"> & { readonly id?: string };

/** What a commit wrote: an entry, or the key of one that it deleted. */
export type Written = Entry | string;

/** Takes what is done to a scope, in order, before the head moves on. */
export interface Journal {
	/** What `recordOf` makes a record of. */
	note(...deed: Deed): void;
	/** The scope was found past its deadline and cleared; what it did before went with the rest. */
	ended(): void;
}

/** What was done in one revision; `gone` says how keys went. */
export type Deed = [
	commit: Omit<Judged, "do">,
	revision: number,
	time: number,
	written: Written | readonly Written[],
	events: readonly EventFact[],
	gone?: "delete" | "expire",
];

/** What a batch did. */
export interface Evaluation {
	readonly answer: BatchAnswer;
	/** The records that it made, to be logged and pushed in order. */
	readonly records: readonly LogRecord[];
	/** Whether the scope was found past its deadline and cleared: who watches it must look at the head. */
	readonly ended: boolean;
}

/** Whether an entry is visible at an instant. */
export const isLive = (entry: Entry, now: number): boolean =>
	entry.expiresAt === null || now < entry.expiresAt;

/** When a scope with a deadline of its own ends: a live lock holds it open until the lock ends. */
export const endOfScope = (state: Pick<ScopeState, "deadline" | "latest">): number =>
	state.deadline === null ? Number.POSITIVE_INFINITY : Math.max(state.deadline, state.latest(lockUnder));

/** Whether a scope is past its end. Reads must take such a scope for absent. */
export const isOver = (state: Pick<ScopeState, "deadline" | "latest" | "seal">, now: number): boolean =>
	state.deadline !== null && now >= state.deadline && state.seal === undefined && now >= endOfScope(state);

/** The scope's next deadline, as answers carry it. */
export function nextDeadline(state: ScopeState): number | null {
	if (state.seal !== undefined) return null;
	const next = Math.min(state.next() ?? Number.POSITIVE_INFINITY, endOfScope(state));
	return Number.isFinite(next) ? next : null;
}

/** Adds to a tally. */
export const addToTally = ({ count, sum }: Tally, revision: number): Tally => ({
	count: count + 1,
	// Revisions may pass the modulus: the sum of two must stay below 2^53.
	sum: (sum + (revision % sumModulus)) % sumModulus,
});

const amount = (given: Amount, now: number): number => (typeof given === "number" ? given : now + given.now);

const advance = (state: ScopeState, floor: number, step: number, now: number): number =>
	Math.max(Math.max(state.head, floor) + step, Math.floor(now * 1000));

const nothing: readonly never[] = [];

/** Adds to a list that its first item makes: most have one, the log keeps thousands of them, and what is pushed to has room for seventeen. */
function added<T>(list: T[] | undefined, item: T): T[] {
	if (list === undefined) return [item];
	list.push(item);
	return list;
}

/**
 * An entry as a commit wrote it. A class, since V8 allocates what a literal makes in its old space once many of them have lived long:
 * what a log soon lets go of is dear there.
 */
class WrittenEntry implements Entry {
	readonly key: string;
	readonly value: Value;
	readonly revision: number;
	readonly createdRevision: number;
	readonly expiresAt: number | null;
	readonly metadata: Json | undefined;

	constructor(
		key: string,
		value: Value,
		revision: number,
		createdRevision: number,
		expiresAt: number | null,
		metadata: Json | undefined,
	) {
		this.key = key;
		this.value = value;
		this.revision = revision;
		this.createdRevision = createdRevision;
		this.expiresAt = expiresAt;
		this.metadata = metadata;
	}
}

const changeOf = (written: Written, gone: Deed[5]): Change =>
	typeof written === "string"
		? { type: gone ?? "delete", key: written, entry: null }
		: { type: "set", key: written.key, entry: written };

/** What was written, as the changes of a record. */
export const changesOf = (written: Deed[3], gone?: Deed[5]): Change[] =>
	Array.isArray(written) ? written.map((each) => changeOf(each, gone)) : [changeOf(written as Written, gone)];

/** The name of a commit that was sent without an id. */
export const bareId = (origin: string | undefined, revision: number): string => `${origin}.${revision}`;

/** The record of what moves a scope's head from `previous` to a revision. */
export function recordOf(
	{ head: previous, eventsHead: previousEvents }: Pick<ScopeState, "head" | "eventsHead">,
	...[{ id, origin, metadata, quiet = false }, revision, time, written, events, gone]: Deed
): LogRecord {
	return {
		revision,
		previous,
		id: id ?? bareId(origin, revision),
		time,
		origin,
		metadata,
		quiet,
		changes: changesOf(written, gone),
		events,
		previousEvents,
	};
}

function sweep(
	state: ScopeState,
	commits: readonly Judged[],
	floor: number,
	step: number,
	now: number,
	journal: Journal,
): void {
	if ((state.next() ?? Number.POSITIVE_INFINITY) > now) return;
	const due = new Set(state.due(now, sweepLimit).map((entry) => entry.key));
	for (const commit of commits)
		for (const { key } of [...(commit.if ?? []), ...commit.do] as readonly { key?: string | null }[]) {
			const entry = key ? state.get(key) : undefined;
			if (entry !== undefined && !isLive(entry, now)) due.add(entry.key);
		}
	if (due.size === 0) return;
	for (const key of due) state.remove(key);
	const revision = advance(state, floor, step, now);
	journal.note({ id: `expire-${revision}` }, revision, now, [...due], nothing, "expire");
	state.head = revision;
}

const refused = (why: Refused["why"], index: number, entry: Entry | undefined, note?: Json): Refused =>
	note === undefined
		? { ok: false, why, index, entry: entry ?? null }
		: { ok: false, why, index, entry: entry ?? null, note };

function liveEntry(state: ScopeState, key: string, now: number): Entry | undefined {
	const entry = state.get(key);
	return entry !== undefined && isLive(entry, now) ? entry : undefined;
}

/** Judges everything of a commit before any of it is applied (its mutations are of different keys, so none sees another): the sums of its Adds. */
function plan(state: ScopeState, commit: Judged, now: number): readonly number[] | Refused {
	if (state.seal !== undefined && commit.do[0]?.op !== "seal")
		return refused("sealed", 0, undefined, state.seal);
	const conditions = commit.if;
	if (conditions !== undefined)
		for (let i = 0; i < conditions.length; i++) {
			const condition = conditions[i] as Condition;
			if ("key" in condition) {
				const entry = liveEntry(state, condition.key, now);
				if ((entry?.revision ?? 0) !== condition.revision) return refused("condition", i, entry);
			} else {
				const { count, sum } = state.tally(condition.under, now);
				if (count !== condition.count || sum !== condition.sum) return refused("condition", i, undefined);
			}
		}
	let numbers: number[] | undefined;
	for (let i = 0; i < commit.do.length; i++) {
		const mutation = commit.do[i] as Mutation;
		if (mutation.op === "touch") {
			const { key } = mutation;
			const there =
				key === null
					? state.head > 0 || commit.do.some(({ op }) => op === "put" || op === "add" || op === "emit")
					: liveEntry(state, key, now);
			if (there === undefined || there === false) return refused("absent", i, undefined);
		} else if (mutation.op === "add") {
			const entry = liveEntry(state, mutation.key, now);
			const current = entry?.value.number;
			if (entry !== undefined && current === undefined) return refused("type", i, entry);
			const next = sumOf(mutation, current, now);
			if (next === undefined) return refused("bound", i, entry);
			numbers = added(numbers, next);
		}
	}
	if (!state.hasRoom(commit)) return refused("full", 0, undefined);
	return numbers ?? nothing;
}

function sumOf({ by, base, min, max }: Add, current: number | undefined, now: number): number | undefined {
	const from = base === undefined ? (current ?? 0) : Math.max(current ?? 0, amount(base, now));
	const next = from + by;
	if (!Number.isFinite(next)) return undefined;
	if (min !== undefined && next < amount(min, now)) return undefined;
	if (max !== undefined && next > amount(max, now)) return undefined;
	return next;
}

function apply(
	state: ScopeState,
	commit: Judged,
	floor: number,
	step: number,
	now: number,
	journal: Journal,
): CommitOutcome {
	const numbers = plan(state, commit, now);
	if ("ok" in numbers) return numbers;
	const revision = advance(state, floor, step, now);
	const born = state.head === 0;
	let written: Written | Written[] | undefined;
	let changes = 0;
	let events: EventFact[] | undefined;
	let sums = 0;
	for (let i = 0; i < commit.do.length; i++) {
		const mutation = commit.do[i] as Mutation;
		let wrote: Written | undefined;
		switch (mutation.op) {
			case "put":
			case "add": {
				const { key, ttl } = mutation;
				const before = state.get(key);
				wrote = new WrittenEntry(
					key,
					mutation.op === "put" ? mutation.value : givenValue(numbers[sums++]),
					revision,
					before === undefined ? revision : before.createdRevision,
					typeof ttl === "number"
						? now + ttl
						: ttl === null || before === undefined
							? null
							: before.expiresAt,
					commit.metadata,
				);
				state.put(wrote);
				break;
			}
			case "delete":
				if (state.get(mutation.key) === undefined) break;
				state.remove(mutation.key);
				wrote = mutation.key;
				break;
			case "touch": {
				const until = now + mutation.ttl;
				if (mutation.key === null) {
					if (born || state.deadline !== null) state.deadline = Math.max(state.deadline ?? 0, until);
					break;
				}
				const entry = state.get(mutation.key) as Entry;
				if (entry.expiresAt !== null && until > entry.expiresAt) state.put({ ...entry, expiresAt: until });
				break;
			}
			case "emit":
				events = added(events, { type: mutation.type, payload: mutation.payload });
				break;
			case "seal":
				state.seal = mutation.note ?? undefined;
		}
		if (wrote === undefined) continue;
		// Most commits write one entry: a list is made for the second.
		if (changes++ === 0) written = wrote;
		else if (Array.isArray(written)) written.push(wrote);
		else written = [written as Written, wrote];
	}
	if (written === undefined && events === undefined)
		return { ok: true, revision: state.head, changes, numbers };
	journal.note(commit, revision, now, written ?? nothing, events ?? nothing);
	state.head = revision;
	if (events !== undefined) state.eventsHead = revision;
	return { ok: true, revision, changes, numbers };
}

/** Ends a scope whose time has come, and expires what is due in one that lives. */
function settle(
	state: ScopeState,
	commits: readonly Judged[],
	floor: number,
	step: number,
	now: number,
	journal: Journal,
): void {
	if (isOver(state, now)) {
		state.clear();
		journal.ended();
	}
	if (state.seal === undefined) sweep(state, commits, floor, step, now, journal);
}

function judge(
	state: ScopeState,
	commit: Judged,
	commits: readonly Judged[],
	floor: number,
	step: number,
	now: number,
	journal: Journal,
): CommitOutcome {
	const outcome = apply(state, commit, floor, step, now, journal);
	// What came due under the seal is due now, before the batch's next commit.
	if (commit.do[0]?.op === "seal") settle(state, commits, floor, step, now, journal);
	return outcome;
}

/** Runs one commit on a scope: expires what is due, then judges and applies it. */
export function runCommit(
	state: ScopeState & { isDue(now: number): boolean },
	commit: Judged,
	{ floor, keep }: Pick<Batch, "floor" | "keep">,
	step: number,
	now: number,
	journal: Journal,
): CommitOutcome {
	// Looked at here: a commit that finds nothing due makes no list of itself.
	if (state.deadline !== null || state.isDue(now)) settle(state, [commit], floor, step, now, journal);
	state.keep = keep;
	return judge(state, commit, nothing, floor, step, now, journal);
}

/** Runs a batch on a scope: sweeps what is due, then judges and applies each commit on its own. */
export function runBatch(
	state: ScopeState,
	{ commits, floor, step, keep }: Batch,
	now: number,
	journal: Journal,
): BatchAnswer {
	settle(state, commits, floor, step, now, journal);
	if (commits.length > 0) state.keep = keep;
	const outcomes = commits.map((commit) => judge(state, commit, commits, floor, step, now, journal));
	return { head: state.head, now, next: nextDeadline(state), outcomes };
}

/** The same for a store that writes down what it did. */
export function evaluate(state: ScopeState, batch: Batch, now: number): Evaluation {
	let records: LogRecord[] = [];
	let ended = false;
	const answer = runBatch(state, batch, now, {
		note: (...deed) => records.push(recordOf(state, ...deed)),
		ended: () => {
			records = [];
			ended = true;
		},
	});
	return { answer, records, ended };
}
