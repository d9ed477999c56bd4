/**
 * Keys and scope ids: their encoding, order and ranges.
 *
 * Every key is encoded once, here, so that no store meets a NUL, a space, a quote, a brace or a control character, and so that
 * the encoded keys sort by bytes as the plain ones do: what sorts below `(` is written as `!` and a character, what sorts
 * above `z` in ASCII as `~` and a digit. `!` alone as a first segment is therefore free, and sorts before every
 * application key: it is the reserved segment, where locks live.
 */
import type { ScopeId } from "./backend.js";
import { type ErrorCode, HoldfastError } from "./error.js";

/** The most bytes (UTF-8) of a key, and of a scope's id. */
export const maxKeyBytes = 1024;

/** The first segment that no application key can have. */
export const reservedUnder = "!/";

/** Where locks live: see `lock.ts`. */
export const lockUnder = `${reservedUnder}lock/`;

// Sorts after everything reserved and not after any application key.
const firstApplicationKey = "!0";

const specials = /[\0-'{-\x7f]/g;
const wildcard = /(^|\/)\*\*?(\/|$)/;

/** The length of a text in UTF-8 bytes. */
export const utf8Length = (text: string): number => new TextEncoder().encode(text).length;

const encodeSpecial = (character: string): string => {
	const code = character.charCodeAt(0);
	return code < 0x28 ? `!${String.fromCharCode(0x30 + code)}` : `~${code - 0x7b}`;
};

const decodeSpecial = ([mark, letter]: string): string =>
	String.fromCharCode((letter as string).charCodeAt(0) - 0x30 + (mark === "!" ? 0 : 0x7b));

const encode = (text: string): string => text.replace(specials, encodeSpecial);

/** What an encoded key, or the encoded part of a scope id, stands for. */
export const decodeKey = (encoded: string): string =>
	// Most hold nothing to decode, and to find that out by replacing costs several times as much.
	encoded.includes("!") || encoded.includes("~") ? encoded.replace(/[!~]./g, decodeSpecial) : encoded;

/** Refuses what no store can hold as a key, an id or a pattern. */
export function check(text: unknown, what: "key" | "id" | "pattern"): asserts text is string {
	const refuse = (code: ErrorCode, why: string): never => {
		throw new HoldfastError(code, `the ${what} ${why}`, { key: typeof text === "string" ? text : undefined });
	};
	if (typeof text !== "string") return refuse(`invalid-${what}`, `must be a string, not ${typeof text}`);
	if (text === "") refuse(`invalid-${what}`, "must not be empty");
	if (!text.isWellFormed()) refuse(`invalid-${what}`, "holds a lone surrogate: use text.toWellFormed()");
	if (text.length * 3 > maxKeyBytes && utf8Length(text) > maxKeyBytes)
		refuse("too-large", `has ${utf8Length(text)} bytes, the limit is ${maxKeyBytes}: shorten or hash it`);
}

/** Refuses a name that is not made of a few plain characters. */
function checkName(name: string, what: string, plain: RegExp): void {
	if (!plain.test(name))
		throw new HoldfastError("invalid-id", `the ${what} ${JSON.stringify(name)} must match ${plain}`);
}

/** Whether a key is its own encoding, for certain. A loop: most keys are short, and a regular expression's call costs more than they do. */
function isPlain(key: string): boolean {
	for (let i = 0; i < key.length; i++) {
		const code = key.charCodeAt(i);
		if (code < 0x28 || code > 0x7a || code === 0x2a) return false;
	}
	return key.length > 0 && key.length <= 341;
}

/**
 * Encodes an application's key.
 *
 * @throws {@link HoldfastError} `invalid-key`, `too-large`.
 */
export function encodeKey(key: string): string {
	if (typeof key === "string" && isPlain(key)) return key;
	check(key, "key");
	if (wildcard.test(key))
		throw new HoldfastError("invalid-key", "a key can't have a segment * or **", {
			key,
		});
	return encode(key);
}

/** Encodes one segment of a pattern. */
export const encodeSegment = (segment: string): string => encode(segment);

/** The encoded key of something that Holdfast keeps in the reserved segment of a scope. */
export function reservedKey(kind: string, name: string): string {
	check(name, "key");
	return `${reservedUnder}${kind}/${encode(name)}`;
}

/** What a scope id says, decoded. */
export interface ScopeName {
	readonly namespace: string;
	readonly kind: string;
	readonly id: string | undefined;
}

/**
 * Encodes a scope's identity. `id` is any well-formed string of 1 to 1,024 bytes.
 *
 * @throws {@link HoldfastError} `invalid-id`, `too-large`.
 */
export function formatScopeId({ namespace, kind, id }: ScopeName): ScopeId {
	checkName(namespace, "namespace", /^[A-Za-z0-9][\w.-]{0,63}$/);
	checkName(kind, "kind", /^[A-Za-z][\w-]{0,63}$/);
	// Only one kind has a single scope: elsewhere a forgotten id would have all users share theirs.
	if (id === undefined && kind === "shared") return `${namespace}/${kind}`;
	check(id, "id");
	return `${namespace}/${kind}/${encode(id)}`;
}

/** Decodes what {@link formatScopeId} made. */
export function parseScopeId(scope: ScopeId): ScopeName {
	const [namespace = "", kind = "", ...id] = scope.split("/");
	return { namespace, kind, id: id.length > 0 ? decodeKey(id.join("/")) : undefined };
}

const utf8Rank = (unit: number): number =>
	// UTF-16 puts surrogates (characters beyond U+FFFF) before U+E000..U+FFFF, UTF-8 after.
	unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;

/** Compares two keys as their UTF-8 bytes compare. */
export function compareKeys(a: string, b: string): number {
	const length = Math.min(a.length, b.length);
	for (let i = 0; i < length; i++) {
		const x = a.charCodeAt(i);
		const y = b.charCodeAt(i);
		if (x !== y) return utf8Rank(x) - utf8Rank(y);
	}
	return a.length - b.length;
}

/** Keys from `from` on, up to and without `to`. */
export interface KeySpan {
	readonly from: string;
	readonly to: string | null;
}

/** The span of all keys that start with `under`, which ends in `/`; `""`: all application keys. */
export const spanUnder = (under: string): KeySpan =>
	under === "" ? { from: firstApplicationKey, to: null } : { from: under, to: `${under.slice(0, -1)}0` };

/** Where the keys behind one begin: no encoded key has a space, nor a character before it, and stores don't take a NUL. */
export const behindKey = (key: string): string => `${key} `;

/** Whether a key counts as being under a prefix, see {@link spanUnder}. */
export const isUnder = (key: string, under: string): boolean =>
	under === "" ? !key.startsWith(reservedUnder) : key.startsWith(under);
