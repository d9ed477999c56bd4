/** Arrays in Postgres' binary format: nothing is escaped here and nothing parsed there, which for wide statements is most of the work. */

/** What the elements of an array may be. */
export type ElementType = "bigint" | "double precision" | "smallint" | "text";

const oids: Record<ElementType, number> = { bigint: 20, "double precision": 701, smallint: 21, text: 25 };
const widths: Record<ElementType, number> = { bigint: 8, "double precision": 8, smallint: 2, text: 0 };

const headerBytes = 20;

/** How many bytes an array takes at the most. */
export function roomForArray(type: ElementType, elements: readonly unknown[]): number {
	let room = headerBytes + elements.length * (4 + widths[type]);
	// A character of JavaScript's is three bytes at most.
	if (type === "text")
		for (const element of elements) if (element !== null) room += String(element).length * 3;
	return room;
}

/** Writes an array of these elements; answers where it ends. */
export function writeArray(
	bytes: Buffer,
	start: number,
	type: ElementType,
	elements: readonly (string | number | null)[],
): number {
	let at = bytes.writeInt32BE(elements.length === 0 ? 0 : 1, start);
	// Whether there are nulls: a note that nobody reads.
	at = bytes.writeInt32BE(1, at);
	at = bytes.writeInt32BE(oids[type], at);
	if (elements.length === 0) return at;
	at = bytes.writeInt32BE(elements.length, at);
	at = bytes.writeInt32BE(1, at);
	const width = widths[type];
	for (const element of elements) {
		if (element === null) {
			at = bytes.writeInt32BE(-1, at);
			continue;
		}
		if (type === "text") {
			const size = bytes.write(String(element), at + 4);
			bytes.writeInt32BE(size, at);
			at += 4 + size;
			continue;
		}
		at = bytes.writeInt32BE(width, at);
		const number = Number(element);
		if (type === "double precision") at = bytes.writeDoubleBE(number, at);
		else if (type === "smallint") at = bytes.writeInt16BE(number, at);
		else {
			const high = Math.floor(number / 2 ** 32);
			at = bytes.writeInt32BE(high, at);
			at = bytes.writeUInt32BE(number - high * 2 ** 32, at);
		}
	}
	return at;
}

/** An array of these elements. */
export function binaryArray(type: ElementType, elements: readonly (string | number | null)[]): Buffer {
	const bytes = Buffer.allocUnsafe(roomForArray(type, elements));
	return bytes.subarray(0, writeArray(bytes, 0, type, elements));
}
