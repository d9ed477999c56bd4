/** A scope's facts at work. */
import type { CommitOutcome, Emit, LogRecord, Soon } from "./backend.js";
import type { EventOptions, EventSubscription, HistoryOptions, ScopeEvents, StateEvent } from "./events.js";
import type { Feed } from "./feed.js";
import { Following } from "./following.js";
import { decodeKey } from "./key.js";
import type { Reading } from "./reading.js";
import type { WriteOptions } from "./scope.js";
import { pageBounds, type Store } from "./store.js";

/** What events work with. */
export interface EventParts {
	readonly store: Store;
	readonly reading: Reading;
	readonly feed: Feed;
	event(type: string, payload: unknown): Emit;
	write(mutation: Emit, options: WriteOptions | undefined): Soon<CommitOutcome & { readonly ok: true }>;
}

// biome-ignore lint/suspicious/noExplicitAny: the types of events exist in the scope's interface only
export class LiveEvents implements ScopeEvents<any> {
	readonly #parts: EventParts;

	constructor(parts: EventParts) {
		this.#parts = parts;
	}

	async emit(type: string, payload: unknown, options?: WriteOptions): Promise<number> {
		const { event, write } = this.#parts;
		return (await write(event(type, payload), options)).revision;
	}

	// biome-ignore lint/suspicious/noExplicitAny: see the class
	on(type: string, listener: (event: any) => unknown, options: EventOptions = {}): EventSubscription {
		const { feed, store, reading } = this.#parts;
		if (type !== "*") reading.eventRule(reading.key(type));
		reading.whole(type, { from: options.from });
		const following = new Following(feed, store, "events", options.from, options.signal);
		const guard = async (call: () => unknown): Promise<void> => {
			try {
				await call();
			} catch (error) {
				store.report(error, "a listener of events failed, see cause", feed.scope, type);
			}
		};
		void guard(async () => {
			for await (const followed of following)
				if ("lostUntil" in followed) await guard(() => options.onReset?.(followed.lostUntil));
				else if ("record" in followed)
					for (const read of this.#read(followed.record, type))
						if (!following.isOver) await guard(() => listener(read()));
		});
		return {
			ready: following.attached,
			stop: () => following.stop(),
			[Symbol.dispose]: () => following.stop(),
		};
	}

	async *history({
		from = 0,
		type = "*",
		limit = Number.POSITIVE_INFINITY,
		last,
		// biome-ignore lint/suspicious/noExplicitAny: see the class
	}: HistoryOptions = {}): AsyncGenerator<any> {
		const { reading } = this.#parts;
		reading.whole(type, { from, last });
		reading.whole(type, { limit }, Number.POSITIVE_INFINITY);
		if (last !== undefined) yield* (await this.#newest(from, type, last)).slice(0, limit);
		else yield* this.#oldest(from, type, limit);
	}

	async *#oldest(from: number, type: string, limit: number): AsyncGenerator<StateEvent> {
		let left = limit;
		for (let cursor = from, more = true; more && left > 0; ) {
			const log = await this.#page(cursor, pageBounds.limit, false);
			for (const record of log.records) {
				cursor = record.revision;
				for (const read of this.#read(record, type)) if (left-- > 0) yield read();
			}
			more = log.more;
		}
	}

	/** Reads more and more of the log's end until it holds enough events of the type. */
	async #newest(from: number, type: string, last: number): Promise<StateEvent[]> {
		for (let limit = last; ; limit *= 4) {
			const { records } = await this.#page(from, limit, true);
			const found = records.flatMap((record) => this.#read(record, type));
			if (found.length >= last || records.length < limit) return found.slice(-last).map((read) => read());
		}
	}

	#page(cursor: number, limit: number, newest: boolean) {
		const { store, feed } = this.#parts;
		const bytes = newest ? Number.MAX_SAFE_INTEGER : pageBounds.bytes;
		return store.page(feed.scope, (backend) =>
			backend.log(feed.scope, cursor, { of: "events", limit, bytes, newest }),
		);
	}

	#read(record: LogRecord, type: string): (() => StateEvent)[] {
		const { reading } = this.#parts;
		return record.events
			.filter((fact) => type === "*" || decodeKey(fact.type) === type)
			.map((fact) => () => reading.event(fact, record));
	}
}
