/** From the feed to the store: what comes in is queued, and what is queued is committed, as much at once as there is. */
import { setTimeout as sleep } from "node:timers/promises";
import { isHoldfastError, type Lease } from "@holdfast/core";
import type { Instrument, Tick } from "./bar.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { FeedLink, type FeedStatus } from "./feed-link.ts";
import type { FeedMessage } from "./feed-protocol.ts";
import { quotesAfter } from "./quotes.ts";
import type { Quote, Replay, Shared } from "./state.ts";

/** What waits in the queue: a tick, or that the feed has no more. */
type Item =
	| (Tick & { readonly trading: { readonly day: number; readonly date: string }; readonly sentAt: number })
	| "end";

export interface IngestOptions {
	/** How many ticks may wait. */
	readonly capacity: number;
	/** How long the end of a replay stands before the next one starts, in ms. */
	readonly rest: number;
}

/** Ticks that one commit takes; each is two mutations at most, of the 1,000 that a commit may have. */
const batchSize = 200;

/** Replays the feed into the shared scope for as long as the lease lasts. */
export async function ingest(
	shared: Shared,
	options: IngestOptions,
	lease: Lease,
	signal: AbortSignal,
): Promise<void> {
	using paces = shared.mirror("pace", { signal });
	await paces.ready;
	const run = new Ingest(
		shared,
		options,
		lease,
		signal,
		() => paces.get("pace") ?? { speed: 1, paused: true },
	);
	await run.load();
	const stop = paces.subscribe(() => run.repace());
	try {
		await run.start();
	} finally {
		stop();
	}
}

class Ingest {
	readonly #shared: Shared;
	readonly #options: IngestOptions;
	readonly #fence: Lease;
	readonly #signal: AbortSignal;
	readonly #pace: () => { readonly speed: number; readonly paused: boolean };
	readonly #link = new FeedLink(
		(message) => this.#hear(message),
		(status) => this.#tell(status),
	);
	readonly #queue: BoundedQueue<Item>;
	readonly #instruments = new Map<string, Instrument>();
	#quotes = new Map<string, Quote>();
	#replay: Replay | undefined;
	/** The last day that came in, which may still wait in the queue. After an interruption it is asked for again: a part of it may be missing. */
	#heard: string | null = null;
	#status: FeedStatus = "connecting";
	#received = 0;
	#commits = 0;
	#sentAt: number | null = null;
	#latency: number | null = null;

	constructor(
		shared: Shared,
		options: IngestOptions,
		fence: Lease,
		signal: AbortSignal,
		pace: () => { readonly speed: number; readonly paused: boolean },
	) {
		this.#shared = shared;
		this.#options = options;
		this.#fence = fence;
		this.#signal = signal;
		this.#pace = pace;
		this.#queue = new BoundedQueue(options.capacity, (item) => (item === "end" ? item : item.symbol));
	}

	/** Goes on from what is stored. */
	async load(): Promise<void> {
		this.#replay = await this.#shared.get("replay");
		this.#heard = this.#replay?.date ?? null;
		for await (const { value } of this.#shared.list("quotes/*")) this.#quotes.set(value.symbol, value);
	}

	async start(): Promise<void> {
		const ending = new AbortController();
		const signal = AbortSignal.any([this.#signal, ending.signal]);
		const linked = this.#link.run(signal);
		try {
			await this.#drain();
		} finally {
			ending.abort();
			await linked;
		}
	}

	repace(): void {
		this.#link.send({ type: "pace", pace: this.#pace() });
	}

	#hear(message: FeedMessage): void {
		if (message.type === "hello") {
			for (const instrument of message.instruments) this.#instruments.set(instrument.symbol, instrument);
			const { first, last, days } = message;
			this.#replay ??= { status: "waiting", date: null, day: 0, days, first, last };
			this.#link.send({ type: "replay", from: this.#heard, pace: this.#pace() });
		} else if (message.type === "day") {
			this.#heard = message.date;
			this.#received += message.ticks.length;
			const trading = { day: message.number, date: message.date };
			for (const tick of message.ticks) this.#queue.push({ ...tick, trading, sentAt: message.sentAt });
		} else {
			this.#queue.push("end");
		}
	}

	#tell(status: FeedStatus): void {
		this.#status = status;
		this.#shared.set("pipeline", this.#pipeline(), { fence: this.#fence }).catch((error) => {
			if (!this.#signal.aborted) console.error("The feed's state could not be told:", error);
		});
	}

	async #drain(): Promise<void> {
		while (!this.#signal.aborted) {
			const items = await this.#queue.take(batchSize, this.#signal);
			const ticks = items.filter((item) => item !== "end");
			if (ticks.length > 0) await this.#persist(() => this.#store(ticks));
			if (ticks.length < items.length) await this.#restart();
		}
	}

	/** Tries until the store takes it. Meanwhile the queue fills, and keeps what is newest. */
	async #persist(write: () => Promise<unknown>): Promise<void> {
		while (!this.#signal.aborted) {
			try {
				await write();
				this.#commits++;
				return;
			} catch (error) {
				// Writing a bar again writes the same bar, so an unknown outcome is no reason to stop either.
				const passing = ["unavailable", "timeout", "busy", "outcome-unknown"] as const;
				if (!passing.some((code) => isHoldfastError(error, code))) throw error;
				await sleep(500, undefined, { signal: this.#signal }).catch(() => {});
			}
		}
	}

	async #store(ticks: readonly Exclude<Item, "end">[]): Promise<void> {
		const newest = ticks.at(-1);
		if (newest === undefined || this.#replay === undefined) return;
		const started = this.#replay.status !== "running" && this.#replay.date === null;
		const replay: Replay = { ...this.#replay, status: "running", ...newest.trading };
		const quotes = quotesAfter(this.#quotes, ticks, this.#instruments);
		this.#sentAt = newest.sentAt;
		await this.#shared.commit(
			async (tx) => {
				for (const { symbol, date, bar } of ticks) tx.set(`bars/${symbol}/${date}`, bar);
				for (const quote of quotes.values())
					if (quote !== this.#quotes.get(quote.symbol)) tx.set(`quotes/${quote.symbol}`, quote);
				tx.set("replay", replay);
				tx.set("pipeline", this.#pipeline());
				if (started)
					tx.emit("replay_started", { run: await tx.get("run"), first: replay.first, last: replay.last });
			},
			{ fence: this.#fence },
		);
		this.#latency = Date.now() - newest.sentAt;
		this.#replay = replay;
		this.#quotes = quotes;
	}

	/** Says that the replay has ended, rests, and starts the next run with an empty past. */
	async #restart(): Promise<void> {
		const { replay, shared } = { replay: this.#replay, shared: this.#shared };
		if (replay === undefined) return;
		const fence = this.#fence;
		await this.#persist(() =>
			shared.commit(
				async (tx) => {
					tx.set("replay", { ...replay, status: "finished" });
					tx.emit("replay_finished", { run: await tx.get("run"), date: replay.date });
				},
				{ fence },
			),
		);
		await sleep(this.#options.rest, undefined, { signal: this.#signal }).catch(() => {});
		if (this.#signal.aborted) return;
		this.#replay = { ...replay, status: "waiting", date: null, day: 0 };
		this.#heard = null;
		this.#quotes.clear();
		await this.#persist(() =>
			shared.commit(
				async (tx) => {
					const run = (await tx.get("run")) + 1;
					const equity = (await tx.get("account"))?.equity ?? null;
					tx.set("run", run);
					tx.set("replay", { ...replay, status: "waiting", date: null, day: 0 });
					tx.emit("replay_restarted", { run, equity });
				},
				{ fence },
			),
		);
		for (const pattern of ["bars/**", "equity/**", "trades/**", "quotes/**"] as const)
			await this.#persist(() => shared.clear(pattern, { fence }));
		this.#link.send({ type: "replay", from: null, pace: this.#pace() });
	}

	#pipeline() {
		return {
			feed: this.#status,
			waiting: this.#queue.size,
			peak: this.#queue.peak,
			capacity: this.#queue.capacity,
			coalesced: this.#queue.coalesced,
			received: this.#received,
			commits: this.#commits,
			sentAt: this.#sentAt,
			latency: this.#latency,
		};
	}
}
