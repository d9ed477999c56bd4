/** Batches of many scopes share transactions; no scope waits for another's. */
import type { Batch, BatchAnswer, Failure, ScopeId } from "@holdfast/core";
import { commitPack, type Hint, type Learned, type Packed } from "./commit.js";
import { failureOf, remedy } from "./failure.js";
import { KnownHeads, type Way } from "./known-heads.js";
import { KnownScopes } from "./known-scopes.js";
import { commitGuesses, wayOf } from "./postgres-commits.js";
import { ask, type Steps, toText } from "./statement.js";
import type { Store } from "./store.js";
import { addScopes } from "./write.js";

type Answer = BatchAnswer | Failure;

interface Job {
	readonly batch: Batch;
	readonly bytes: number;
	/** How often its scope's row was not to be had. */
	missed: number;
	resolve(answer: Answer): void;
}

/** What goes together. */
interface Pack {
	readonly jobs: Job[];
	readonly way: Way;
	/** How many bytes more. */
	room: number;
}

const packScopes = 128;
const packBytes = 4 * 2 ** 20;
const packsAtOnce = 4;

// So long is a scope tried whose row others hold, or a database that is out of reach; core's own time-out is shorter by default.
const patience = 8000;

const pause = (ms: number): Promise<void> =>
	new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random())));

const bytesOf = ({ commits }: Batch): number =>
	commits.reduce(
		(sum, commit) =>
			commit.do.reduce(
				(bytes, mutation) =>
					bytes +
					(mutation.op === "put" ? mutation.value.size : mutation.op === "emit" ? mutation.payload.size : 0),
				sum,
			),
		0,
	);

/** The commits under way of one backend. */
export class Packs {
	readonly #store: Store;
	readonly #clockOffset: () => number;
	readonly #tell: (packed: readonly Packed[]) => void;
	readonly #hint: Hint | undefined;
	// In order; a scope that is in a transaction waits for its end.
	#waiting: Job[] = [];
	readonly #busy = new Set<ScopeId>();
	readonly #heads = new KnownHeads();
	/** Where commits may be guesses. */
	readonly #learned: Learned | undefined;
	readonly #most: number;
	/** How many may wait for a row's lock. */
	readonly #line: number;
	#running = 0;
	#inLine = 0;
	#pumps = false;

	/**
	 * @param tell - Is given what was committed, before its answers are.
	 * @param hint - What other processes are told behind a commit.
	 */
	constructor(
		store: Store,
		clockOffset: () => number,
		tell: (packed: readonly Packed[]) => void,
		hint: Hint | undefined,
	) {
		this.#hint = hint;
		this.#store = store;
		this.#clockOffset = clockOffset;
		this.#tell = tell;
		const { clock, language, connections = packsAtOnce } = store;
		if (language.engine.rowVersion !== undefined && clock !== undefined)
			this.#learned = { scopes: new KnownScopes(5000), clock };
		this.#most = language.engine.locksRows
			? Math.max(1, Math.min(packsAtOnce, Math.ceil(connections / 2)))
			: 1;
		this.#line = Math.min(packsAtOnce, Math.floor((store.connections ?? 0) / 2));
	}

	/** Commits a batch. */
	commit(batch: Batch): Promise<Answer> {
		return new Promise((resolve) => {
			this.#waiting.push({ batch, bytes: bytesOf(batch), missed: 0, resolve });
			this.#soon();
		});
	}

	/** What one call holds, or waits for the scopes of one transaction, goes together. */
	#soon(): void {
		if (this.#pumps) return;
		this.#pumps = true;
		queueMicrotask(() => {
			this.#pumps = false;
			this.#pump();
		});
	}

	#pump(): void {
		const room = this.#most - this.#running;
		if (room <= 0 || this.#waiting.length === 0) return;
		const held = new Set<ScopeId>();
		const packs: Pack[] = [];
		// Those that may be guessed don't wait for the others.
		const open: { [way in Way]?: Pack } = {};
		const rest: Job[] = [];
		for (const job of this.#waiting) {
			const { scope } = job.batch;
			const isFree = !this.#busy.has(scope) && !held.has(scope);
			held.add(scope);
			if (!isFree || !this.#join(job, open, packs, room)) rest.push(job);
		}
		this.#waiting = rest;
		for (const pack of packs) {
			for (const { batch } of pack.jobs) this.#busy.add(batch.scope);
			this.#running++;
			void this.#start(pack).finally(() => {
				this.#running--;
				this.#soon();
			});
		}
	}

	/** Adds a job to the pack that is open to it, or to a new one where one more may run. */
	#join(job: Job, open: { [way in Way]?: Pack }, packs: Pack[], room: number): boolean {
		const way = this.#wayOf(job);
		let pack = open[way];
		if (pack === undefined || pack.jobs.length >= packScopes || pack.room < job.bytes) {
			if (packs.length >= room) return false;
			pack = { jobs: [], way, room: packBytes };
			open[way] = pack;
			packs.push(pack);
		}
		pack.jobs.push(job);
		pack.room -= job.bytes;
		return true;
	}

	#settle(job: Job, answer: Answer): void {
		this.#busy.delete(job.batch.scope);
		job.resolve(answer);
		if (this.#waiting.length > 0) this.#soon();
	}

	#wayOf({ batch }: Job): Way {
		// Planned anew each time, one statement would cost more than the many that it stands for.
		if (this.#learned === undefined || this.#store.prepares !== true) return "lock";
		return wayOf(this.#learned, this.#heads, batch);
	}

	async #start({ jobs, way }: Pack): Promise<void> {
		const until = performance.now() + patience;
		const { absent, left } =
			way === "lock" || this.#learned === undefined
				? { absent: [], left: jobs }
				: await this.#guess(jobs, this.#learned, way === "look");
		if (absent.length > 0) this.#later(absent, until);
		if (left.length > 0) await this.#run(left, until);
	}

	/** Answers the jobs whose scopes have no row, and those that were guessed wrong. */
	async #guess(
		jobs: readonly Job[],
		learned: Learned,
		looks: boolean,
	): Promise<{ readonly absent: readonly Job[]; readonly left: readonly Job[] }> {
		try {
			const batches = jobs.map(({ batch }) => batch);
			const packed = await this.#store.write(
				commitGuesses(this.#store.language, batches, this.#clockOffset(), {
					looks,
					hint: this.#hint,
					heads: this.#heads,
					learned,
				}),
			);
			this.#tell(packed.filter((one) => typeof one === "object"));
			for (const [i, one] of packed.entries())
				if (typeof one === "object") this.#settle(jobs[i] as Job, one.answer);
			return {
				absent: jobs.filter((_, i) => packed[i] === "absent"),
				left: jobs.filter((_, i) => packed[i] === undefined),
			};
		} catch {
			// What fails for a reason fails once more. If the answer was lost, the writer's memory has it.
			return { absent: [], left: jobs };
		}
	}

	async #run(pack: readonly Job[], until: number, waits = false): Promise<void> {
		const { engine } = this.#store.language;
		for (let tries = 0; ; tries++) {
			try {
				const batches = pack.map(({ batch }) => batch);
				const packed = await this.#store.write(
					commitPack(this.#store.language, batches, this.#clockOffset(), {
						waits,
						hint: this.#hint,
						heads: this.#heads,
						learned: this.#learned,
					}),
				);
				this.#tell(packed.filter((one) => one !== undefined));
				const left: Job[] = [];
				for (const [i, job] of pack.entries()) {
					const one = packed[i];
					if (one === undefined) left.push(job);
					else this.#settle(job, one.answer);
				}
				if (left.length > 0) this.#later(left, until);
				return;
			} catch (error) {
				const what = remedy(engine, error);
				const retriable = what === "again" || what === "reconnect";
				if (retriable && performance.now() < until) {
					await pause(what === "again" ? Math.min(50, 2 + 2 ** tries) : Math.min(250, 10 * 2 ** tries));
					continue;
				}
				// One bad batch must not spoil the others.
				if (what === "apart" && pack.length > 1)
					await Promise.all(pack.map((job) => this.#run([job], until)));
				else for (const job of pack) this.#settle(job, failureOf(engine, error, job.batch));
				return;
			}
		}
	}

	/** Rows that were not to be had: added if they are missing, else waited for, without holding up the pack that they were in. */
	#later(jobs: readonly Job[], until: number): void {
		const again = async (left: readonly Job[]): Promise<void> => {
			const fresh = left.filter(({ missed }) => missed === 0);
			const added = fresh.length > 0 ? await this.#prepare(fresh) : undefined;
			const open = left.filter(({ batch }) => this.#busy.has(batch.scope));
			for (const job of open) job.missed++;
			if (this.#store.language.engine.waiting === undefined) {
				if (open.length > 0) await this.#run(open, until);
				return;
			}
			const isNew = ({ batch }: Job): boolean => added?.has(batch.scope) === true;
			const found = open.filter(isNew);
			await Promise.all([
				found.length > 0 ? this.#run(found, until) : undefined,
				...open.filter((job) => !isNew(job)).map((job) => this.#wait(job, until)),
			]);
		};
		const fail = (left: readonly Job[]) => (error: unknown) => {
			for (const job of left)
				if (this.#busy.has(job.batch.scope))
					this.#settle(job, failureOf(this.#store.language.engine, error, job.batch));
		};
		const fresh = jobs.filter(({ missed }) => missed === 0);
		if (fresh.length > 0) void again(fresh).catch(fail(fresh));
		for (const job of jobs.filter(({ missed }) => missed > 0)) {
			if (performance.now() > until) {
				this.#settle(job, { failed: "unavailable", message: "the scope's row was locked all the time" });
				continue;
			}
			void pause(Math.min(20, 2 ** job.missed))
				.then(() => again([job]))
				.catch(fail([job]));
		}
	}

	/** Tries a scope whose row is held elsewhere: in line for its lock while few do so, since each takes a connection, else now and then. */
	async #wait(job: Job, until: number): Promise<void> {
		const waits = this.#inLine < this.#line;
		if (waits) this.#inLine++;
		try {
			await this.#run([job], until, waits);
		} finally {
			if (waits) this.#inLine--;
		}
	}

	/**
	 * Adds the rows of new scopes, each at once committed: rows that are added in a transaction deadlock with those that it locks. Answers which
	 * were added, where the database says so.
	 */
	async #prepare(jobs: readonly Job[]): Promise<ReadonlySet<ScopeId>> {
		const { language } = this.#store;
		const idle = jobs.filter(({ batch }) => batch.commits.length === 0);
		const writing = jobs.filter(({ batch }) => batch.commits.length > 0);
		if (idle.length > 0) {
			const there = await this.#store.read(
				existing(
					language,
					idle.map(({ batch }) => batch.scope),
				),
			);
			// Nothing to sweep where there is nothing.
			for (const job of idle)
				if (!there.scopes.has(job.batch.scope))
					this.#settle(job, {
						head: 0,
						now: there.now + this.#clockOffset(),
						next: null,
						outcomes: [],
					});
		}
		const missing = addScopes(
			language,
			writing.map(({ batch }) => batch.scope),
		);
		const added = new Set<ScopeId>();
		for (const statement of missing)
			for (const row of await this.#store.read(ask(statement))) added.add(toText(row.scope));
		return added;
	}
}

function* existing(
	language: Store["language"],
	scopes: readonly ScopeId[],
): Steps<{ readonly scopes: ReadonlySet<string>; readonly now: number }> {
	const these = language.engine.isOneOf('s."scope"', scopes);
	const rows = yield* ask(
		language.shape(
			"existing",
			these,
			() => `select s."scope", {now} as "now" from (select 1 as "one") o
			left join {scopes} s on ${these.text()}`,
		),
	);
	return {
		scopes: new Set(rows.flatMap(({ scope }) => (scope === null ? [] : [toText(scope)]))),
		now: Number(rows[0]?.now),
	};
}
