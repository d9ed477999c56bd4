/**
 * The default codec: JSON that stays JSON, and a tag for what JSON can't say.
 *
 * A tagged value is an object whose only keys are `$` (the tag) and `v`; a plain object that has a key `$` of its own is wrapped under the
 * tag `object`, so nothing that an application writes is ever mistaken for a tag.
 */
import type { Codec } from "./backend.js";
import { HoldfastError } from "./error.js";
import { define } from "./immutable.js";

type BinaryConstructor = new (buffer: ArrayBuffer) => object;

// By name, so that a bundle for an engine without one of them (Float16Array) still loads.
const binaryName = /^(?:Big)?(?:Int|Uint|Float)\d+(?:Clamped)?Array$/;

const tagged = (tag: string, value?: unknown): object => ({ $: tag, v: value });

const toBase64 = (bytes: Uint8Array): string => {
	let text = "";
	for (let i = 0; i < bytes.length; i += 0x8000)
		text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
	return btoa(text);
};

const fromBase64 = (text: string): ArrayBuffer =>
	Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;

function pack(value: unknown): unknown {
	switch (typeof value) {
		case "undefined":
			return tagged("undefined");
		case "bigint":
			return tagged("bigint", String(value));
		case "number":
			return Number.isFinite(value) && !Object.is(value, -0)
				? value
				: tagged("number", Object.is(value, -0) ? "-0" : String(value));
		case "object":
			break;
		default:
			return value;
	}
	if (value === null) return null;
	if (Array.isArray(value)) return value.map(pack);
	if (value instanceof Map) return tagged("map", pack([...value]));
	if (value instanceof Set) return tagged("set", pack([...value]));
	// What toJSON gives of an invalid date is null.
	if (value instanceof Date) return tagged("date", value.toJSON());
	if (value instanceof URL) return tagged("url", value.href);
	if (value instanceof RegExp) return tagged("regexp", [value.source, value.flags]);
	if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
		const { buffer, byteOffset, byteLength } = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
		// Not the constructor's name: a Buffer is a Uint8Array, and a minifier renames subclasses.
		const tag = (value as Uint8Array)[Symbol.toStringTag];
		return tagged(tag, toBase64(new Uint8Array(buffer, byteOffset, byteLength)));
	}
	let packed = value as Record<string, unknown>;
	for (const name of Object.keys(value)) {
		const member = packed[name];
		const other = pack(member);
		if (other === member) continue;
		// What is plain JSON all through, as most is, needs no copy.
		if (packed === value) packed = { ...value };
		define(packed, name, other);
	}
	return Object.hasOwn(packed, "$") ? tagged("object", packed) : packed;
}

function members(packed: object): object {
	for (const name of Object.keys(packed)) {
		const member = (packed as Record<string, unknown>)[name];
		if (typeof member !== "object") continue;
		const unpacked = unpack(member);
		if (unpacked !== member) Object.defineProperty(packed, name, { value: unpacked });
	}
	return packed;
}

function unpack(packed: unknown): unknown {
	if (typeof packed !== "object" || packed === null) return packed;
	if (!Object.hasOwn(packed, "$")) return members(packed);
	const { $: tag, v } = packed as { $: string; v: never };
	switch (tag) {
		case "undefined":
			return undefined;
		case "bigint":
			return BigInt(v);
		case "number":
			return Number(v);
		case "map":
			return new Map(unpack(v) as [unknown, unknown][]);
		case "set":
			return new Set(unpack(v) as unknown[]);
		case "date":
			return new Date(v ?? Number.NaN);
		case "url":
			return new URL(v);
		case "regexp":
			return new RegExp(v[0], v[1]);
		case "object":
			return members(v);
		case "ArrayBuffer":
			return fromBase64(v);
	}
	if (!binaryName.test(tag) || !(tag in globalThis))
		throw new HoldfastError("schema-mismatch", `the stored value has the unknown tag ${JSON.stringify(tag)}`);
	return new ((globalThis as never)[tag] as BinaryConstructor)(fromBase64(v));
}

/**
 * JSON with Date, Map, Set, BigInt, URL, RegExp, typed arrays, `undefined` in objects, NaN, the infinities and -0.
 * Plain JSON is stored as it is, so it stays readable in a store's own tools.
 */
export const jsonCodec: Codec = {
	encode: (value) => JSON.stringify(pack(value)),
	decode(text) {
		const parsed: unknown = JSON.parse(text);
		return text.includes('"$"') ? unpack(parsed) : parsed;
	},
};
