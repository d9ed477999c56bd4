/** Arrays in Postgres' binary format: nothing is escaped here and nothing parsed there, which for wide statements is most of the work. */

/** What the elements of an array may be. */
export type ElementType = "bigint" | "double precision" | "smallint" | "text";

const oids: Record<ElementType, number> = { bigint: 20, "double precision": 701, smallint: 21, text: 25 };
const widths: Record<ElementType, number> = { bigint: 8, "double precision": 8, smallint: 2, text: 0 };

const headerBytes = 20;

function roomFor(type: ElementType, elements: readonly unknown[]): number {
	const width = widths[type];
	let room = headerBytes + elements.length * (4 + width);
	// A character of JavaScript's is three bytes at most.
	if (type === "text")
		for (const element of elements) if (element !== null) room += String(element).length * 3;
	return room;
}

/** An array of these elements. */
export function binaryArray(type: ElementType, elements: readonly (string | number | null)[]): Buffer {
	const bytes = Buffer.allocUnsafe(roomFor(type, elements));
	bytes.writeInt32BE(elements.length === 0 ? 0 : 1, 0);
	// Whether there are nulls: a note that nobody reads.
	bytes.writeInt32BE(1, 4);
	bytes.writeInt32BE(oids[type], 8);
	if (elements.length === 0) return bytes.subarray(0, 12);
	bytes.writeInt32BE(elements.length, 12);
	bytes.writeInt32BE(1, 16);
	const width = widths[type];
	let at = headerBytes;
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
	return bytes.subarray(0, at);
}
