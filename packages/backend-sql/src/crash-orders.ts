/** What the processes of the crash tests are asked to do. */
import { type Batch, givenValue } from "@holdfast/core";
import type { SqlOptions } from "./options.js";

/** Commit batches of known writers, and say which were answered. */
export interface CommitOrder {
	readonly task: "commit";
	readonly url: string;
	/** Until when its batches may be applied, by the store's clock. */
	readonly until: number;
	/** The first sequence of each lane. */
	readonly from: readonly number[];
	readonly to: number;
}

/** Increment and watch, until all who do so have written. */
export interface IncrementOrder {
	readonly task: "increment";
	readonly url: string;
	readonly worker: number;
	readonly times: number;
	/** What all of them count up to. */
	readonly total: number;
}

/** Open a database when told to begin, write to it once, and say how that ended. */
export interface WriteOrder {
	readonly task: "write";
	readonly url: string;
	readonly options?: SqlOptions;
	readonly key: string;
}

/** An order. */
export type Order = CommitOrder | IncrementOrder | WriteOrder;

/** A batch that was answered: its lane, and its sequence. */
export interface Acknowledged {
	readonly lane: number;
	readonly sequence: number;
}

/** What one of those who increment was told, in order. */
export interface Told {
	readonly counts: readonly string[];
	readonly resets: number;
}

/** How a write ended: `done`, or the error's code and message. */
export interface Written {
	readonly ended: string;
	readonly message?: string;
	/** What is stored afterwards. */
	readonly found?: unknown;
}

/** How many commits one batch of the crash tests holds. */
export const commitsInBatch = 25;

/** The scope of a lane. */
export const laneScope = (lane: number): string => `crash/room/${lane}`;

/** The same batch, however often it is made. */
export function batchOf(lane: number, sequence: number, until: number): Batch {
	const first = (sequence - 1) * commitsInBatch;
	return {
		scope: laneScope(lane),
		writer: `${lane}`.padStart(32, "0"),
		sequence,
		until,
		floor: 0,
		step: 1,
		commits: Array.from({ length: commitsInBatch }, (_, i) => ({
			id: `${lane}-${first + i}`,
			do: [
				{ op: "put", key: `done/${first + i}`, value: givenValue(sequence), ttl: null },
				{ op: "add", key: "count", by: 1 },
			],
		})),
		keep: { changes: { count: 10_000, age: 3_600_000 }, events: { count: 0, age: 0 } },
	};
}
