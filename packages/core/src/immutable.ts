/** What is stored is copied and deeply frozen: nobody's later change can reach it. */
import { HoldfastError } from "./error.js";

const refuse = (what: string, path: readonly string[]): never => {
	const at = path.length > 0 ? ` at .${path.join(".")}` : "";
	throw new HoldfastError(
		"invalid-value",
		`${what}${at} can't be stored: give plain data, or convert it first`,
	);
};

const guard = (): never => {
	throw new TypeError("this value belongs to the state and is immutable: copy it, then change the copy");
};

const guards = (names: readonly string[]): PropertyDescriptorMap =>
	Object.fromEntries(names.map((name) => [name, { value: guard }]));

// Object.freeze does not reach the internal slots of these, so their mutators are shadowed on the instance.
const guardedMap = guards(["set", "delete", "clear"]);
const guardedSet = guards(["add", "delete", "clear"]);
const guardedDate = guards(
	Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith("set")),
);
const guardedUrl: PropertyDescriptorMap = {};
for (const [name, { get, set }] of Object.entries(Object.getOwnPropertyDescriptors(URL.prototype)))
	if (get !== undefined && set !== undefined) guardedUrl[name] = { get, set: guard };
const guardedRegExp = guards(["compile"]);
const guardedSearch = guards(["append", "delete", "set", "sort"]);

// What the copying or freezing under way has met.
let binary = false;

/** Freezes a fresh Map, Set, Date, URL, RegExp, array or plain object (not what it holds). */
function seal<T extends object>(fresh: T): T {
	if (ArrayBuffer.isView(fresh) || fresh instanceof ArrayBuffer) {
		binary = true;
		return fresh;
	}
	if (fresh instanceof Map) Object.defineProperties(fresh, guardedMap);
	else if (fresh instanceof Set) Object.defineProperties(fresh, guardedSet);
	else if (fresh instanceof Date) Object.defineProperties(fresh, guardedDate);
	// Its lastIndex has to stay writable: a global or sticky one can't match without.
	else if (fresh instanceof RegExp)
		return Object.preventExtensions(Object.defineProperties(fresh, guardedRegExp));
	else if (fresh instanceof URL) {
		Object.defineProperties(fresh.searchParams, guardedSearch);
		Object.defineProperties(fresh, guardedUrl);
	}
	return Object.freeze(fresh);
}

/** Sets a property of a plain object under any name. */
export function define(target: Record<string, unknown>, name: string, value: unknown): void {
	// Assigning to __proto__ would change the prototype instead.
	if (name === "__proto__") Object.defineProperty(target, name, { value, enumerable: true });
	else target[name] = value;
}

/** A deeply frozen copy, with the two things that the copying learned. */
export interface Frozen {
	readonly data: unknown;
	/** An estimate of the encoded size; the real one is at most six times as large. */
	readonly size: number;
	/** Whether it holds a typed array or buffer, whose bytes can't be frozen. */
	readonly binary: boolean;
}

let size = 0;
let path: string[] = [];
let parents: object[] = [];

function copyText(text: string): string {
	if (!text.isWellFormed()) refuse("a string with a lone surrogate", path);
	size += text.length + 2;
	return text;
}

const nameOf = (key: unknown): string => (typeof key === "object" ? "<value>" : String(key));

function child(name: string, value: unknown): unknown {
	if (typeof value !== "object" || value === null) {
		if (typeof value === "string" && value.isWellFormed()) return copyText(value);
		if (typeof value === "number" || typeof value === "boolean") {
			size += 8;
			return value;
		}
	}
	path.push(name);
	const copied = copy(value);
	path.pop();
	return copied;
}

function copyProperty(target: Record<string, unknown>, name: string): void {
	copyText(name);
	const value = target[name];
	const copied = child(name, value);
	if (copied !== value) define(target, name, copied);
}

function isClean(): boolean {
	for (const _ in Object.prototype) return false;
	return true;
}

function copyObject(source: object): object {
	const prototype: unknown = Object.getPrototypeOf(source);
	// Not `map`: a hole becomes undefined, which can be stored, and a subclass an array.
	if (Array.isArray(source)) return Array.from(source, (member, i) => child(String(i), member));
	if (prototype === Object.prototype || prototype === null) {
		// Copied as a whole it keeps its hidden class; then only what is not a plain value has to be put in again.
		const target: Record<string, unknown> = { ...source };
		// A loop over names costs a third of a list of them; what others have put on `Object.prototype` is not the value's own.
		if (isClean()) for (const name in target) copyProperty(target, name);
		else for (const name of Object.keys(target)) copyProperty(target, name);
		if (Object.getOwnPropertySymbols(target).length > 0) refuse("a property with a symbol as its name", path);
		return target;
	}
	size += 16;
	if (source instanceof Map)
		return new Map(Array.from(source, ([key, value]) => [child("<key>", key), child(nameOf(key), value)]));
	if (source instanceof Set) return new Set(Array.from(source, (member) => child("<member>", member)));
	if (source instanceof Date) return new Date(source.getTime());
	if (source instanceof URL) return new URL(copyText(source.href));
	if (source instanceof RegExp) return new RegExp(copyText(source.source), source.flags);
	if (ArrayBuffer.isView(source) && !(source instanceof DataView)) {
		size += source.byteLength;
		// Not `slice`: a Buffer's shares its bytes.
		const name = (source as Uint8Array)[Symbol.toStringTag];
		return new ((globalThis as never)[name] as typeof Uint8Array)(source as Uint8Array);
	}
	if (source instanceof ArrayBuffer) {
		size += source.byteLength;
		return source.slice();
	}
	return refuse(
		`an instance of ${(source.constructor as { name?: string } | undefined)?.name ?? "a class"}`,
		path,
	);
}

function copy(value: unknown): unknown {
	switch (typeof value) {
		case "string":
			return copyText(value);
		case "object": {
			size += 4;
			if (value === null) return value;
			if (parents.includes(value)) refuse("a cycle", path);
			if (parents.length > 500) refuse("a structure more than 500 levels deep", path);
			parents.push(value);
			const copied = copyObject(value);
			parents.pop();
			// What is plain needs no look at what else it could be.
			const { constructor: made } = copied;
			return made === Object || made === Array ? Object.freeze(copied) : seal(copied);
		}
		case "function":
		case "symbol":
			return refuse(`a ${typeof value}`, path);
		default:
			size += typeof value === "bigint" ? value.toString().length + 16 : 8;
			return value;
	}
}

/**
 * Copies a value and freezes the copy through and through. Map, Set, Date and URL are guarded: their mutators throw. Bytes can't be
 * guarded; a store keeps them as text, so what a holder writes into a typed array never reaches it.
 *
 * @throws {@link HoldfastError} `invalid-value` for functions, symbols, class instances, cycles, lone surrogates.
 */
export function freezeCopy(value: unknown): Frozen {
	size = 0;
	binary = false;
	// What was refused left them as they were.
	if (parents.length > 0) {
		path = [];
		parents = [];
	}
	const data = copy(value);
	return { data, size, binary };
}

function freezeParts(value: unknown): void {
	if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
	if (value instanceof Map) for (const part of [...value.keys(), ...value.values()]) freezeParts(part);
	else if (value instanceof Set) for (const part of value) freezeParts(part);
	else if (!ArrayBuffer.isView(value)) for (const part of Object.values(value)) freezeParts(part);
	seal(value);
}

/** Freezes what was just decoded, in place. */
export function freezeFresh(data: unknown): Pick<Frozen, "data" | "binary"> {
	binary = false;
	freezeParts(data);
	return { data, binary };
}
