/** What a market did in one interval, as the data files tell it. */
import { z } from "zod";

/** A daily bar has all of it; a monthly price is only a close. */
export const Bar = z.object({
	open: z.number().positive().optional(),
	high: z.number().positive().optional(),
	low: z.number().positive().optional(),
	close: z.number().positive(),
	volume: z.number().nonnegative().optional(),
});
export type Bar = z.infer<typeof Bar>;

/** A calendar day as `2008-09-15`: such texts sort as the days do. */
export const Day = z.iso.date();

/** One symbol's bar of one day. */
export const Tick = z.object({ symbol: z.string(), date: Day, bar: Bar });
export type Tick = z.infer<typeof Tick>;

/** A symbol that the feed serves. */
export const Instrument = z.object({
	symbol: z.string(),
	name: z.string(),
	interval: z.enum(["daily", "monthly"]),
	/** The day of its last bar: behind it, a quote is only the last that is known. */
	last: Day,
});
export type Instrument = z.infer<typeof Instrument>;
