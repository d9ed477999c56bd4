/** A log in memory: a growing ring, whose new rows come at its end and old ones leave at its start. */
import type { Change, LogRecord } from "./backend.js";
import { bareId, changesOf, recordOf, type Written } from "./reducer.js";

/** What a commit did. Where that is all that its record says, the record is made when somebody reads it: the log keeps thousands. */
export type Row = Written | readonly Written[] | LogRecord;

const none: readonly never[] = [];

/** The record of a commit that has no id, as it is pushed: to make the id that nobody may ask for costs more than the rest of it. */
export class BareRecord implements LogRecord {
	readonly revision: number;
	readonly previous: number;
	readonly time: number;
	readonly origin: string | undefined;
	readonly metadata: undefined = undefined;
	readonly quiet: boolean = false;
	readonly changes: readonly Change[];
	readonly events: readonly never[] = none;
	readonly previousEvents: number = 0;

	constructor(
		previous: number,
		origin: string | undefined,
		revision: number,
		time: number,
		written: Written | readonly Written[],
	) {
		this.revision = revision;
		this.previous = previous;
		this.time = time;
		this.origin = origin;
		this.changes = changesOf(written);
	}

	get id(): string {
		return bareId(this.origin, this.revision);
	}
}

/** A log of one scope. */
export class MemoryLog {
	/** When its oldest record was written, or before. */
	since = 0;
	#size = 0;
	#start = 0;
	#length = 0;
	#rows: (Row | undefined)[] = [];
	#origins: (string | undefined)[] = [];
	// Of each row its revision, the one before, its time and its bytes: a list of nothing but numbers is no work for a garbage collector.
	#numbers: number[] = [];

	get size(): number {
		return this.#size;
	}

	push(
		row: Row,
		origin: string | undefined,
		revision: number,
		previous: number,
		time: number,
		bytes: number,
	): void {
		if (this.#size === this.#length) this.#grow();
		const at = (this.#start + this.#size++) & (this.#length - 1);
		this.#rows[at] = row;
		this.#origins[at] = origin;
		const numbers = this.#numbers;
		numbers[4 * at] = revision;
		numbers[4 * at + 1] = previous;
		numbers[4 * at + 2] = time;
		numbers[4 * at + 3] = bytes;
	}

	/** Lets go of the oldest record; answers its bytes. */
	shift(): number {
		const at = this.#start;
		this.#rows[at] = undefined;
		this.#start = (at + 1) & (this.#length - 1);
		this.#size--;
		return this.#numbers[4 * at + 3] as number;
	}

	record(index: number): LogRecord {
		const at = (this.#start + index) & (this.#length - 1);
		const row = this.#rows[at] as Row;
		if (typeof row === "object" && "changes" in row) return row;
		const [revision, head, time] = this.#numbers.slice(4 * at) as [number, number, number];
		const origin = this.#origins[at];
		return recordOf({ head, eventsHead: 0 }, origin === undefined ? {} : { origin }, revision, time, row, []);
	}

	time(index: number): number {
		return this.#number(index, 2);
	}

	bytes(index: number): number {
		return this.#number(index, 3);
	}

	/** The index of the first record after a revision. */
	after(revision: number): number {
		let low = 0;
		let high = this.#size;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.#number(middle, 0) > revision) high = middle;
			else low = middle + 1;
		}
		return low;
	}

	#number(index: number, column: number): number {
		return this.#numbers[4 * ((this.#start + index) & (this.#length - 1)) + column] as number;
	}

	#grow(): void {
		const start = this.#start;
		// Full: the older rows stand behind the newer ones.
		this.#rows = turned(this.#rows, start);
		this.#origins = turned(this.#origins, start);
		this.#numbers = turned(this.#numbers, 4 * start);
		this.#start = 0;
		// A power of two: the masks above depend on it.
		this.#length = Math.max(4, 2 * this.#length);
	}
}

const turned = <T>(list: readonly T[], start: number): T[] => list.slice(start).concat(list.slice(0, start));
