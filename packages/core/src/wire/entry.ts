/** Entries as they cross the wire. */
import type { Entry } from "../backend.js";
import { storedValue } from "../value.js";
import type { WireEntry } from "./messages.js";

/** An entry as it is sent. */
export const encodeEntry = ({
	key,
	value,
	revision,
	createdRevision,
	expiresAt,
	metadata,
}: Entry): WireEntry => ({
	k: key,
	v: value.text,
	r: revision,
	...(createdRevision !== revision && { c: createdRevision }),
	...(expiresAt !== null && { x: expiresAt }),
	...(metadata !== undefined && { m: metadata }),
});

/** What {@link encodeEntry} made. */
export const decodeEntry = ({ k, v, r, c = r, x, m }: WireEntry): Entry => ({
	key: k,
	value: storedValue(v),
	revision: r,
	createdRevision: c,
	expiresAt: x ?? null,
	metadata: m,
});
