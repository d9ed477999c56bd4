/** What the page knows: the shared scope's present, the user's settings, and what happened lately. */
import type { Account, Position } from "../broker.ts";
import type { Pace } from "../pace.ts";
import type { Pipeline, Quote, Replay, Settings, Strategy } from "../state.ts";
import type { Snapshot, WireChange, WireCommit, WireEvent } from "../wire.ts";

/** How many events the page keeps. */
const recent = 50;

export class Store {
	user: Snapshot["user"] | undefined;
	/** Newest first. */
	activity: readonly WireEvent[] = [];
	#shared = new Map<string, unknown>();
	#mine = new Map<string, unknown>();

	load(snapshot: Snapshot): void {
		this.user = snapshot.user;
		this.#shared = new Map(snapshot.shared.map(({ key, value }) => [key, value]));
		this.#mine = new Map(snapshot.mine.map(({ key, value }) => [key, value]));
		this.activity = [];
		this.#remember(snapshot.activity);
	}

	apply({ scope, changes, events }: WireCommit): void {
		const entries = scope === "shared" ? this.#shared : this.#mine;
		for (const change of changes) applyChange(entries, change);
		if (scope === "shared") this.#remember(events);
	}

	get settings(): Partial<Settings> {
		return (this.#mine.get("settings") as Settings | undefined) ?? {};
	}

	get run(): number {
		return (this.#shared.get("run") as number | undefined) ?? 1;
	}

	get pace(): Pace | undefined {
		return this.#shared.get("pace") as Pace | undefined;
	}

	get replay(): Replay | undefined {
		return this.#shared.get("replay") as Replay | undefined;
	}

	get pipeline(): Pipeline | undefined {
		return this.#shared.get("pipeline") as Pipeline | undefined;
	}

	get account(): Account | undefined {
		return this.#shared.get("account") as Account | undefined;
	}

	get strategy(): Strategy | undefined {
		return this.#shared.get("strategy") as Strategy | undefined;
	}

	position(symbol: string): Position | undefined {
		return this.#shared.get(`positions/${symbol}`) as Position | undefined;
	}

	quote(symbol: string): Quote | undefined {
		return this.#shared.get(`quotes/${symbol}`) as Quote | undefined;
	}

	quotes(): Quote[] {
		return [...this.#shared].filter(([key]) => key.startsWith("quotes/")).map(([, value]) => value as Quote);
	}

	/** An event may come twice, in a snapshot and in the commit after it. */
	#remember(events: readonly WireEvent[]): void {
		const known = new Set(this.activity.map(({ id }) => id));
		const fresh = events.filter(({ id }) => !known.has(id)).reverse();
		if (fresh.length > 0) this.activity = [...fresh, ...this.activity].slice(0, recent);
	}
}

/** The histories have a place of their own. */
function applyChange(entries: Map<string, unknown>, { key, value }: WireChange): void {
	if (key.startsWith("bars/") || key.startsWith("equity/")) return;
	if (value === undefined) entries.delete(key);
	else entries.set(key, value);
}
