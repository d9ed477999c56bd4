/** The stream's framing: one JSON message per event (HTML, "Server-sent events": the event stream format). */
import type { StreamMessage } from "./messages.js";

/**
 * A message as an event. Records carry their last revision as the event's id, so that an `EventSource` of one scope comes back with
 * `Last-Event-ID`.
 */
export function formatEvent(message: StreamMessage): string {
	// JSON without indentation has no line break: one line of data.
	const data = `data: ${JSON.stringify(message)}\n\n`;
	if (message.t === "r") return `id: ${message.records.at(-1)?.r ?? 0}\n${data}`;
	return message.t === "ready" || message.t === "reset" ? `id: ${message.c}\n${data}` : data;
}

/** Takes a text apart that arrives in pieces of any size. */
export class LineSplitter {
	#rest = "";

	/** Takes the next piece; answers the lines that it completes. */
	push(text: string): readonly string[] {
		const lines = (this.#rest + text).split("\n");
		this.#rest = lines.pop() as string;
		return lines;
	}
}

/**
 * Takes an event stream apart: give it the text as it arrives, in pieces of any size.
 *
 * @throws SyntaxError where an event holds no JSON: then it is no stream of this bridge.
 */
export class EventSplitter {
	readonly #heard: (message: StreamMessage) => void;
	readonly #lines = new LineSplitter();

	constructor(heard: (message: StreamMessage) => void) {
		this.#heard = heard;
	}

	/** Takes the next piece of text. */
	push(text: string): void {
		for (const line of this.#lines.push(text))
			if (line.startsWith("data: ")) this.#heard(JSON.parse(line.slice(6)));
	}
}
