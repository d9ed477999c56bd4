/** Whether two frozen values are equal, so that a mirror can keep the reference it has. */
import type { Codec } from "./backend.js";

/** Deep equality of plain data; rich values are compared by their encoding. */
export function isSame(a: unknown, b: unknown, codec: Codec): boolean {
	if (Object.is(a, b)) return true;
	if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
	const prototype: unknown = Object.getPrototypeOf(a);
	if (prototype !== Object.getPrototypeOf(b)) return false;
	if (prototype !== Object.prototype && prototype !== Array.prototype)
		return codec.encode(a) === codec.encode(b);
	const names = Object.keys(a);
	return (
		names.length === Object.keys(b).length &&
		names.every(
			(name) => Object.hasOwn(b, name) && isSame(a[name as keyof typeof a], b[name as keyof typeof b], codec),
		)
	);
}
