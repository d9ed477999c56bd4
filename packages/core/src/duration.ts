/** Durations: a bare number is milliseconds everywhere, else a string such as `"30m"`. */
import { HoldfastError } from "./error.js";

/** The units of a duration: milliseconds, seconds, minutes, hours, days. */
export type DurationUnit = "ms" | "s" | "m" | "h" | "d";

/** Milliseconds, or a number with its unit: `1500`, `"1.5s"`, `"30m"`, `"7d"`. */
export type Duration = number | `${number}${DurationUnit}`;

const units: Record<DurationUnit, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

// Further off than anybody means, and near enough that an instant stays an exact number.
const longest = 36_500 * units.d;

/**
 * Parses a duration into whole milliseconds, rounding up.
 *
 * @throws {@link HoldfastError} `invalid-argument` where it is no number from 0 to 100 years.
 *
 * @example
 * ```ts
 * parseDuration("1.5s"); // 1500
 * ```
 */
export function parseDuration(duration: Duration, name = "duration"): number {
	let ms = duration as number;
	if (typeof duration !== "number") {
		const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration)) ?? [];
		ms = Number(number) * units[unit as DurationUnit];
	}
	if (ms >= 0 && ms <= longest) return Math.ceil(ms);
	throw new HoldfastError(
		"invalid-argument",
		`${name} is "${String(duration)}": give 0 to 100 years, as milliseconds or as "30s", "5m", "1h"`,
	);
}

/** A ttl in milliseconds: a {@link parseDuration | duration} of more than nothing. */
export function parseTtl(ttl: Duration, name = "ttl"): number {
	const ms = parseDuration(ttl, name);
	if (ms > 0) return ms;
	throw new HoldfastError("invalid-argument", `${name} is 0: give more`);
}
