/** Patterns over keys: an exact key, `positions/*` (one level), `positions/**` (the subtree). */

import { HoldfastError } from "./error.js";
import { behindKey, encodeKey, encodeSegment, isUnder, type KeySpan, spanUnder } from "./key.js";

/** A compiled pattern; all keys here are encoded ones. */
export interface Pattern {
	/** The key, where the pattern has no wildcard. */
	readonly exact: string | undefined;
	/** The encoded segments; `*` and `**` stand for themselves. */
	readonly segments: readonly string[];
	/** The longest literal prefix, whole segments: every match starts with it. */
	readonly under: string;
	/** The smallest span of keys that holds every match. */
	readonly span: KeySpan;
	matches(key: string): boolean;
}

function matchesSegments(pattern: readonly string[], key: readonly string[]): boolean {
	const last = pattern.length - 1;
	const open = pattern[last] === "**";
	if (open ? key.length <= last : key.length !== pattern.length) return false;
	return pattern.every((segment, i) => segment === "*" || (open && i === last) || segment === key[i]);
}

/** The pattern that matches one encoded key. */
const exactPattern = (key: string): Pattern => ({
	exact: key,
	segments: key.split("/"),
	under: key,
	span: { from: key, to: behindKey(key) },
	matches: (candidate) => candidate === key,
});

/**
 * Compiles a pattern: `*` is any one segment, a last `**` any one or more.
 *
 * @throws {@link HoldfastError} `invalid-pattern`, and for an exact key what {@link encodeKey} throws.
 */
export function compilePattern(pattern: string): Pattern {
	const parts = typeof pattern === "string" ? pattern.split("/") : [];
	const first = parts.findIndex((part) => part === "*" || part === "**");
	if (first < 0) return exactPattern(encodeKey(pattern));
	const wellFormed = pattern.isWellFormed();
	if (parts.slice(0, -1).includes("**") || !wellFormed)
		throw new HoldfastError(
			"invalid-pattern",
			wellFormed
				? "** stands for a whole subtree and must come last"
				: "the pattern holds a lone surrogate: use text.toWellFormed()",
			{ key: pattern },
		);
	const segments = parts.map((part) => (part === "*" || part === "**" ? part : encodeSegment(part)));
	const under = segments
		.slice(0, first)
		.map((segment) => `${segment}/`)
		.join("");
	const subtree = segments[first] === "**";
	return {
		exact: undefined,
		segments,
		under,
		span: spanUnder(under),
		matches: (key) => isUnder(key, under) && (subtree || matchesSegments(segments, key.split("/"))),
	};
}
