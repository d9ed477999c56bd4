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
	// Its methods are compiled into this, those of a buffer are calls.
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	view.setInt32(start, elements.length === 0 ? 0 : 1);
	// Whether there are nulls: a note that nobody reads.
	view.setInt32(start + 4, 1);
	view.setInt32(start + 8, oids[type]);
	if (elements.length === 0) return start + 12;
	view.setInt32(start + 12, elements.length);
	view.setInt32(start + 16, 1);
	let at = start + headerBytes;
	const width = widths[type];
	for (const element of elements) {
		if (element === null) {
			view.setInt32(at, -1);
			at += 4;
			continue;
		}
		const from = at + 4;
		if (type === "text") {
			const size = bytes.write(String(element), from);
			view.setInt32(at, size);
			at = from + size;
			continue;
		}
		view.setInt32(at, width);
		const number = Number(element);
		if (type === "double precision") view.setFloat64(from, number);
		else if (type === "smallint") view.setInt16(from, number);
		else {
			const high = Math.floor(number / 2 ** 32);
			view.setInt32(from, high);
			view.setUint32(from + 4, number - high * 2 ** 32);
		}
		at = from + width;
	}
	return at;
}

/** An array of these elements. */
export function binaryArray(type: ElementType, elements: readonly (string | number | null)[]): Buffer {
	const bytes = Buffer.allocUnsafe(roomForArray(type, elements));
	return bytes.subarray(0, writeArray(bytes, 0, type, elements));
}
