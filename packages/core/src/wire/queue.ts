/** An offline queue's place in a scope: how far it was sent. */
import type { Add } from "../backend.js";
import { reservedUnder } from "../key.js";

/** Where the sequences of offline queues live. */
export const queueUnder = `${reservedUnder}queue/`;

/** The most that a queue's sequence may be remembered, in ms: 90 days. */
export const queueLife = 7_776_000_000;

/** The key of a queue's sequence: `mine` is the server's name for the subject, so that a queue is never sent as somebody else's. */
export const queueKey = (mine: string, queue: string): string => `${queueUnder}${mine}/${queue}`;

/**
 * What the `n`th commit of a queue (from 1) does beside its own work: it counts, and only from the one before. Sent again, it is refused as
 * `bound`, and so is the whole commit; the entry that comes with the refusal says how far the queue was sent.
 */
export const countSent = (mine: string, queue: string, n: number): Add => ({
	op: "add",
	key: queueKey(mine, queue),
	by: 1,
	min: n,
	max: n,
	ttl: queueLife,
});
