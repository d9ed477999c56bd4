/** Values as they cross the contract: made from data or from text, each computed from the other at first need. */
import type { Codec, Value } from "./backend.js";
import { jsonCodec } from "./codec.js";
import { freezeCopy, freezeFresh } from "./immutable.js";

const header = /^\{"\$":"version","n":(\d+),"v":/;

const absent = Symbol();

const isNumber = (text: string): boolean => /^-?\d/.test(text);

/** A value that was given as data, to be written by the built-in codec: what is stored is text only once somebody asks for it. */
class GivenValue implements Value {
	readonly given = true;
	readonly size: number;
	readonly version: number;
	// Declared here so that a value never changes its shape.
	checked: Value["checked"] = undefined;
	#data: unknown;
	#text: string | undefined;

	constructor(data: unknown, size: number, version: number) {
		this.#data = data;
		// The header counts too.
		this.size = version === 0 ? size : size + 8;
		this.version = version;
	}

	get text(): string {
		this.#text ??= wrapVersion(encodeData(this.#data, jsonCodec), this.version);
		return this.#text;
	}

	get number(): number | undefined {
		return this.version === 0 && Number.isFinite(this.#data) ? (this.#data as number) : undefined;
	}

	data(): unknown {
		return this.#data;
	}
}

/** A value that came from a store: it is decoded when somebody asks for it. */
class StoredValue implements Value {
	readonly given = false;
	readonly text: string;
	checked: Value["checked"] = undefined;
	#data: unknown = absent;

	constructor(text: string) {
		this.text = text;
	}

	get size(): number {
		return this.text.length;
	}

	get version(): number {
		return Number(header.exec(this.text)?.[1] ?? 0);
	}

	get number(): number | undefined {
		return isNumber(this.text) ? Number(this.text) : undefined;
	}

	data(codec: Codec): unknown {
		if (this.#data !== absent) return this.#data;
		const wrapped = header.exec(this.text);
		const text = wrapped === null ? this.text : this.text.slice(wrapped[0].length, -1);
		const { data, binary } = freezeFresh(
			isNumber(text) ? Number(text) : codec.decode(text.replace(/^~/, "")),
		);
		if (!binary) this.#data = data;
		return data;
	}
}

function encodeData(data: unknown, codec: Codec): string {
	// Stores add to numbers, so these are JSON under any codec.
	if (Number.isFinite(data)) return Object.is(data, -0) ? "-0" : String(data);
	const text = codec.encode(data);
	// What another codec writes may look like a number or like our header: it is marked, so that it is taken for neither.
	return /^(?:[-\d~]|\{"\$":"version")/.test(text) ? `~${text}` : text;
}

const wrapVersion = (text: string, version: number): string =>
	version === 0 ? text : `{"$":"version","n":${version},"v":${text}}`;

/**
 * Makes a value of data: copies and freezes it.
 *
 * @throws {@link HoldfastError} `invalid-value`.
 */
export function givenValue(input: unknown, codec: Codec = jsonCodec, version = 0): Value {
	if (codec === jsonCodec && (typeof input === "number" || typeof input === "boolean"))
		return new GivenValue(input, 8, version);
	const { data, size, binary } = freezeCopy(input);
	// Bytes can't be frozen, and only the built-in codec's size is known without encoding.
	if (binary || codec !== jsonCodec) return new StoredValue(wrapVersion(encodeData(data, codec), version));
	return new GivenValue(data, size, version);
}

/** Makes a value of the text that a store holds. */
export const storedValue = (text: string): Value => new StoredValue(text);
