/** What an event of the stream tells who watches a scope. */
import type { ScopeId, Signal } from "../backend.js";
import type { StreamMessage } from "./messages.js";
import { decodeRecord } from "./record.js";

/** The signal of a message, and whose it is; `undefined` where it is about the stream itself. `mine`: see {@link decodeRecord}. */
export function decodeSignal(
	message: StreamMessage,
	mine?: string,
): { readonly scope: ScopeId; readonly signal: Signal } | undefined {
	switch (message.t) {
		case "r":
			return {
				scope: message.s,
				signal: { type: "records", records: message.records.map((record) => decodeRecord(record, mine)) },
			};
		case "ready":
		case "reset":
			return { scope: message.s, signal: { type: "wake" } };
		case "denied":
			return { scope: message.s, signal: { type: "lost" } };
		default:
			return undefined;
	}
}
