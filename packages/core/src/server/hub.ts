/** One scope's records on their way to all who watch it: encoded once per window, whoever they go to. */
import type { LogRecord, ScopeId } from "../backend.js";
import type { Cancel } from "../clock.js";
import { Lane } from "../committer.js";
import { Feed, type Follower } from "../feed.js";
import { parseScopeId } from "../key.js";
import type { ManagerParts } from "../live-manager.js";
import type { Snapshot } from "../snapshot.js";
import { formatEvent } from "../wire/event-stream.js";
import { packRecords } from "../wire/record.js";
import type { Gathering, Pulse } from "./pulse.js";

/** How many bytes of frames are kept, for who comes back after a moment. */
const keptBytes = 262_144;

/** At how many bytes of values, as estimated, what has gathered goes out before its time: a frame must fit in a client's buffer. */
const frameBytes = 131_072;

/** How long a scope is followed after its last watcher, in ms: streams are closed and opened again. */
const linger = 5000;

/** Some records as they are sent. */
interface Frame {
	/** The cursor before them. */
	readonly previous: number;
	readonly revisions: readonly number[];
	readonly bytes: Uint8Array;
}

/** Who watches; called in order. */
export interface Watcher {
	frame(bytes: Uint8Array): void;
	reset(cursor: number): void;
}

const encoder = new TextEncoder();

/** Records as one event. */
export const encodeFrame = (scope: ScopeId, records: readonly LogRecord[]): Uint8Array =>
	encoder.encode(formatEvent({ t: "r", s: scope, records: packRecords(records) }));

/** A followed scope. */
export class Hub implements Follower, Gathering {
	readonly scope: ScopeId;
	/** The last revision that was sent; -1 before the first answer of the store. */
	sent = -1;
	readonly #feed: Feed;
	readonly #parts: ManagerParts;
	readonly #pulse: Pulse;
	readonly #gone: () => void;
	readonly #watchers = new Set<Watcher>();
	#gathered: LogRecord[] = [];
	#gatheredBytes = 0;
	#frames: Frame[] = [];
	#bytes = 0;
	#unfollow: (() => void) | undefined;
	#lingering: Cancel | undefined;

	constructor(scope: ScopeId, parts: ManagerParts, pulse: Pulse, gone: () => void) {
		this.scope = scope;
		this.#parts = parts;
		this.#pulse = pulse;
		this.#gone = gone;
		const { keep } = parts.kind(parseScopeId(scope).kind);
		this.#feed = new Feed(new Lane(scope, keep), parts);
	}

	/** Starts to follow. Until it is stopped it costs a watch of the store. */
	start(): void {
		this.#parts.keepHouse();
		this.#unfollow = this.#feed.follow(this);
		this.#lingerNow();
	}

	/** Resolves when it hears the store; rejects when that stays out of reach for the time-out. */
	async whenLive(): Promise<void> {
		await this.#feed.whenLive();
		if (this.sent < 0) this.sent = this.#feed.cursor;
	}

	/** Adds a watcher, who is told all that comes after {@link Hub.sent}; answers what removes it. */
	watch(watcher: Watcher): () => void {
		this.#watchers.add(watcher);
		this.#lingering?.();
		this.#lingering = undefined;
		return () => {
			if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#lingerNow();
		};
	}

	/** The frames after a cursor, as far as they are kept; `undefined` where the log has to be asked. The first may hold what came before, too. */
	after(cursor: number): readonly Uint8Array[] | undefined {
		if (cursor === this.sent) return [];
		const first = this.#frames.findIndex(
			({ previous, revisions }) =>
				previous === cursor || (revisions.includes(cursor) && revisions.at(-1) !== cursor),
		);
		if (first < 0) return undefined;
		return this.#frames.slice(first).map(({ bytes }) => bytes);
	}

	record(record: LogRecord): void {
		if (this.sent < 0) this.sent = record.previous;
		this.#gathered.push(record);
		for (const { entry } of record.changes) this.#gatheredBytes += entry?.value.size ?? 0;
		for (const { payload } of record.events) this.#gatheredBytes += payload.size;
		if (this.#gatheredBytes >= frameBytes) this.flush();
		else this.#pulse.ready(this);
	}

	reset({ revision }: Snapshot): void {
		this.#gathered = [];
		this.#gatheredBytes = 0;
		this.#frames = [];
		this.#bytes = 0;
		this.sent = revision;
		for (const watcher of this.#watchers) watcher.reset(revision);
	}

	flush(): boolean {
		const records = this.#gathered;
		const last = records.at(-1);
		if (last === undefined) return false;
		this.#gathered = [];
		this.#gatheredBytes = 0;
		const previous = this.sent;
		const bytes = encodeFrame(this.scope, records);
		this.sent = last.revision;
		this.#keep({ previous, revisions: records.map(({ revision }) => revision), bytes });
		for (const watcher of this.#watchers) watcher.frame(bytes);
		return true;
	}

	/** The manager was closed. */
	ended(): void {
		this.stop();
	}

	/** Stops following. */
	stop(): void {
		this.#lingering?.();
		this.#gathered = [];
		const unfollow = this.#unfollow;
		this.#unfollow = undefined;
		unfollow?.();
		this.#gone();
	}

	#keep(frame: Frame): void {
		this.#frames.push(frame);
		this.#bytes += frame.bytes.length;
		while (this.#bytes > keptBytes) this.#bytes -= (this.#frames.shift() as Frame).bytes.length;
	}

	#lingerNow(): void {
		this.#lingering?.();
		this.#lingering = this.#parts.store.clock.after(linger, () => this.stop(), true);
	}
}
