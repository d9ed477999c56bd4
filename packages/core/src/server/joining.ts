/** Bringing one watcher from its cursor to what is live: attach, read the log, drain what is newer. */
import type { Cursor, LogPage, ScopeId } from "../backend.js";
import { isHoldfastError } from "../error.js";
import { resumes } from "../resume.js";
import type { Store } from "../store.js";
import type { ResetReason } from "../wire/messages.js";
import { encodeFrame, type Hub } from "./hub.js";

/** How many records of a log are read at once. */
const limit = 500;

/** How long to wait before the store is asked again, in ms. */
const pause = 1000;

/** Who joins. */
export interface Joining {
	readonly scope: ScopeId;
	readonly hub: Hub;
	readonly store: Store;
	/** Whether nobody wants it any more. */
	isOver(): boolean;
	/** How many bytes may be handed over when there is room. */
	readonly bytes: number;
	/** Takes room for so much, at once, or as soon as the promise resolves. */
	room(): Promise<void> | undefined;
	/** Gives back the room that was taken: what there was to hand over has been. */
	done(): void;
	frame(bytes: Uint8Array): void;
	reset(cursor: Cursor, why: ResetReason): void;
	/** All up to this cursor was told: called in the very turn in which what follows is told to whoever watches the hub. */
	live(cursor: Cursor): void;
}

/** Tells what lies between a cursor and now; without a cursor it begins now. Never rejects. */
export async function join(joining: Joining, from: Cursor | undefined): Promise<void> {
	for (let cursor = from; !joining.isOver(); ) {
		try {
			await joining.hub.whenLive();
			// Many scopes join at once: what one of them reads is counted before it is there.
			const room = joining.room();
			if (room !== undefined) await room;
			try {
				if (joining.isOver()) return;
				cursor ??= joining.hub.sent;
				const kept = joining.hub.after(cursor);
				if (kept !== undefined && kept.reduce((sum, { length }) => sum + length, 0) <= joining.bytes) {
					for (const bytes of kept) joining.frame(bytes);
					joining.live(joining.hub.sent);
					return;
				}
				const told = await readOn(joining, cursor);
				if (told === undefined) return;
				cursor = told;
			} finally {
				joining.done();
			}
		} catch (error) {
			if (joining.isOver()) return;
			if (!isHoldfastError(error)) joining.store.report(error, "a stream could not go on", joining.scope);
			await joining.store.pause(pause);
		}
	}
}

/** One page of the log; the cursor after it, `undefined` once it is live. */
async function readOn(joining: Joining, cursor: Cursor): Promise<Cursor | undefined> {
	const { scope, hub, store, bytes } = joining;
	const log: LogPage = await store.ask(scope, (backend) =>
		backend.log(scope, cursor, { of: "changes", limit, bytes }),
	);
	if (joining.isOver()) return undefined;
	if (!resumes(log, cursor, "changes")) {
		joining.reset(hub.sent, "cursor");
		joining.live(hub.sent);
		return undefined;
	}
	const last = log.records.at(-1);
	if (last !== undefined) joining.frame(encodeFrame(scope, log.records));
	const reached = last?.revision ?? cursor;
	// What is newer than what the hub has sent comes again from there, and is known by its revision.
	if (!log.more && reached >= hub.sent) {
		joining.live(reached);
		return undefined;
	}
	// The store's answer was older than what the hub has sent since: it is kept, or the log is read once more.
	if (last === undefined) await store.pause(1);
	return reached;
}
