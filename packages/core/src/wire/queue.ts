/** An offline queue's place in a scope: how far it was sent. */
import type { Add } from "../backend.js";
import { reservedUnder } from "../key.js";

/** Where the sequences of offline queues live. */
export const queueUnder = `${reservedUnder}queue/`;

/** The most that a queue's sequence may be remembered, in ms: 90 days. */
export const queueLife = 7_776_000_000;

/** The key of a queue's sequence: `mine` is the server's name for the subject, so that a queue is never sent as somebody else's. */
export const queueKey = (mine: string, queue: string): string => `${queueUnder}${mine}/${queue}`;

/** How many parts there are between two counts: which of them a count stands at tells runs of writes apart. */
const parts = 2 ** 20;

/** How many commits of a queue its sequence stands for. */
export const countOf = (sequence: number): number => Math.floor(sequence);

/** The same count as another sequence than any other page would choose; `random`: from 0 up to 1. */
export function markedAnew(sequence: number, random: number): number {
	const count = countOf(sequence);
	const part = (sequence - count) * parts + 1 + Math.floor(random * (parts - 1));
	return count + (part % parts) / parts;
}

/**
 * What a commit of a queue does beside its own work: it counts, from exactly one sequence to exactly the next, see {@link markedAnew}. Sent again, or
 * after another page has sent something, it is refused as `bound`, and so is the whole commit; the entry that comes with the refusal says how far
 * the queue was sent.
 */
export const countSent = (mine: string, queue: string, to: number, from = to - 1): Add => ({
	op: "add",
	key: queueKey(mine, queue),
	by: to - from,
	min: to,
	max: to,
	ttl: queueLife,
});
