/** The handler for Node's http, and so for Express and its like: a stream goes to the response directly, a web stream costs more. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { StateHandler } from "./handler.js";
import { NodeSinks } from "./node-sink.js";

/** What middleware of Express and others leaves on a request. */
type NodeRequest = IncomingMessage & { readonly originalUrl?: string; readonly body?: unknown };

/** A function of the web's standard, such as `handle` of `cookieSessions`. What it answers is held in memory as a whole. */
export type WebHandler = (request: Request) => Response | Promise<Response>;

/**
 * Makes a listener for Node's http, https and http2 out of a handler, or out of a function of yours from `Request` to `Response`. What that
 * throws is answered with status 500, and written to `console.error`.
 *
 * @example
 * ```ts
 * createServer(nodeHandler(handler)).listen(3000);
 * app.use("/state", nodeHandler(handler)); // Express
 * app.post("/session", nodeHandler(sessions.handle));
 * ```
 */
export const nodeHandler = (
	handler: StateHandler | WebHandler,
): ((
	incoming: IncomingMessage | Http2ServerRequest,
	outgoing: ServerResponse | Http2ServerResponse,
) => void) => {
	const sinks = new NodeSinks();
	return (incoming, outgoing) => {
		// The compatible part of HTTP/2's API is all that is used of it.
		const response = outgoing as ServerResponse;
		answer(handler, incoming as NodeRequest, response, sinks).catch(() => {
			// Malformed beyond what a Request can hold, or cut off.
			if (!response.headersSent) response.writeHead(400).end();
			else response.destroy();
		});
	};
};

async function answer(
	handler: StateHandler | WebHandler,
	incoming: NodeRequest,
	outgoing: ServerResponse,
	sinks: NodeSinks,
): Promise<void> {
	let isGone = false;
	outgoing.once("close", () => {
		isGone = true;
	});
	const request = requestOf(incoming);
	const response = await ("serve" in handler
		? handler.serve(request, (headers, events) => {
				const sink = sinks.open(outgoing, headers, events);
				// While authorize was asked, say: nothing would tell of it any more.
				if (isGone) queueMicrotask(() => events.closed());
				return sink;
			})
		: askWeb(handler, request));
	if (response === undefined) return;
	const body = new Uint8Array(await response.arrayBuffer());
	const headers: Record<string, string | number | string[]> = { "content-length": body.length };
	response.headers.forEach((value, name) => {
		headers[name] = value;
	});
	// The one header that is told several times: a comma may stand within a cookie.
	const cookies = response.headers.getSetCookie();
	if (cookies.length > 0) headers["set-cookie"] = cookies;
	// What was not read of a body that is refused is not waited for; HTTP/2 ends only the stream.
	if (!incoming.complete && incoming.httpVersionMajor === 1) headers.connection = "close";
	outgoing.writeHead(response.status, headers);
	outgoing.end(body);
}

async function askWeb(handler: WebHandler, request: Request): Promise<Response> {
	try {
		return await handler(request);
	} catch (error) {
		console.error(error);
		return new Response(null, { status: 500 });
	}
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
