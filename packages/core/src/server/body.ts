/** Reading a request's body within bounds. */
import type { Clock } from "../clock.js";
import { HoldfastError } from "../error.js";

/** The error of a request whose body takes too long to come: answered as 408. */
export const tooSlow = new HoldfastError(
	"timeout",
	"the request's body took too long to come, nothing was done: send it again, or less at once",
);

/** How much a request may take. */
export interface BodyBounds {
	readonly bodyBytes: number;
	/** How long it may take to come, in ms: a client that sends a byte now and then would hold its memory for ever. */
	readonly bodyWithin: number;
}

const tooLarge = (limit: number): HoldfastError =>
	new HoldfastError("too-large", `the request has more than ${limit} bytes: split it`);

// No fault of the server's, and nobody is there to hear of it.
const brokenOff = (cause: unknown): HoldfastError =>
	new HoldfastError("invalid-argument", "the request broke off: send it again", { cause });

/**
 * The JSON of a request. It is counted as it arrives: what a header says of its length is a hint at best.
 *
 * @throws {@link HoldfastError} `too-large`, `invalid-argument`, {@link tooSlow}.
 */
export async function readJson(
	request: Request,
	{ bodyBytes: limit, bodyWithin }: BodyBounds,
	clock: Clock,
): Promise<unknown> {
	const type = request.headers.get("content-type") ?? "";
	// A form can send three other types without asking first (Fetch, "CORS-safelisted request-header").
	if (!/^application\/json\s*(;|$)/i.test(type))
		throw new HoldfastError("invalid-argument", "send JSON, as content-type application/json");
	if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit);
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	const late = Promise.withResolvers<never>();
	late.promise.catch(() => {});
	const cancel = clock.after(bodyWithin, () => late.reject(tooSlow), true);
	try {
		if (request.body !== null)
			for await (const chunk of readAll(request.body, late.promise)) {
				bytes += chunk.length;
				if (bytes > limit) throw tooLarge(limit);
				chunks.push(chunk);
			}
	} finally {
		cancel();
	}
	try {
		return JSON.parse(decode(chunks, bytes));
	} catch {
		throw new HoldfastError("invalid-argument", "the request's body is no JSON in UTF-8");
	}
}

// A ReadableStream is iterable in Node and not yet in every runtime.
async function* readAll(body: ReadableStream<Uint8Array>, late: Promise<never>): AsyncGenerator<Uint8Array> {
	const reader = body.getReader();
	try {
		for (;;) {
			const read = reader.read().catch((cause: unknown) => {
				throw brokenOff(cause);
			});
			// After a time-out the read that is cancelled is of no interest.
			read.catch(() => {});
			const { done, value } = await Promise.race([read, late]);
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
