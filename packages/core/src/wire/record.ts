/** Records of a log as they cross the wire, and the origins in them. */
import type { Change, LogRecord } from "../backend.js";
import { storedValue } from "../value.js";
import { decodeEntry } from "./entry.js";
import type { PackedRecord, WireChange, WireRecord } from "./messages.js";

function encodeChange({ key, type, entry }: Change): WireChange {
	if (entry === null) return { k: key, t: type === "expire" ? type : "delete" };
	const { value, revision, createdRevision, expiresAt } = entry;
	return {
		k: key,
		v: value.text,
		...(createdRevision !== revision && { c: createdRevision }),
		...(expiresAt !== null && { x: expiresAt }),
	};
}

function decodeChange(change: WireChange, { r, m }: WireRecord): Change {
	if ("t" in change) return { type: change.t, key: change.k, entry: null };
	const entry = decodeEntry({ ...change, r, ...(m !== undefined && { m }) });
	return { type: "set", key: change.k, entry };
}

/** A record as it is sent. */
export const encodeRecord = (record: LogRecord): WireRecord => {
	const { revision, previous, id, time, origin, metadata, quiet, changes, events, previousEvents } = record;
	return {
		r: revision,
		p: previous,
		i: id,
		t: time,
		...(origin !== undefined && { o: origin }),
		...(metadata !== undefined && { m: metadata }),
		...(quiet && { q: 1 as const }),
		...(changes.length > 0 && { c: changes.map(encodeChange) }),
		...(events.length > 0 && { e: events.map(({ type, payload }) => [type, payload.text] as const) }),
		...(previousEvents > 0 && { f: previousEvents }),
	};
};

/**
 * What {@link encodeRecord} made. `mine` is the server's name for this subject's writers: their origins are told as they know themselves.
 */
export function decodeRecord(record: WireRecord, mine?: string): LogRecord {
	const { r, p, i, t, o, m, q, c = [], e = [], f = 0 } = record;
	return {
		revision: r,
		previous: p,
		id: i,
		time: t,
		origin: o !== undefined && mine !== undefined && o.startsWith(`${mine}.`) ? o.slice(mine.length + 1) : o,
		metadata: m,
		quiet: q === 1,
		changes: c.map((change) => decodeChange(change, record)),
		events: e.map(([type, text]) => ({ type, payload: storedValue(text) })),
		previousEvents: f,
	};
}

/** What the ids of an origin's own commits begin with. */
const idsOf = (origin: string): string => `${origin.slice(origin.lastIndexOf(".") + 1)}.`;

/** Records of one message as they are sent: each without what it has in common with the one before it. */
export function packRecords(records: readonly LogRecord[]): PackedRecord[] {
	let before: WireRecord | undefined;
	return records.map((record) => {
		const encoded = encodeRecord(record);
		const { p, i, o, ...rest } = encoded;
		const ids = o === undefined ? undefined : idsOf(o);
		const packed: PackedRecord = {
			...rest,
			...(p !== before?.r && { p }),
			...(ids !== undefined && i.startsWith(ids) ? { n: i.slice(ids.length) } : { i }),
			...(o !== before?.o && { o: o ?? null }),
		};
		before = encoded;
		return packed;
	});
}

/** What {@link packRecords} made. */
export function unpackRecords(packed: readonly PackedRecord[]): WireRecord[] {
	let before: WireRecord | undefined;
	return packed.map(({ p = before?.r ?? 0, i, n, o = before?.o ?? null, ...rest }) => {
		before = { ...rest, p, i: i ?? `${idsOf(o ?? "")}${n}`, ...(o !== null && { o }) };
		return before;
	});
}

/** The origin in the log of what a subject's writer committed through a server: nobody else's commits can have it. */
export const ownOrigin = (mine: string, writer: string): string => `${mine}.${writer}`;
