/** A writer and reader of one scope that speaks the contract: batches and commits in a line each. */
import type {
	Add,
	Backend,
	Batch,
	BatchAnswer,
	Commit,
	CommitOutcome,
	Committed,
	Condition,
	Entry,
	Failure,
	Json,
	LogPage,
	LogQuery,
	LogRecord,
	Mutation,
	ReadAnswer,
	Refused,
	Retention,
	ScopeId,
	Signal,
	Soon,
	Unwatch,
} from "../backend.js";
import { spanUnder } from "../key.js";
import { addToTally, type Tally } from "../reducer.js";
import { givenValue } from "../value.js";

/** What core lets a log keep by default. */
export const usualRetention: Retention = {
	changes: { count: 10_000, age: 3_600_000 },
	events: { count: 100_000, age: 2_592_000_000 },
};

/** How long a batch may be sent again, in ms. */
const usualLife = 30_000;

const hex = (digits: number): string =>
	Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join("");

/** A scope that tests use when it matters not which. */
export const anyScope = "conformance/room/any";

/** Writes a value. */
export const put = (key: string, data: unknown, ttl: number | null = null): Mutation => ({
	op: "put",
	key,
	value: givenValue(data),
	ttl,
});
/** Removes a key. */
export const remove = (key: string): Mutation => ({ op: "delete", key });
/** Extends a deadline; `null` is the scope's own. */
export const touch = (key: string | null, ttl: number): Mutation => ({ op: "touch", key, ttl });
/** Adds to a number. */
export const add = (key: string, by: number, options: Omit<Add, "op" | "key" | "by"> = {}): Mutation => ({
	op: "add",
	key,
	by,
	...options,
});
/** States a fact. */
export const emit = (type: string, payload: unknown): Mutation => ({
	op: "emit",
	type,
	payload: givenValue(payload),
});
/** Seals a scope, or with `null` unseals it. */
export const seal = (note: Json | null): Mutation => ({ op: "seal", note });

/** A commit without its id; mutations alone where there is nothing else to say. */
export type Draft = (Omit<Commit, "id"> & { readonly id?: string }) | readonly Mutation[];

const isMutations = (draft: Draft): draft is readonly Mutation[] => Array.isArray(draft);

/** Whether an answer is a failure. */
export const isFailure = (answer: object): answer is Failure => "failed" in answer;

/** The answer, or an error that says what failed. */
export async function answered<T extends object>(what: string, soon: Soon<T | Failure>): Promise<T> {
	const answer = await soon;
	if (isFailure(answer)) throw new Error(`${what} failed as ${answer.failed}: ${answer.message}`);
	return answer;
}

/** A listing in two numbers. */
export const tallyOf = (entries: readonly Entry[]): Tally =>
	entries.reduce((tally, { revision }) => addToTally(tally, revision), { count: 0, sum: 0 });

/** What a watcher heard. */
export class Ear {
	readonly signals: Signal[] = [];
	/** Ends the watch. */
	stop: Unwatch = () => {};

	/** The records of all signals, repeated ones too. */
	get records(): readonly LogRecord[] {
		return this.signals.flatMap((signal) => (signal.type === "records" ? signal.records : []));
	}
}

/**
 * One writer of one scope, for what is peculiar to a store.
 *
 * @example
 * ```ts
 * const client = new Client(myStore(url));
 * await client.apply(put("a", 1), add("n", 5));
 * expect(await client.text("a")).toBe("1");
 * ```
 */
export class Client {
	readonly backend: Backend;
	readonly scope: ScopeId;
	readonly writer = hex(32);
	/** The sequence of the last batch. */
	sequence = 0;
	/** The highest head that it saw. */
	floor = 0;
	keep: Retention = usualRetention;

	constructor(backend: Backend, scope: ScopeId = anyScope) {
		this.backend = backend;
		this.scope = scope;
	}

	/** Makes the next batch, that lives from now on by the store's clock. */
	async batch(drafts: readonly Draft[], changed: Partial<Batch> = {}): Promise<Batch> {
		const { now } = await this.read();
		return {
			scope: this.scope,
			writer: this.writer,
			sequence: ++this.sequence,
			until: now + usualLife,
			floor: this.floor,
			step: 1 + Math.floor(Math.random() * 4096),
			commits: drafts.map((draft) => ({
				id: hex(24),
				...(isMutations(draft) ? { do: draft } : draft),
			})),
			keep: this.keep,
			...changed,
		};
	}

	/** Hands a batch over, once. */
	async send(batch: Batch): Promise<BatchAnswer | Failure> {
		const answers = this.backend.commit([batch]);
		if (answers.length !== 1) throw new Error(`one batch was answered ${answers.length} times`);
		const answer = await (answers[0] as Soon<BatchAnswer | Failure>);
		if (!isFailure(answer)) this.floor = Math.max(this.floor, answer.head);
		return answer;
	}

	/** Hands a batch over until it is answered: a lost answer is asked for again with the same bytes (promise 13). */
	async deliver(batch: Batch): Promise<BatchAnswer> {
		for (let tries = 0; ; tries++) {
			const answer = await this.send(batch);
			if (tries < 100 && isFailure(answer) && answer.failed === "unknown") continue;
			return answered("the batch", answer);
		}
	}

	/** Makes commits, each of which may be refused. */
	async commit(...drafts: readonly Draft[]): Promise<readonly CommitOutcome[]> {
		const { outcomes } = await this.deliver(await this.batch(drafts));
		if (outcomes.length !== drafts.length)
			throw new Error(`${drafts.length} commits got ${outcomes.length} outcomes`);
		return outcomes;
	}

	/** Makes one commit that must be applied. */
	async apply(...mutations: readonly Mutation[]): Promise<Committed> {
		return this.applyIf([], ...mutations);
	}

	/** Makes one commit whose conditions must hold. */
	async applyIf(conditions: readonly Condition[], ...mutations: readonly Mutation[]): Promise<Committed> {
		const [outcome] = await this.commit({ if: conditions, do: mutations });
		if (outcome?.ok !== true)
			throw new Error(`a commit that nothing stands against was refused: ${JSON.stringify(outcome)}`);
		return outcome;
	}

	/** Makes one commit that must be refused. */
	async refuse(draft: Draft): Promise<Refused> {
		const [outcome] = await this.commit(draft);
		if (outcome?.ok !== false)
			throw new Error(`a commit that must be refused was applied: ${JSON.stringify(outcome)}`);
		return outcome;
	}

	/** Sweeps and does nothing else. */
	async sweep(): Promise<BatchAnswer> {
		return this.deliver(await this.batch([]));
	}

	/** Reads keys at one instant; none: the head and the store's clock. */
	async read(...keys: readonly string[]): Promise<ReadAnswer> {
		const answer = this.backend.read([{ scope: this.scope, keys }])[0];
		if (answer === undefined) throw new Error("a read was not answered");
		return answered("the read", answer);
	}

	/** Reads one key. */
	async entry(key: string): Promise<Entry | null> {
		return (await this.read(key)).entries[0] ?? null;
	}

	/** The text that a key's entry holds. */
	async text(key: string): Promise<string | undefined> {
		return (await this.entry(key))?.value.text;
	}

	/** All live entries under a prefix, page by page. */
	async list(under = "", limit = 500): Promise<readonly Entry[]> {
		const { from, to } = spanUnder(under);
		const entries: Entry[] = [];
		for (let next: string | null = from; next !== null; ) {
			const page = await this.backend.list(this.scope, { from: next, to, limit, bytes: 2 ** 20 });
			if (page.next !== null && page.entries.length === 0)
				throw new Error("a page without entries is not the last one: a listing would never end");
			entries.push(...page.entries);
			next = page.next;
		}
		return entries;
	}

	/** A page of a log. */
	async log(after = 0, query: Partial<LogQuery> = {}): Promise<LogPage> {
		return this.backend.log(this.scope, after, { of: "changes", limit: 10_000, bytes: 2 ** 26, ...query });
	}

	/** Attaches an ear. */
	async watch(): Promise<Ear> {
		const ear = new Ear();
		ear.stop = await this.backend.watch(this.scope, (signal) => ear.signals.push(signal));
		return ear;
	}
}
