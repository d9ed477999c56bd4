/** The application's state: what is shared, what is a user's, what is a session's, and the facts that are recorded. */
import { defineState, type Scope, type StateManager } from "@holdfast/core";
import { z } from "zod";
import { Bar, Day, Instrument } from "./bar.ts";
import { Account, Order, Position, Trade } from "./broker.ts";
import { Pace } from "./pace.ts";

/** Where the replay is. */
export const Replay = z.object({
	status: z.enum(["waiting", "running", "finished"]),
	/** The last day that was stored, and the how many-th of how many it is. */
	date: Day.nullable(),
	day: z.int(),
	days: z.int(),
	first: Day,
	last: Day,
});
export type Replay = z.infer<typeof Replay>;

/** How the way from the feed to the store is doing. */
export const Pipeline = z.object({
	feed: z.enum(["connecting", "connected", "lost"]),
	/** The queue: how much waited when it was last emptied, the most that ever did, the most that may. */
	waiting: z.int(),
	peak: z.int(),
	capacity: z.int(),
	/** Days that the bound of the queue has cost. */
	coalesced: z.int(),
	received: z.int(),
	commits: z.int(),
	/** When the feed sent the last of it, in ms since 1970. */
	sentAt: z.number().nullable(),
	/** From the feed's sending to the store's answer, of the last commit before this one, in ms. */
	latency: z.number().nullable(),
});
export type Pipeline = z.infer<typeof Pipeline>;

/** A symbol's last price. */
export const Quote = Instrument.extend({
	date: Day,
	price: z.number(),
	/** The price before it, for the change. */
	previous: z.number().nullable(),
	/** The last prices, oldest first. */
	trend: z.array(z.number()),
});
export type Quote = z.infer<typeof Quote>;

/** What the strategy sees and does. */
export const Strategy = z.object({
	symbol: z.string(),
	fastLength: z.int(),
	slowLength: z.int(),
	fast: z.number().nullable(),
	slow: z.number().nullable(),
	/** Bars still missing until the averages can be compared. */
	missing: z.int(),
	/** The last day that it has seen. */
	date: Day.nullable(),
	/** Which run of the replay that was. */
	run: z.int(),
});
export type Strategy = z.infer<typeof Strategy>;

/** How one user likes the page. */
export const Settings = z.strictObject({
	symbol: z.string().max(12).default("SP500"),
	theme: z.enum(["system", "light", "dark"]).default("system"),
	density: z.enum(["comfortable", "compact"]).default("comfortable"),
	range: z.enum(["6m", "1y", "5y", "all"]).default("1y"),
	averages: z.boolean().default(true),
	volume: z.boolean().default(true),
	activity: z.enum(["all", "trades"]).default("all"),
});
export type Settings = z.infer<typeof Settings>;

const by = z.string();

export const state = defineState({
	shared: {
		/** Counts the replays. What was written for another run is refused by a condition on it. */
		run: z.int().default(1),
		pace: Pace.default({ speed: 20, paused: false }),
		replay: Replay,
		pipeline: Pipeline,
		"quotes/*": Quote,
		"bars/*/*": Bar,
		"positions/*": Position,
		/** The run's trades by their day, of which the strategy makes one at most. */
		"trades/*": Trade,
		account: Account,
		strategy: Strategy,
		/** What the account was worth at each day's close. */
		"equity/*": z.number(),
	},
	user: { settings: Settings.prefault({}) },
	session: { name: z.string() },
	/** What the servers of one store keep to themselves: no page ever sees it. */
	server: { cookieSecret: z.string() },
	events: {
		replay_started: z.object({ run: z.int(), first: Day, last: Day }),
		replay_finished: z.object({ run: z.int(), date: Day.nullable() }),
		replay_restarted: z.object({ run: z.int(), equity: z.number().nullable() }),
		pace_changed: Pace.extend({ by }),
		order_placed: Order.extend({ run: z.int() }),
		trade_executed: Trade.extend({ run: z.int() }),
		/** Stated in the servers' own scope, so that each of them hears of it. */
		signed_out: z.object({ user: z.string() }),
	},
});

type Shape = typeof state.shape;
export type Manager = StateManager<Shape>;
export type Shared = Scope<Shape["shared"], Shape["events"]>;
export type Events = Shape["events"];
