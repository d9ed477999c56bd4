/** Ways to make a store break its promises. */
import type {
	Backend,
	Batch,
	BatchAnswer,
	Codec,
	CommitOutcome,
	Entry,
	LogRecord,
	Mutation,
	ReadAnswer,
	Value,
} from "../backend.js";
import { jsonCodec } from "../codec.js";
import { lockUnder } from "../key.js";
import { andThen } from "../soon.js";
import { storedValue } from "../value.js";
import { around } from "./around.js";
import { isFailure } from "./client.js";
import type { BackendHarness } from "./harness.js";
import { type MemoryHarnessOptions, memoryHarness } from "./memory-harness.js";
import { remembering } from "./remembering.js";

/** A way to break a promise. */
export interface Breakage {
	readonly promise: number;
	/** What the store does wrong. */
	readonly name: string;
	open(): BackendHarness;
}

const patience = 300;

/** A breakage of every handle. */
export const broken = (
	promise: number,
	name: string,
	handle: (backend: Backend) => Backend,
	options: MemoryHarnessOptions = {},
): Breakage => ({ promise, name, open: () => memoryHarness({ patience, handle, ...options }) });

/** Changes each batch on its way in, and each answer on its way out. */
export const onCommit = (
	backend: Backend,
	before: (batch: Batch) => Batch,
	after: (answer: BatchAnswer, batch: Batch) => BatchAnswer = (answer) => answer,
): Backend =>
	around(backend, {
		commit: (batches) =>
			backend
				.commit(batches.map(before))
				.map((answer, i) =>
					andThen(answer, (settled) => (isFailure(settled) ? settled : after(settled, batches[i] as Batch))),
				),
	});

/** Changes each mutation. */
export const onMutations = (backend: Backend, change: (mutation: Mutation) => Mutation): Backend =>
	onCommit(backend, (batch) => ({
		...batch,
		commits: batch.commits.map((commit) => ({ ...commit, do: commit.do.map(change) })),
	}));

/** Changes what reads answer. */
const onRead = (backend: Backend, change: (answer: ReadAnswer) => ReadAnswer): Backend =>
	around(backend, {
		read: (asks) =>
			backend
				.read(asks)
				.map((answer) => andThen(answer, (settled) => (isFailure(settled) ? settled : change(settled)))),
	});

/** Changes the entries that reads answer. */
export const onEntries = (backend: Backend, change: (entry: Entry) => Entry): Backend =>
	onRead(backend, (answer) => ({
		...answer,
		entries: answer.entries.map((entry) => (entry === null ? null : change(entry))),
	}));

/** Changes the records that the log answers. */
export const onLog = (
	backend: Backend,
	change: (records: readonly LogRecord[]) => readonly LogRecord[],
): Backend =>
	around(backend, {
		log: (scope, after, query) =>
			andThen(backend.log(scope, after, query), (page) => ({ ...page, records: change(page.records) })),
	});

/** Every commit is first made by its first mutation alone, without its conditions. */
export const halves = (backend: Backend): Backend =>
	onCommit(
		backend,
		(batch) => ({
			...batch,
			commits: batch.commits.flatMap((commit) => [
				{ id: `${commit.id}-half`, do: commit.do.slice(0, 1) },
				commit,
			]),
		}),
		(answer) => ({ ...answer, outcomes: answer.outcomes.filter((_, i) => i % 2 === 1) }),
	);

/** Each handle answers a read as it was at its second last chance. */
export function stale(backend: Backend): Backend {
	const last = new Map<string, ReadAnswer>();
	return around(backend, {
		read: (asks) =>
			backend.read(asks).map((answer, i) =>
				andThen(answer, (settled) => {
					const name = JSON.stringify(asks[i]);
					const before = last.get(name);
					if (!isFailure(settled)) last.set(name, settled);
					return before ?? settled;
				}),
			),
	});
}

/** Every lock has the same token, and who names it is let through. */
export function constantTokens(backend: Backend): Backend {
	const isLock = (key: string): boolean => key.startsWith(lockUnder);
	const dull = (entry: Entry): Entry => (isLock(entry.key) ? { ...entry, revision: 7 } : entry);
	return onEntries(
		onCommit(
			backend,
			(batch) => ({
				...batch,
				commits: batch.commits.map((commit) => ({
					...commit,
					if: (commit.if ?? []).filter((one) => !("key" in one && isLock(one.key) && one.revision === 7)),
				})),
			}),
			(answer, batch) => ({
				...answer,
				outcomes: answer.outcomes.map((outcome, i): CommitOutcome => {
					const takes = batch.commits[i]?.do.some((one) => one.op === "put" && isLock(one.key));
					return outcome.ok && takes === true ? { ...outcome, revision: 7 } : outcome;
				}),
			}),
		),
		dull,
	);
}

/** Whose data is a fresh object at each look, open to all. */
export const openValue = (value: Value): Value => ({
	text: value.text,
	size: value.size,
	version: value.version,
	number: value.number,
	given: value.given,
	checked: undefined,
	data: (codec: Codec) => codec.decode(value.text),
});

/** Ordinary JSON, which knows no dates. */
export const plainValue = (value: Value): Value =>
	storedValue(
		JSON.stringify(value.data(jsonCodec), (_, part) => (typeof part === "bigint" ? Number(part) : part)) ??
			"null",
	);

/** What Lua's tostring leaves of a number. */
export const fourteenDigits = (value: number): number => Number(value.toPrecision(14));

/** Remembers no writer, though answers may be lost. */
export const forgetful: MemoryHarnessOptions = { losesAnswers: true };

/** Remembers writers, but not that a batch has its time. */
export const timeless: MemoryHarnessOptions = {
	losesAnswers: true,
	layer: (store) => {
		const inner = remembering(store);
		return around(inner, {
			commit: (batches) => inner.commit(batches.map((batch) => ({ ...batch, until: Number.MAX_VALUE }))),
		});
	},
};

/** What never settles. */
export const never = new Promise<never>(() => {});
