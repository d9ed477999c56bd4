/**
 * Takes what a page sent for what it says it is, and refuses everything else. Only own properties are looked at, and only those that are
 * known are taken on: whatever else was sent goes no further.
 */
import { HoldfastError } from "../error.js";

/** Takes one part of a message, at a place in it that errors name. */
export type Shape<T> = (part: unknown, at: string) => T;

const wrong = (at: string, what: string): HoldfastError =>
	new HoldfastError("invalid-argument", `${at} must be ${what}`);

/** A text of at most so many characters, without lone surrogates. */
export const text =
	(most: number): Shape<string> =>
	(part, at) => {
		if (typeof part === "string" && part.length <= most && part.isWellFormed()) return part;
		throw wrong(at, `a well-formed text of at most ${most} characters`);
	};

/** A text that is one word for machines. */
export const word: Shape<string> = (part, at) => {
	if (typeof part === "string" && /^[\w.:-]{1,128}$/.test(part)) return part;
	throw wrong(at, "1 to 128 letters, digits or any of _ . : -");
};

/** A finite number. */
export const number: Shape<number> = (part, at) => {
	if (typeof part === "number" && Number.isFinite(part)) return part;
	throw wrong(at, "a finite number");
};

/** A whole number within bounds. */
export const whole =
	(least: number, most = Number.MAX_SAFE_INTEGER): Shape<number> =>
	(part, at) => {
		if (Number.isSafeInteger(part) && (part as number) >= least && (part as number) <= most)
			return part as number;
		throw wrong(at, `a whole number from ${least} to ${most}`);
	};

/** True or false. */
export const flag: Shape<boolean> = (part, at) => {
	if (typeof part === "boolean") return part;
	throw wrong(at, "true or false");
};

/** One of several words. */
export const oneOf =
	<T extends string>(...words: readonly T[]): Shape<T> =>
	(part, at) => {
		if (words.includes(part as T)) return part as T;
		throw wrong(at, `one of ${words.join(", ")}`);
	};

/** That, or null. */
export const orNull =
	<T>(shape: Shape<T>): Shape<T | null> =>
	(part, at) =>
		part === null ? null : shape(part, at);

/** A list of at most so many. */
export const list =
	<T>(shape: Shape<T>, most: number): Shape<T[]> =>
	(part, at) => {
		if (!Array.isArray(part)) throw wrong(at, "a list");
		if (part.length > most)
			throw new HoldfastError(
				"too-large",
				`${at} has ${part.length} members, the limit is ${most}: split it`,
			);
		return part.map((member, i) => shape(member, `${at}[${i}]`));
	};

/** The own property of an object. */
function own(part: unknown, name: string, at: string): unknown {
	if (typeof part !== "object" || part === null || Array.isArray(part)) throw wrong(at, "an object");
	return Object.hasOwn(part, name) ? (part as Record<string, unknown>)[name] : undefined;
}

type Shapes = { readonly [name: string]: Shape<unknown> };
type Made<S extends Shapes> = { -readonly [N in keyof S]: ReturnType<S[N]> };

/** An object with these properties, and optionally those. */
export const object =
	<S extends Shapes, O extends Shapes = Record<never, never>>(
		shapes: S,
		optional?: O,
	): Shape<Made<S> & Partial<Made<O>>> =>
	(part, at) => {
		const made: Record<string, unknown> = {};
		for (const [name, shape] of Object.entries(shapes))
			made[name] = shape(own(part, name, at), `${at}.${name}`);
		for (const [name, shape] of Object.entries(optional ?? {})) {
			const given = own(part, name, at);
			if (given !== undefined) made[name] = shape(given, `${at}.${name}`);
		}
		return made as Made<S> & Partial<Made<O>>;
	};

/** The shape that a property's word chooses. */
export const chosenBy =
	<M extends Readonly<Record<string, Shape<unknown>>>>(
		name: string,
		shapes: M,
	): Shape<ReturnType<M[keyof M]>> =>
	(part, at) => {
		const word = own(part, name, at);
		if (typeof word !== "string" || !Object.hasOwn(shapes, word))
			throw wrong(`${at}.${name}`, `one of ${Object.keys(shapes).join(", ")}`);
		return (shapes[word] as Shape<ReturnType<M[keyof M]>>)(part, at);
	};
