/** What the feed and its client say to each other, as JSON over a WebSocket. */
import { z } from "zod";
import { Day, Instrument, Tick } from "./bar.ts";
import { Pace } from "./pace.ts";

/** To the feed. It says nothing before it was told from where to replay. */
export const FeedRequest = z.discriminatedUnion("type", [
	/** Replay from a day on, that day included; from the first one on, for `null`. */
	z.object({ type: z.literal("replay"), from: Day.nullable(), pace: Pace }),
	z.object({ type: z.literal("pace"), pace: Pace }),
]);
export type FeedRequest = z.infer<typeof FeedRequest>;

/** From the feed. */
export const FeedMessage = z.discriminatedUnion("type", [
	/** What it has to tell, said once per connection. */
	z.object({
		type: z.literal("hello"),
		instruments: z.array(Instrument),
		days: z.int().positive(),
		first: Day,
		last: Day,
	}),
	/** A trading day: the how many-th, from 1 on; when it was sent, in ms since 1970. */
	z.object({
		type: z.literal("day"),
		number: z.int().positive(),
		date: Day,
		sentAt: z.number(),
		ticks: z.array(Tick),
	}),
	/** There is no further day. */
	z.object({ type: z.literal("end") }),
]);
export type FeedMessage = z.infer<typeof FeedMessage>;
