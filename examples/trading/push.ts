/**
 * Pushes the shared scope and the user's own to a page, as server-sent events. Each carries both scopes' revisions as its id: a
 * page that comes back with it goes on from there. Nothing is kept for a page but these two cursors: the next commit is read when the
 * last one was written out, and one that falls behind what the log keeps gets a snapshot.
 */

import type { Mirror } from "@holdfast/core";
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { Visitor } from "./sessions.ts";
import type { Manager, Shared, state } from "./state.ts";
import type { Snapshot, WireChange, WireCommit, WireEvent } from "./wire.ts";

/** How often a quiet stream says that it is alive, and makes sure that its session still is. */
const heartbeat = 15_000;

/** How many events a snapshot has. */
const recent = 50;

/** The shared scope, kept in memory once for all pages. */
export type Live = Mirror<(typeof state)["shape"]["shared"], "**">;

/** What is a history, to be asked for and not in a snapshot. */
const isHistory = (key: string): boolean => key.startsWith("bars/") || key.startsWith("equity/");

interface Cursors {
	shared: number;
	mine: number;
}

/** Streams to one page until it leaves, its session ends, or the signal aborts. */
export function push(c: Context, manager: Manager, live: Live, visitor: Visitor, closing: AbortSignal) {
	const cursors = parseCursors(c.req.header("last-event-id"));
	return streamSSE(c, async (stream) => {
		const ending = new AbortController();
		stream.onAbort(() => ending.abort());
		const signal = AbortSignal.any([closing, ending.signal]);
		try {
			await new Push(stream, manager, live, visitor, signal, (how) => {
				ending.abort();
				// What a page does not take would otherwise wait in its socket for good.
				if (how === "cut off") (c.env as HttpBindings).outgoing.destroy();
			}).run(cursors);
		} catch (error) {
			if (!signal.aborted) throw error;
		}
	});
}

class Push {
	readonly #stream: SSEStreamingApi;
	readonly #shared: Shared;
	readonly #live: Live;
	readonly #mine: ReturnType<Manager["user"]>;
	readonly #visitor: Visitor;
	readonly #signal: AbortSignal;
	readonly #end: (how?: "cut off") => void;
	#cursors: Cursors = { shared: 0, mine: 0 };
	#writing = false;

	constructor(
		stream: SSEStreamingApi,
		manager: Manager,
		live: Live,
		visitor: Visitor,
		signal: AbortSignal,
		end: (how?: "cut off") => void,
	) {
		this.#stream = stream;
		this.#shared = manager.shared;
		this.#live = live;
		this.#mine = manager.user(visitor.user.id);
		this.#visitor = visitor;
		this.#signal = signal;
		this.#end = end;
	}

	async run(cursors: Cursors | undefined): Promise<void> {
		const signal = this.#signal;
		const { session } = this.#visitor;
		session.subscribe("user", ({ value }) => value ?? this.#signOut(), { signal });
		const beat = setInterval(() => this.#beat().catch(() => this.#end()), heartbeat);
		signal.addEventListener("abort", () => clearInterval(beat));
		if (cursors === undefined) await this.#snapshot();
		else this.#cursors = cursors;
		await Promise.all([this.#follow("shared"), this.#follow("mine")]);
	}

	async #follow(name: "shared" | "mine"): Promise<void> {
		const options = { from: this.#cursors[name], signal: this.#signal };
		const records = name === "shared" ? this.#shared.changes(options) : this.#mine.changes(options);
		for await (const record of records) {
			if (record.type === "reset") {
				// The live mirror may trail what this log has just answered.
				if (name === "shared") await this.#live.at(record.revision, { signal: this.#signal });
				await this.#snapshot();
				continue;
			}
			this.#cursors[name] = record.revision;
			const events = record.events.map((event, i) => wireEvent(event, i));
			await this.#send("commit", {
				scope: name,
				revision: record.revision,
				changes: record.changes.map(wireChange),
				events,
			} satisfies WireCommit);
		}
	}

	/** Sends the present. What comes after it may repeat some of it, never miss any. */
	async #snapshot(): Promise<void> {
		using mine = this.#mine.mirror("**", { signal: this.#signal });
		await Promise.all([this.#live.ready, mine.ready]);
		const shared = this.#live.list().filter(({ key }) => !isHistory(key));
		const { revision } = this.#live;
		const activity: WireEvent[] = [];
		for await (const event of this.#shared.events.history({ last: recent }))
			activity.push(
				wireEvent(event, activity.filter(({ id }) => id.startsWith(`${event.revision}.`)).length),
			);
		this.#cursors = { shared: revision, mine: mine.revision };
		const user = this.#visitor.user;
		await this.#send("snapshot", {
			user,
			shared: shared.map(wireChange),
			mine: mine.list().map(wireChange),
			activity,
		} satisfies Snapshot);
	}

	async #beat(): Promise<void> {
		// A page that took nothing for a whole beat is cut off; it comes back with its cursors when it can.
		if (this.#writing) this.#end("cut off");
		else if ((await this.#visitor.session.get("user")) === undefined) await this.#signOut();
		else await this.#write(": alive\n\n");
	}

	async #signOut(): Promise<void> {
		await this.#send("signed-out", {});
		this.#end();
	}

	async #send(event: string, data: unknown): Promise<void> {
		const { shared, mine } = this.#cursors;
		await this.#write(`event: ${event}\nid: ${shared}.${mine}\ndata: ${JSON.stringify(data)}\n\n`);
	}

	/** Settles when the page's connection has taken it. */
	async #write(text: string): Promise<void> {
		this.#writing = true;
		await this.#stream.write(text);
		this.#writing = false;
	}
}

function parseCursors(id: string | undefined): Cursors | undefined {
	const [, shared, mine] = /^(\d{1,16})\.(\d{1,16})$/.exec(id ?? "") ?? [];
	return shared === undefined || mine === undefined ? undefined : { shared: +shared, mine: +mine };
}

const wireChange = ({ key, value }: { readonly key: string; readonly value: unknown }): WireChange =>
	value === undefined ? { key } : { key, value };

const wireEvent = (
	event: {
		readonly revision: number;
		readonly type: string;
		readonly time: number;
		readonly payload: unknown;
	},
	index: number,
): WireEvent => ({
	id: `${event.revision}.${index}`,
	type: event.type,
	time: event.time,
	payload: event.payload,
});
