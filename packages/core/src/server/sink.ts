/** Where a stream's bytes go, and how many wait there. */

/** The way to one client. */
export interface StreamSink {
	/** Hands bytes over; they are shared by all who are told the same, so they must not be changed. */
	write(bytes: Uint8Array): void;
	/** How many bytes the client has not taken yet. */
	readonly waiting: number;
	/** Ends the stream after what was written; cuts it off where the client does not take that within `grace` ms. */
	end(grace: number): void;
}

/** What a sink tells. */
export interface SinkEvents {
	/** The client is gone, or the stream has ended. */
	closed(): void;
	/** The client has taken something of what waited. */
	drained(): void;
}

/** Opens a sink: the way in which an adapter that can do better than a web stream takes one over. */
export type OpenSink = (headers: Readonly<Record<string, string>>, events: SinkEvents) => StreamSink;

/** A web stream as a sink. Its bound is the caller's: {@link StreamSink.waiting} says how full it is. */
export function webSink(
	events: SinkEvents,
	after: (ms: number, callback: () => void) => () => void,
): { readonly sink: StreamSink; readonly body: ReadableStream<Uint8Array> } {
	let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
	let waiting = 0;
	let cut: (() => void) | undefined;
	const queue: Uint8Array[] = [];
	let ending = false;
	// Whether somebody reads and waits.
	let asked = false;
	const finish = (): void => {
		cut?.();
		controller = undefined;
		queue.length = 0;
		waiting = 0;
		events.closed();
	};
	const body = new ReadableStream<Uint8Array>(
		{
			start(given) {
				controller = given;
			},
			pull(given) {
				const next = queue.shift();
				if (next === undefined) {
					asked = true;
					return undefined;
				}
				waiting -= next.length;
				given.enqueue(next);
				if (queue.length === 0 && ending) {
					given.close();
					finish();
				} else events.drained();
				return undefined;
			},
			cancel: finish,
		},
		// Nothing waits in there that is not asked for: what waits is counted here.
		{ highWaterMark: 0 },
	);
	const sink: StreamSink = {
		write(bytes) {
			if (controller === undefined || ending) return;
			if (asked) {
				asked = false;
				controller.enqueue(bytes);
				return;
			}
			queue.push(bytes);
			waiting += bytes.length;
		},
		get waiting() {
			return waiting;
		},
		end(grace) {
			if (controller === undefined || ending) return;
			ending = true;
			if (queue.length === 0) {
				controller.close();
				finish();
				return;
			}
			cut = after(grace, () => {
				controller?.error(new Error("the client did not take the end of its stream"));
				finish();
			});
		},
	};
	return { sink, body };
}
