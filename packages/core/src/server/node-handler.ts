/** The handler for Node's http, and so for Express and its like: a stream goes to the response directly, a web stream costs more. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { StateHandler } from "./handler.js";
import type { OpenSink, SinkEvents, StreamSink } from "./sink.js";

/** What middleware of Express and others leaves on a request. */
type NodeRequest = IncomingMessage & { readonly originalUrl?: string; readonly body?: unknown };

/**
 * Makes a listener for Node's http out of a handler.
 *
 * @example
 * ```ts
 * createServer(nodeHandler(handler)).listen(3000);
 * app.use("/state", nodeHandler(handler)); // Express
 * ```
 */
export const nodeHandler =
	(handler: StateHandler) =>
	(incoming: IncomingMessage, outgoing: ServerResponse): void => {
		answer(handler, incoming as NodeRequest, outgoing).catch(() => {
			// Malformed beyond what a Request can hold, or cut off.
			if (!outgoing.headersSent) outgoing.writeHead(400).end();
			else outgoing.destroy();
		});
	};

async function answer(handler: StateHandler, incoming: NodeRequest, outgoing: ServerResponse): Promise<void> {
	const response = await handler.serve(requestOf(incoming), (headers, events) =>
		openSink(outgoing, headers, events),
	);
	if (response === undefined) return;
	const body = new Uint8Array(await response.arrayBuffer());
	const headers: Record<string, string | number> = { "content-length": body.length };
	response.headers.forEach((value, name) => {
		headers[name] = value;
	});
	// What was not read of a body that is refused is not waited for.
	if (!incoming.complete) headers.connection = "close";
	outgoing.writeHead(response.status, headers);
	outgoing.end(body);
}

function requestOf(incoming: NodeRequest): Request {
	const { method = "GET", headers: given, httpVersionMajor } = incoming;
	const headers = new Headers();
	for (const [name, value] of Object.entries(given)) {
		// HTTP/2 has its pseudo-headers among them.
		if (value === undefined || name.startsWith(":")) continue;
		for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
	}
	const host = given.host ?? (httpVersionMajor >= 2 ? given[":authority"] : undefined) ?? "localhost";
	// By parts: a path that begins with two slashes must not become a host.
	const url = new URL(`http://${host}`);
	if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "")
		throw new TypeError("the Host header is more than a host");
	const [path = "/", ...query] = (incoming.originalUrl ?? incoming.url ?? "/").split("?");
	url.pathname = path;
	url.search = query.join("?");
	if (method === "GET" || method === "HEAD" || method === "OPTIONS")
		return new Request(url, { method, headers });
	const body = bodyOf(incoming);
	return new Request(url, { method, headers, body, ...(typeof body !== "string" && { duplex: "half" }) });
}

/** The body as a stream, read as it is asked for; or what a parser of Express has made of it already. */
function bodyOf(incoming: NodeRequest): ReadableStream<Uint8Array> | string {
	if (incoming.readableEnded && incoming.body !== undefined) return JSON.stringify(incoming.body);
	const chunks = incoming[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
	return new ReadableStream<Uint8Array>(
		{
			async pull(controller) {
				const { done, value } = await chunks.next();
				if (done === true) controller.close();
				else controller.enqueue(value);
			},
			async cancel() {
				// Not destroyed by the iterator's end: the answer goes out on the same socket.
				incoming.pause();
			},
		},
		{ highWaterMark: 0 },
	);
}

function openSink(
	outgoing: ServerResponse,
	headers: Parameters<OpenSink>[0],
	events: SinkEvents,
): StreamSink {
	let cut: ReturnType<typeof setTimeout> | undefined;
	outgoing.writeHead(200, headers);
	outgoing.flushHeaders();
	// Not the event "drain": that comes only after more waited than Node's own mark.
	const taken = (): void => events.drained();
	outgoing.on("close", () => {
		clearTimeout(cut);
		events.closed();
	});
	// What is written after the client has gone is lost, as it should be.
	outgoing.on("error", () => {});
	return {
		write(bytes) {
			if (!outgoing.destroyed && !outgoing.writableEnded) outgoing.write(bytes, taken);
		},
		get waiting() {
			return outgoing.writableLength;
		},
		end(grace) {
			if (outgoing.writableEnded) return;
			outgoing.end();
			cut = setTimeout(() => outgoing.destroy(), grace);
			cut.unref();
		},
	};
}
