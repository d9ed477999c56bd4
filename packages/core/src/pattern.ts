/** Patterns over keys: an exact key, `positions/*` (one level), `positions/**` (the subtree). */

import { HoldfastError } from "./error.js";
import { behindKey, check, encodeKey, encodeSegment, type KeySpan, reservedUnder, spanUnder } from "./key.js";

/** A compiled pattern; all keys here are encoded ones. */
export interface Pattern {
	/** The key, where the pattern has no wildcard. */
	readonly exact: string | undefined;
	/** The pattern as the application wrote it. */
	readonly text: string;
	/** The longest literal prefix, whole segments: every match starts with it. */
	readonly under: string;
	/** The smallest span of keys that holds every match. */
	readonly span: KeySpan;
	matches(key: string): boolean;
}

const isWildcard = (part: string): boolean => part === "*" || part === "**";

/** The pattern that matches one encoded key. */
const exactPattern = (text: string, key: string): Pattern => ({
	exact: key,
	text,
	under: key,
	span: { from: key, to: behindKey(key) },
	matches: (candidate) => candidate === key,
});

/**
 * Compiles a pattern: `*` is any one segment, a last `**` any one or more.
 *
 * @throws {@link HoldfastError} `invalid-pattern`, `too-large`, and for an exact key what {@link encodeKey} throws.
 */
export function compilePattern(pattern: string): Pattern {
	const parts = typeof pattern === "string" ? pattern.split("/") : [];
	const first = parts.findIndex(isWildcard);
	if (first < 0) return exactPattern(pattern, encodeKey(pattern));
	check(pattern, "pattern");
	if (parts.slice(0, -1).includes("**"))
		throw new HoldfastError("invalid-pattern", "** must come last", { key: pattern });
	const segments = parts.map((part) => (isWildcard(part) ? part : encodeSegment(part)));
	const under = [...segments.slice(0, first), ""].join("/");
	const isSubtree = segments.at(-1) === "**";
	const expressions = segments.map((segment) => {
		if (segment === "**") return "";
		return segment === "*" ? "[^/]*" : segment.replace(/[()*+.?[\\\]^]/g, "\\$&");
	});
	const matcher = new RegExp(`^(?!${reservedUnder})${expressions.join("/")}${isSubtree ? "" : "$"}`);
	return {
		exact: undefined,
		text: pattern,
		under,
		span: spanUnder(under),
		matches: (key) => matcher.test(key),
	};
}
