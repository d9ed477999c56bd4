/** Reading a request's body within bounds. */
import { HoldfastError } from "../error.js";

const tooLarge = (limit: number): HoldfastError =>
	new HoldfastError("too-large", `the request has more than ${limit} bytes: split it`);

// No fault of the server's, and nobody is there to hear of it.
const brokenOff = (cause: unknown): HoldfastError =>
	new HoldfastError("invalid-argument", "the request broke off: send it again", { cause });

/**
 * The JSON of a request. It is counted as it arrives: what a header says of its length is a hint at best.
 *
 * @throws {@link HoldfastError} `too-large`, `invalid-argument`.
 */
export async function readJson(request: Request, limit: number): Promise<unknown> {
	const type = request.headers.get("content-type") ?? "";
	// A form can send three other types without asking first (Fetch, "CORS-safelisted request-header").
	if (!/^application\/json\s*(;|$)/i.test(type))
		throw new HoldfastError("invalid-argument", "send JSON, as content-type application/json");
	if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit);
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	if (request.body !== null)
		for await (const chunk of readAll(request.body)) {
			bytes += chunk.length;
			if (bytes > limit) throw tooLarge(limit);
			chunks.push(chunk);
		}
	try {
		return JSON.parse(decode(chunks, bytes));
	} catch {
		throw new HoldfastError("invalid-argument", "the request's body is no JSON in UTF-8");
	}
}

// A ReadableStream is iterable in Node and not yet in every runtime.
async function* readAll(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
	const reader = body.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read().catch((cause: unknown) => {
				throw brokenOff(cause);
			});
			if (done) return;
			yield value;
		}
	} finally {
		reader.cancel().catch(() => {});
	}
}

function decode(chunks: readonly Uint8Array[], bytes: number): string {
	const whole = new Uint8Array(bytes);
	let at = 0;
	for (const chunk of chunks) {
		whole.set(chunk, at);
		at += chunk.length;
	}
	return new TextDecoder("utf-8", { fatal: true }).decode(whole);
}
