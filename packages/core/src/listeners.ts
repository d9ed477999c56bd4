/** A scope's subscriptions: who hears of which change, and what a reset means to them. */
import type { Entry, LogRecord, ReadAnswer } from "./backend.js";
import { Delivery, type DeliveryOptions, type News, replayed } from "./delivery.js";
import type { Feed, Follower } from "./feed.js";
import type { Pattern } from "./pattern.js";
import type { Reader } from "./reader.js";
import type { Reading } from "./reading.js";
import { Routes } from "./routes.js";
import { type Snapshot, takeSnapshot } from "./snapshot.js";
import type { Store } from "./store.js";

/** What subscriptions work with. */
export interface ListenerParts {
	readonly store: Store;
	readonly reader: Reader;
	readonly reading: Reading;
	readonly feed: Feed;
}

/** A change that is told. */
interface Told extends News {
	readonly record: LogRecord;
	/** Whether somebody hears it who wants the difference after a reset. */
	known: boolean;
}

const find = ({ wantsDifference }: Delivery, found: Pick<Told, "known">): void => {
	found.known ||= wantsDifference;
};

const tell = (delivery: Delivery, told: Told): void => {
	find(delivery, told);
	if (!told.record.quiet) delivery.tell(told);
};

/** The subscriptions of one scope. */
export class Listeners implements Follower {
	readonly #parts: ListenerParts;
	readonly #routes = new Routes<Delivery>();
	readonly #deliveries = new Set<Delivery>();
	/**
	 * The revisions of keys that somebody listens to who wants the difference after a reset: without them a deletion that
	 * the log no longer tells would never be heard of.
	 */
	readonly #known = new Map<string, number>();
	#resets = 0;
	#unfollow: (() => void) | undefined;

	constructor(parts: ListenerParts) {
		this.#parts = parts;
	}

	/** Adds a subscription. */
	add(pattern: Pattern, listener: (change: never) => unknown, options: DeliveryOptions): Delivery {
		const { store, reading, feed } = this.#parts;
		const delivery: Delivery = new Delivery(pattern, listener as (change: unknown) => unknown, options, {
			store,
			reading,
			feed,
			present: () => this.#present(pattern),
			ended: () => {
				unroute();
				this.#deliveries.delete(delivery);
				if (this.#deliveries.size > 0) return;
				this.#known.clear();
				this.#unfollow?.();
				this.#unfollow = undefined;
			},
		});
		const unroute = this.#routes.add(pattern, delivery);
		this.#deliveries.add(delivery);
		this.#unfollow ??= feed.follow(this);
		delivery.start();
		return delivery;
	}

	record(record: LogRecord): void {
		for (const change of record.changes) {
			const told: Told = { change, record, known: false };
			this.#routes.visit(change.key, told, tell);
			if (told.known) this.#note(change.key, change.entry);
		}
	}

	reset(snapshot: Snapshot): void {
		this.#resets++;
		const present = new Map(snapshot.entries.map((entry) => [entry.key, entry]));
		for (const delivery of this.#deliveries) {
			const { matches } = delivery.pattern;
			const entries = snapshot.entries.filter(({ key }) => matches(key));
			delivery.reset(
				{ entries, revision: snapshot.revision },
				delivery.wantsDifference ? this.#difference(matches, present, snapshot.revision) : [],
			);
		}
		for (const key of this.#known.keys()) this.#note(key, present.get(key) ?? null);
		for (const { key, revision } of snapshot.entries) if (this.#isWanted(key)) this.#known.set(key, revision);
	}

	ended(): void {
		for (const delivery of [...this.#deliveries]) delivery.stop();
	}

	#difference(
		matches: (key: string) => boolean,
		present: ReadonlyMap<string, Entry>,
		revision: number,
	): News[] {
		const gone = [...this.#known.keys()].filter((key) => !present.has(key));
		const come = [...present.values()].filter((entry) => this.#known.get(entry.key) !== entry.revision);
		return [...gone, ...come.map(({ key }) => key)]
			.filter(matches)
			.map((key) => replayed(key, present.get(key) ?? null, revision));
	}

	#isWanted(key: string): boolean {
		const found: Pick<Told, "known"> = { known: false };
		this.#routes.visit(key, found, find);
		return found.known;
	}

	#note(key: string, entry: Entry | null): void {
		if (entry === null) this.#known.delete(key);
		else this.#known.set(key, entry.revision);
	}

	/** The present entries under a pattern; what they are is known from here on. */
	async #present(pattern: Pattern): Promise<Snapshot> {
		const { store, reader, feed } = this.#parts;
		const { exact, span, matches } = pattern;
		let present: Snapshot | ReadAnswer;
		let resets: number;
		do {
			resets = this.#resets;
			present =
				exact === undefined
					? await takeSnapshot(store, feed.scope, span)
					: await reader.read(feed.scope, [exact]);
			// Reset meanwhile, it may be of a life that is over.
		} while (resets !== this.#resets);
		const entries = present.entries.filter((entry) => entry !== null && matches(entry.key)) as Entry[];
		for (const { key, revision } of entries)
			if (revision > feed.cursor || (this.#known.get(key) ?? 0) < revision) this.#known.set(key, revision);
		return { entries, revision: "head" in present ? present.head : present.revision };
	}
}
