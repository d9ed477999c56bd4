/**
 * Responses of Node's http as sinks. Under HTTP/1.1 what many clients are told is framed once and goes to their sockets as one buffer:
 * `response.write` makes four pieces of it for each of them, which costs a third more of the server's time.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { OpenSink, SinkEvents, StreamSink } from "./sink.js";

const encoder = new TextEncoder();

/** Bytes as a chunk (RFC 9112, 7.1). */
function chunkOf(bytes: Uint8Array): Uint8Array {
	const size = encoder.encode(`${bytes.length.toString(16)}\r\n`);
	const chunk = new Uint8Array(size.length + bytes.length + 2);
	chunk.set(size);
	chunk.set(bytes, size.length);
	chunk.set([13, 10], size.length + bytes.length);
	return chunk;
}

/** The socket that a response's chunks may be written to; none where something else has to see them. */
function socketOf(outgoing: ServerResponse): Socket | null {
	// HTTP/2 has frames of its own, HTTP/1.0 none, and middleware that replaces `write` wants to change what is written.
	const isPlain = outgoing.req.httpVersionMajor === 1 && outgoing.chunkedEncoding;
	return isPlain && !Object.hasOwn(outgoing, "write") ? outgoing.socket : null;
}

/** The sinks of one handler. */
export class NodeSinks {
	/** What was written last, and its chunk: many are told the same in a row. */
	#last: { readonly bytes: Uint8Array; readonly chunk: Uint8Array } | undefined;
	#filled: NodeSink[] = [];

	/** Sends the head of a response, and makes a sink of the rest. */
	open(outgoing: ServerResponse, headers: Parameters<OpenSink>[0], events: SinkEvents): StreamSink {
		return new NodeSink(outgoing, headers, events, this);
	}

	/** The bytes as a chunk. */
	chunk(bytes: Uint8Array): Uint8Array {
		if (this.#last?.bytes !== bytes) this.#last = { bytes, chunk: chunkOf(bytes) };
		return this.#last.chunk;
	}

	/** Flushes a sink at the end of this turn, so that what it is told by several scopes at once is written at once. */
	flushSoon(sink: NodeSink): void {
		if (this.#filled.push(sink) > 1) return;
		queueMicrotask(() => {
			const filled = this.#filled;
			this.#filled = [];
			// It would otherwise be kept until something else is told.
			this.#last = undefined;
			for (const each of filled) each.flush();
		});
	}
}

class NodeSink implements StreamSink {
	readonly #outgoing: ServerResponse;
	readonly #sinks: NodeSinks;
	// Not the event "drain": that comes only after more waited than Node's own mark.
	readonly #taken: () => void;
	#chunks: Uint8Array[] = [];
	#bytes = 0;
	#cut: ReturnType<typeof setTimeout> | undefined;

	constructor(
		outgoing: ServerResponse,
		headers: Parameters<OpenSink>[0],
		events: SinkEvents,
		sinks: NodeSinks,
	) {
		this.#outgoing = outgoing;
		this.#sinks = sinks;
		this.#taken = () => events.drained();
		outgoing.writeHead(200, headers);
		outgoing.flushHeaders();
		outgoing.on("close", () => {
			clearTimeout(this.#cut);
			events.closed();
		});
		// What is written after the client has gone is lost, as it should be.
		outgoing.on("error", () => {});
	}

	write(bytes: Uint8Array): void {
		const outgoing = this.#outgoing;
		if (outgoing.destroyed || outgoing.writableEnded) return;
		if (socketOf(outgoing) === null) {
			outgoing.write(bytes, this.#taken);
			return;
		}
		const chunk = this.#sinks.chunk(bytes);
		this.#bytes += chunk.length;
		if (this.#chunks.push(chunk) === 1) this.#sinks.flushSoon(this);
	}

	get waiting(): number {
		return this.#bytes + this.#outgoing.writableLength;
	}

	/** Hands over what was written in this turn. */
	flush(): void {
		const chunks = this.#chunks;
		if (chunks.length === 0) return;
		this.#chunks = [];
		this.#bytes = 0;
		const socket = this.#outgoing.socket;
		// The client went meanwhile.
		if (socket?.writable !== true) return;
		if (chunks.length > 1) socket.cork();
		for (const chunk of chunks) socket.write(chunk, this.#taken);
		if (chunks.length > 1) socket.uncork();
	}

	end(grace: number): void {
		const outgoing = this.#outgoing;
		if (outgoing.writableEnded) return;
		this.flush();
		outgoing.end();
		this.#cut = setTimeout(() => outgoing.destroy(), grace);
		this.#cut.unref();
	}
}
